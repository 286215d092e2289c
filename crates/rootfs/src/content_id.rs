//! The content id: a digest of everything that an image's bytes depend on. Equal ids mean equal bytes.
//!
//! It is the sha256 of a JSON document of the image's digest, the options that change bytes and the version of the format.
//! The UUID and the hash seed are derived from the same document, so that they too follow from the input alone.

use banger_oci::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::options::Options;

/// Counted up whenever the same input gives other bytes than before.
pub const FORMAT_VERSION: u32 = 2;

/// Everything that the bytes of an image depend on.
#[derive(Debug, Serialize)]
pub(crate) struct Inputs<'a> {
    format: u32,
    /// Digest of the manifest; of the decompressed archive where there is none.
    image: String,
    /// A digest of each addition.
    additions: &'a [String],
    /// A digest of what was put on top of that: modules, the guest layer.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    guest: &'a [String],
    size: Option<u64>,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<[u8; 16]>,
}

/// What follows from the inputs.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) content_id: String,
    /// `s_uuid`.
    pub(crate) uuid: [u8; 16],
    /// `s_hash_seed`, of directories.
    pub(crate) hash_seed: [u8; 16],
}

impl<'a> Inputs<'a> {
    /// `layers`, `additions` and `guest` are the digests of what was read; the manifest, where there is one, names its layers itself.
    pub(crate) fn new(
        manifest: Option<&Digest>,
        layers: &[String],
        additions: &'a [String],
        guest: &'a [String],
        options: &'a Options,
    ) -> Self {
        let image = manifest.map_or_else(|| layers.join(" "), Digest::to_string);
        let (size, label) = (options.size, options.label.as_str());
        Self { format: FORMAT_VERSION, image, additions, guest, size, label, uuid: None }
    }

    /// Derives the identity; a given `uuid` replaces the derived one and is part of the content id.
    pub(crate) fn identity(mut self, uuid: Option<[u8; 16]>) -> Identity {
        let (derived, hash_seed) = split(&self.digest());
        self.uuid = uuid;
        Identity {
            content_id: format!("sha256:{}", hex(&self.digest())),
            uuid: uuid.unwrap_or(as_uuid(derived)),
            hash_seed: as_uuid(hash_seed),
        }
    }

    fn digest(&self) -> [u8; 32] {
        // Numbers, texts and lists of them: nothing that JSON cannot say.
        Sha256::digest(serde_json::to_vec(self).unwrap_or_default()).into()
    }
}

fn split(digest: &[u8; 32]) -> ([u8; 16], [u8; 16]) {
    let mut halves = ([0; 16], [0; 16]);
    for (to, from) in halves.0.iter_mut().chain(&mut halves.1).zip(digest) {
        *to = *from;
    }
    halves
}

/// Sets the bits that make 16 bytes a UUID of version 8, variant 1 (RFC 9562, section 5.8).
fn as_uuid(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(layer: &str, additions: &[&str], change: impl FnOnce(&mut Options)) -> Identity {
        let mut options = Options::new("image");
        change(&mut options);
        let additions: Vec<String> = additions.iter().map(|&text| text.to_owned()).collect();
        Inputs::new(None, &[layer.to_owned()], &additions, &[], &options).identity(options.uuid)
    }

    #[test]
    fn follows_from_what_bytes_depend_on_alone() {
        let base = identity("a", &[], |_| ());
        assert_eq!(identity("a", &[], |options| options.output = "elsewhere".into()), base);
        assert_eq!(identity("a", &[], |options| options.jobs = std::num::NonZeroUsize::MAX), base);
    }

    #[test]
    fn every_input_counts() {
        let base = identity("a", &[], |_| ()).content_id;
        let manifest = Digest::sha256(b"manifest");
        let options = Options::new("image");
        let others = [
            identity("b", &[], |_| ()),
            identity("a", &["x"], |_| ()),
            identity("a", &[], |options| options.size = Some(1 << 30)),
            identity("a", &[], |options| options.label = "other".to_owned()),
            identity("a", &[], |options| options.uuid = Some([1; 16])),
            Inputs::new(Some(&manifest), &["a".to_owned()], &[], &[], &options).identity(None),
            Inputs::new(None, &["a".to_owned()], &[], &["x".to_owned()], &options).identity(None),
        ];
        for other in others {
            assert_ne!(other.content_id, base);
        }
    }

    #[test]
    fn derived_uuids_are_valid_and_a_given_one_is_kept() {
        let derived = identity("a", &[], |_| ()).uuid;
        assert_eq!((derived[6] >> 4, derived[8] >> 6), (8, 2));
        assert_eq!(identity("a", &[], |options| options.uuid = Some([1; 16])).uuid, [1; 16]);
    }
}
