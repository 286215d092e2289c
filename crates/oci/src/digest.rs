//! Digests: the names of contents.
//!
//! The grammar is that of the image specification (descriptor.md, "Digests") narrowed to the algorithms that are
//! registered and secure, `sha256` and `sha512`. A [`Digest`] can only be made from text that follows it, so
//! whatever is built from one (a path, a URL) contains lower case hex and nothing else.

use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use std::str::FromStr;

/// Bytes of the longest digest (sha512).
const MAX_BYTES: usize = 64;

/// A hash algorithm that digests may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `sha256`: 32 bytes, 64 hex digits.
    Sha256,
    /// `sha512`: 64 bytes, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The algorithm's name in a digest, and the name of its directory in a layout.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Bytes of a hash by this algorithm.
    pub fn bytes(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Algorithm::Sha256),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The digest of some content, `ALGORITHM:HEX` as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// Only the first `algorithm.bytes()` bytes are used, the others are zero.
    bytes: [u8; MAX_BYTES],
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no colon between algorithm and hex digits.
    #[error("{text:?} is not a digest: it has no ':' (sha256:HEX is meant)")]
    NoSeparator {
        /// The text, shortened.
        text: String,
    },
    /// The algorithm is not one of those accepted.
    #[error("digest algorithm {algorithm:?} is not accepted (sha256 and sha512 are)")]
    Algorithm {
        /// The algorithm's name, shortened.
        algorithm: String,
    },
    /// The number of digits is not that of the algorithm.
    #[error("a {algorithm} digest has {expected} hex digits, this one has {actual}: {text:?}")]
    Length {
        /// The algorithm named.
        algorithm: Algorithm,
        /// The number of digits that it asks for.
        expected: usize,
        /// The number of characters found.
        actual: usize,
        /// The text, shortened.
        text: String,
    },
    /// A character is not a lower case hex digit.
    #[error("{character:?} is not a lower case hex digit, in the digest {text:?}")]
    Character {
        /// The first such character.
        character: char,
        /// The text, shortened.
        text: String,
    },
}

impl Digest {
    /// Computes the digest of some bytes.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// Computes the sha256 digest of some bytes.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }

    /// The digest's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash itself: 32 bytes for sha256, 64 for sha512.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.bytes()).unwrap_or(&self.bytes)
    }

    /// The lower case hex digits, without the algorithm: a blob's file name in a layout.
    pub fn hex(&self) -> String {
        self.as_bytes().iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 0xf)]).collect()
    }

    /// Where a layout keeps the blob of this digest, relative to the layout: `blobs/ALGORITHM/HEX`.
    pub fn blob_path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm, self.hex())
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; MAX_BYTES];
        for (byte, value) in bytes.iter_mut().zip(hash) {
            *byte = *value;
        }
        Digest { algorithm, bytes }
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        _ => None,
    }
}

/// The beginning of a foreign text, as much as an error message should show of it.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 160;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| DigestError::NoSeparator { text: shorten(text) })?;
        let algorithm =
            Algorithm::from_name(name).ok_or_else(|| DigestError::Algorithm { algorithm: shorten(name) })?;
        let expected = algorithm.bytes().saturating_mul(2);
        if let Some(character) = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(DigestError::Character { character, text: shorten(text) });
        }
        if hex.len() != expected {
            return Err(DigestError::Length { algorithm, expected, actual: hex.len(), text: shorten(text) });
        }
        let mut bytes = [0; MAX_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { continue };
            *byte = (hex_value(*high).unwrap_or(0) << 4) | hex_value(*low).unwrap_or(0);
        }
        Ok(Digest { algorithm, bytes })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Computes a digest piece by piece.
#[derive(Clone, Debug)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(data),
            Hasher::Sha512(hasher) => hasher.update(data),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            Hasher::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type IsExpected = fn(&DigestError) -> bool;

    const EMPTY_256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn known_digests_round_trip() {
        for (algorithm, text) in [(Algorithm::Sha256, EMPTY_256), (Algorithm::Sha512, EMPTY_512)] {
            let digest = Digest::of(algorithm, b"");
            assert_eq!(digest.to_string(), text);
            assert_eq!(text.parse(), Ok(digest));
            assert_eq!(digest.as_bytes().len(), algorithm.bytes());
            assert_eq!(digest.blob_path(), format!("blobs/{}", text.replace(':', "/")));
        }
    }

    #[test]
    fn hostile_digests_are_refused() {
        let upper = EMPTY_256.to_uppercase().replace("SHA256", "sha256");
        let cases: &[(&str, IsExpected)] = &[
            ("", |e| matches!(e, DigestError::NoSeparator { .. })),
            ("sha256", |e| matches!(e, DigestError::NoSeparator { .. })),
            ("sha256:", |e| matches!(e, DigestError::Length { actual: 0, .. })),
            ("sha256:../../etc/passwd", |e| matches!(e, DigestError::Character { character: '.', .. })),
            ("sha256:abc", |e| matches!(e, DigestError::Length { actual: 3, expected: 64, .. })),
            (&upper, |e| matches!(e, DigestError::Character { .. })),
            ("SHA256:e3b0", |e| matches!(e, DigestError::Algorithm { .. })),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", |e| matches!(e, DigestError::Algorithm { .. })),
            ("sha384:00", |e| matches!(e, DigestError::Algorithm { .. })),
            ("../sha256:00", |e| matches!(e, DigestError::Algorithm { .. })),
            (&format!("{EMPTY_256}\n"), |e| matches!(e, DigestError::Character { character: '\n', .. })),
            (&format!("{EMPTY_256}/.."), |e| matches!(e, DigestError::Character { .. })),
            (&EMPTY_256.replace("sha256", "sha512"), |e| matches!(e, DigestError::Length { .. })),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Digest>().expect_err(text);
            assert!(expected(&error), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn an_error_shows_only_the_beginning_of_a_long_text() {
        let text = format!("sha256:{}", "0".repeat(1 << 20));
        let error = text.parse::<Digest>().expect_err("too long");
        assert!(error.to_string().len() < 400, "{error}");
    }
}
