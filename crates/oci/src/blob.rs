//! Blobs: contents found by digest, and readers of them.

use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::verify::{Mismatch, Verifier};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where the blobs of images are kept: a layout, an archive, or a registry.
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Opens a blob for reading from its beginning. Cheap enough to be called again, from any thread.
    ///
    /// # Errors
    /// The blob is not there, cannot be opened, or is seen at once to have another size than the descriptor says.
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader>;

    /// The name of the place, as errors show it.
    fn place(&self) -> String;

    /// Told when what was read of a blob turned out to be other content. Whether to open it again makes sense: it has
    /// been removed from here, and can be had anew.
    ///
    /// # Errors
    /// It cannot be removed.
    fn discard(&self, _descriptor: &Descriptor) -> Result<bool> {
        Ok(false)
    }
}

/// Content that is still on its way.
///
/// What reads it need not check it: at its end it fails, with an error that holds a [`Mismatch`] or an [`Error`], unless
/// it was the content promised.
pub trait Arriving: Read + Send {
    /// Whether a read would not wait: something has arrived, or nothing more will.
    fn is_ready(&self) -> bool;
}

/// Reads a whole document and checks its size and digest. `what` names it in errors.
///
/// # Errors
/// Those of opening it; it is over the limit (in bytes), or is not the content that the descriptor promises.
pub fn document(blobs: &dyn Blobs, descriptor: &Descriptor, limit: u64, what: &str) -> Result<Vec<u8>> {
    if descriptor.size > limit {
        return Err(Error::Limit { what: what.to_owned(), actual: descriptor.size, limit, unit: "bytes" });
    }
    let damaged = |source| Error::Integrity { what: format!("{what} in {}", blobs.place()), source };
    let reader = blobs.open(descriptor).map_err(|error| match error {
        // The place knows only of blobs; here it is known what the blob is.
        Error::Integrity { source, .. } => damaged(source),
        Error::Missing { place, .. } => Error::Missing { what: what.to_owned(), place },
        error => error,
    })?;
    let bytes = read_limited(reader, descriptor.size, what)?
        .ok_or_else(|| damaged(Mismatch::Longer { expected: descriptor.size }))?;
    let mut verifier = Verifier::new(descriptor.digest.algorithm());
    verifier.update(&bytes);
    verifier.finish(&descriptor.digest, Some(descriptor.size)).map_err(damaged)?;
    Ok(bytes)
}

/// Reads to the end, or gives `None` when there are more bytes than the limit.
pub(crate) fn read_limited(reader: impl Read, limit: u64, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", what))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Reads a blob's bytes as they are kept, unverified unless [`is_checked`](Self::is_checked) says otherwise.
///
/// Reads of local files go straight to the file at an offset of the reader's own, without a buffer in between, so
/// that any number of readers can share one file; read in large pieces.
pub struct BlobReader {
    inner: Inner,
}

enum Inner {
    Range { file: Arc<File>, offset: u64, end: u64 },
    Stream(Box<dyn Read + Send>),
    Arriving(Box<dyn Arriving>),
}

impl BlobReader {
    /// A reader of `size` bytes of a file, from an offset on. A file that turns out to end before them is an error
    /// of kind [`io::ErrorKind::UnexpectedEof`].
    pub fn range(file: Arc<File>, offset: u64, size: u64) -> Self {
        BlobReader { inner: Inner::Range { file, offset, end: offset.saturating_add(size) } }
    }

    /// A reader of a stream: a pipe, or the body of a response.
    pub fn stream(stream: impl Read + Send + 'static) -> Self {
        BlobReader { inner: Inner::Stream(Box::new(stream)) }
    }

    /// A reader of content that is on its way, and checks itself.
    pub fn arriving(content: impl Arriving + 'static) -> Self {
        BlobReader { inner: Inner::Arriving(Box::new(content)) }
    }

    /// Whether size and digest are checked by the reader itself, which fails at its end if they differ.
    pub fn is_checked(&self) -> bool {
        matches!(self.inner, Inner::Arriving(_))
    }

    /// Whether a read would not wait for something that has yet to arrive, as far as is known.
    pub fn is_ready(&self) -> bool {
        match &self.inner {
            Inner::Arriving(content) => content.is_ready(),
            Inner::Range { .. } | Inner::Stream(_) => true,
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Range { file, offset, end } => {
                let left = usize::try_from(end.saturating_sub(*offset)).unwrap_or(usize::MAX);
                let length = buffer.len().min(left);
                let Some(buffer) = buffer.get_mut(..length).filter(|buffer| !buffer.is_empty()) else {
                    return Ok(0);
                };
                let count = file.read_at(buffer, *offset)?;
                if count == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
                }
                *offset = offset.saturating_add(count as u64);
                Ok(count)
            }
            Inner::Stream(stream) => stream.read(buffer),
            Inner::Arriving(content) => content.read(buffer),
        }
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Range { offset, end, .. } => write!(f, "BlobReader({offset}..{end})"),
            Inner::Stream(_) => f.write_str("BlobReader(stream)"),
            Inner::Arriving(_) => f.write_str("BlobReader(arriving)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn ranges_of_one_file_are_read_independently() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        let file = Arc::new(file);
        let mut first = BlobReader::range(file.clone(), 2, 5);
        let mut second = BlobReader::range(file.clone(), 0, 3);
        let (mut one, mut two) = ([0; 3], String::new());
        first.read_exact(&mut one).expect("read");
        second.read_to_string(&mut two).expect("read");
        assert_eq!((&one, two.as_str()), (b"234", "012"));
        let mut rest = String::new();
        first.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "56");
        assert_eq!(first.read(&mut one).expect("at the end"), 0);

        let error = BlobReader::range(file, 8, 5).read_to_string(&mut rest).expect_err("beyond the end");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
