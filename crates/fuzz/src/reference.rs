//! What the user writes for an image: locations, references, digests, platforms.
//!
//! - What is accepted is shown in a form that gives the same again.
//! - An accepted reference keeps the specification's limits, has a tag or a digest, and holds no character that would mean
//!   something else in a URL or a path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use banger_oci::{Digest, Location, Platform, Reference, limits};

use crate::check_messages;

/// Checks all four with the same text.
pub fn check(data: &[u8]) {
    let location = Location::parse(OsStr::from_bytes(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    match location {
        Ok(Location::Local(source)) => {
            let again = Location::parse(source.to_string());
            assert_eq!(again.ok(), Some(Location::Local(source)), "{text:?}");
        }
        Ok(Location::Registry(reference)) => {
            // Without this prefix a registry that is called `oci` would be taken for something else.
            let again = Location::parse(format!("docker://{reference}"));
            assert_eq!(again.ok(), Some(Location::Registry(reference)), "{text:?}");
        }
        Err(error) => check_messages(&error),
    }
    match Reference::parse(text) {
        Ok(reference) => check_reference(&reference),
        Err(error) => check_messages(&error),
    }
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert_eq!(digest.to_string(), text);
            assert_eq!(digest.hex().len(), digest.as_bytes().len() * 2);
        }
        Err(error) => check_messages(&error),
    }
    match Platform::parse(text) {
        Ok(platform) => assert_eq!(Platform::parse(&platform.to_string()), Ok(platform)),
        Err(error) => check_messages(&error),
    }
}

fn check_reference(reference: &Reference) {
    let shown = reference.to_string();
    assert_eq!(Reference::parse(&shown).as_ref(), Ok(reference), "{shown:?}");
    assert!(reference.name().len() <= limits::REFERENCE_NAME, "{shown:?}");
    assert!(reference.tag().is_some() || reference.digest().is_some(), "{shown:?}");
    assert!(reference.tag().is_none_or(|tag| tag.len() <= limits::REFERENCE_TAG), "{shown:?}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    assert!(reference.tag().is_none_or(|tag| tag.bytes().all(plain)), "{shown:?}");
    assert!(reference.path().bytes().all(|byte| plain(byte) || byte == b'/'), "{shown:?}");
    assert!(reference.path().split('/').all(|part| !matches!(part, "" | "." | "..")), "{shown:?}");
    assert!(reference.domain().bytes().all(|byte| plain(byte) || b":[]".contains(&byte)), "{shown:?}");
}
