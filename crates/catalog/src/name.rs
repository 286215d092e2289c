//! Names of images and kernels, and of architectures.

use banger_oci::Platform;

use crate::limits::NAME_BYTES;

/// Hexadecimal digits of an id: what has so many is no name.
const ID_DIGITS: usize = 64;

/// How the names of files end that mean something else in a store.
const RESERVED: [&str; 2] = [".staging", ".removed"];

/// Whether a text is the name of an image or of a kernel: lower case letters, digits, and `.`, `_`, `-` behind the first
/// character; 127 bytes at most; no id, and nothing that a store has another use for.
///
/// ```
/// use banger_catalog::name::is_name;
///
/// assert!(is_name("debian-bookworm"));
/// assert!(!is_name("debian:bookworm"));
/// ```
pub fn is_name(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    text.len() <= NAME_BYTES
        && text.bytes().next().is_some_and(is_alphanumeric)
        && text.bytes().all(|byte| is_alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !(text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && !RESERVED.iter().any(|end| text.ends_with(end))
}

/// What is wrong with the name of an architecture, if anything: it must be what image indexes call it.
pub(crate) fn check_architecture(text: &str) -> Result<(), String> {
    match Platform::parse(text) {
        Ok(platform) if platform.architecture() == text => Ok(()),
        Ok(platform) if !text.contains('/') => {
            Err(format!("the architecture {text:?} is called {:?}", platform.architecture()))
        }
        _ => Err(format!("{text:?} is not an architecture that is known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = "0123456789abcdef".repeat(4);
        let longest = "a".repeat(NAME_BYTES);
        for good in ["a", "0", "debian-bookworm", "linux-6.1.0-13-cloud-amd64", "a.b_c", &id[1..], &longest] {
            assert!(is_name(good), "{good}");
        }
        let too_long = "a".repeat(NAME_BYTES + 1);
        for bad in [
            "",
            ".",
            "-a",
            "_a",
            ".a",
            "A",
            "aB",
            "a b",
            "a/b",
            "a:b",
            "a\n",
            "\u{e4}",
            "../a",
            "a.staging",
            "b.removed",
            &id,
            &too_long,
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn architectures() {
        for good in ["amd64", "arm64", "riscv64", "s390x"] {
            assert_eq!(check_architecture(good), Ok(()), "{good}");
        }
        for (bad, message) in [
            ("x86_64", "is called \"amd64\""),
            ("aarch64", "is called \"arm64\""),
            ("AMD64", "is called \"amd64\""),
            ("linux/amd64", "not an architecture"),
            ("arm/v7", "not an architecture"),
            ("m68000", "not an architecture"),
            ("", "not an architecture"),
            ("../x", "not an architecture"),
        ] {
            let error = check_architecture(bad).unwrap_err();
            assert!(error.contains(message), "{bad}: {error}");
        }
    }
}
