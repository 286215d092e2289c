//! Checking content while it streams by.
//!
//! [`Verifier`] is told the bytes by whoever has them; [`Verified`] is a reader that tells itself. With either,
//! nothing is known before the end: the content must be read to its last byte, and the verdict asked for.

use crate::digest::{Algorithm, Digest, Hasher};
use std::io::{self, Read};

/// How content differs from what was promised of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is shorter or longer.
    #[error("it has {actual} bytes instead of {expected}")]
    Size {
        /// Bytes promised.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// It goes on beyond its promised end; how far was not looked at.
    #[error("it has more than its {expected} bytes")]
    Longer {
        /// Bytes promised.
        expected: u64,
    },
    /// It is other content.
    #[error("its digest is {actual} instead of {expected}")]
    Digest {
        /// Digest promised.
        expected: Box<Digest>,
        /// Digest found.
        actual: Box<Digest>,
    },
}

/// Computes the digest and the size of content that is passed through it.
///
/// ```
/// use banger_oci::{Digest, Verifier};
///
/// let expected = Digest::sha256(b"hello, world");
/// let mut verifier = Verifier::new(expected.algorithm());
/// verifier.update(b"hello, ");
/// verifier.update(b"world");
/// assert_eq!(verifier.finish(&expected, Some(12)), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    hasher: Hasher,
    size: u64,
}

impl Verifier {
    /// Begins content; the algorithm is that of the digest it will be compared with.
    pub fn new(algorithm: Algorithm) -> Self {
        Verifier { hasher: Hasher::new(algorithm), size: 0 }
    }

    /// Takes the next piece of the content.
    pub fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.size = self.size.saturating_add(data.len() as u64);
    }

    /// Bytes seen so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the content and gives its digest and size.
    pub fn digest(self) -> (Digest, u64) {
        (self.hasher.finish(), self.size)
    }

    /// Ends the content and compares it with what was promised. The size is not compared where none was promised.
    ///
    /// # Errors
    /// The first of size and digest that differs. A verifier of another algorithm than the expected digest's has
    /// computed something else, which is reported as the difference that it is.
    pub fn finish(self, expected: &Digest, size: Option<u64>) -> Result<(), Mismatch> {
        let (actual, actual_size) = self.digest();
        if let Some(size) = size
            && size != actual_size
        {
            return Err(Mismatch::Size { expected: size, actual: actual_size });
        }
        if actual != *expected {
            return Err(Mismatch::Digest { expected: Box::new(*expected), actual: Box::new(actual) });
        }
        Ok(())
    }
}

/// A reader that checks what it reads: its last read, the one that reports the end, fails when the content was not
/// the one promised. It never hands out a byte beyond the promised size.
///
/// The error is of kind [`io::ErrorKind::InvalidData`] and holds a [`Mismatch`].
#[derive(Debug)]
pub struct Verified<R> {
    inner: R,
    verifier: Option<Verifier>,
    expected: Digest,
    size: u64,
}

impl<R: Read> Verified<R> {
    /// Wraps a reader of the content that has this digest and this size in bytes.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Verified { inner, verifier: Some(Verifier::new(expected.algorithm())), expected, size }
    }

    /// Reads what is left, without keeping it, and gives the verdict.
    ///
    /// # Errors
    /// Those of the inner reader, and the mismatch.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(drop)
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(verifier) = &mut self.verifier else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            let verdict = self.verifier.take().map_or(Ok(()), |v| v.finish(&self.expected, Some(self.size)));
            return verdict.map(|()| 0).map_err(invalid);
        }
        verifier.update(buffer.get(..count).unwrap_or_default());
        if verifier.size() > self.size {
            return Err(invalid(Mismatch::Longer { expected: self.size }));
        }
        Ok(count)
    }
}

fn invalid(mismatch: Mismatch) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(error: &io::Error) -> &Mismatch {
        error.get_ref().and_then(|e| e.downcast_ref()).expect("a mismatch")
    }

    #[test]
    fn verified_reader_passes_the_right_content() {
        let content = vec![7; 100_000];
        let digest = Digest::sha256(&content);
        let mut read = Vec::new();
        Verified::new(&content[..], digest, 100_000).read_to_end(&mut read).expect("verified");
        assert_eq!(read, content);
        Verified::new(&content[..], digest, 100_000).finish().expect("verified");
    }

    #[test]
    fn shorter_longer_and_other_content_is_told_apart() {
        let digest = Digest::of(Algorithm::Sha512, b"right");
        let cases: [(&[u8], Mismatch); 4] = [
            (b"righ", Mismatch::Size { expected: 5, actual: 4 }),
            (b"", Mismatch::Size { expected: 5, actual: 0 }),
            (b"right!", Mismatch::Longer { expected: 5 }),
            (
                b"wrong",
                Mismatch::Digest {
                    expected: Box::new(digest),
                    actual: Box::new(Digest::of(Algorithm::Sha512, b"wrong")),
                },
            ),
        ];
        for (content, expected) in cases {
            let error = Verified::new(content, digest, 5).finish().expect_err("differs");
            assert_eq!(*mismatch(&error), expected);
        }
    }

    #[test]
    fn a_verifier_of_another_algorithm_does_not_agree() {
        let expected = Digest::of(Algorithm::Sha512, b"x");
        let mut verifier = Verifier::new(Algorithm::Sha256);
        verifier.update(b"x");
        assert!(matches!(verifier.finish(&expected, None), Err(Mismatch::Digest { .. })));
    }
}
