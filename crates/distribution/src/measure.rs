//! What is to be known of an archive before it can be sent: its size and digest, and the digest of what is in it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use banger_disk::Observer;
use banger_oci::{Algorithm, Digest, Verifier};

use crate::error::{Error, Result};

/// Bytes that are read and decompressed at once.
const PIECE: usize = 256 << 10;

/// Binary logarithm of the largest window: 128 MiB, which is what bundles and kernel archives have.
const WINDOW_LOG: u32 = 27;

/// What is known of an archive.
pub(crate) struct Measured {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Digest of the archive before it was compressed.
    pub(crate) diff_id: Digest,
}

/// Reads an archive that is compressed with zstd from its beginning to its end. Of `total` bytes, `before` have been read.
pub(crate) fn archive(
    file: &File,
    path: &Path,
    (before, total): (u64, u64),
    observer: &dyn Observer,
) -> Result<Measured> {
    let mut blob = Verifier::new(Algorithm::Sha256);
    let mut content = Verifier::new(Algorithm::Sha256);
    let mut failed = None;
    {
        let tapped = Tapped { inner: file, verifier: &mut blob, failed: &mut failed };
        let decompress = |error| Error::Archive { path: path.to_owned(), source: error };
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(PIECE, tapped)).map_err(decompress)?;
        decoder.window_log_max(WINDOW_LOG).map_err(decompress)?;
        let mut buffer = vec![0; PIECE];
        loop {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => content.update(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What the file says goes before what the decoder makes of it.
                    let failed = decoder.get_mut().get_mut().failed.take();
                    return Err(failed.map_or_else(|| decompress(error), Error::io("read", path)));
                }
            }
            let done = decoder.get_ref().get_ref().verifier.size();
            observer.advanced(before.saturating_add(done), total);
        }
    }
    let (digest, size) = blob.digest();
    if size == 0 {
        let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty");
        return Err(Error::Archive { path: path.to_owned(), source });
    }
    Ok(Measured { digest, size, diff_id: content.digest().0 })
}

/// A reader that remembers what went through it.
struct Tapped<'a, R> {
    inner: R,
    verifier: &'a mut Verifier,
    failed: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Tapped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.verifier.update(buffer.get(..count).unwrap_or_default());
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::from(error.kind());
                *self.failed = Some(error);
                Err(told)
            }
        }
    }
}

/// A writer that computes the digest of what goes through it.
pub(crate) struct Hashed<W> {
    inner: W,
    verifier: Verifier,
}

impl<W: Write> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, verifier: Verifier::new(Algorithm::Sha256) }
    }

    /// What it wrote to, the digest, and how many bytes there were.
    pub(crate) fn finish(self) -> (W, Digest, u64) {
        let (digest, size) = self.verifier.digest();
        (self.inner, digest, size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.verifier.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
