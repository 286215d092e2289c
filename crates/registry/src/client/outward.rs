//! A blob on its way out: exactly as many bytes as were announced, or an error that says whose fault it is.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use banger_oci::Digest;

use crate::progress::{Event, Progress};
use crate::transport::Fault;

/// Reads a part of a blob, tells how far it got, and ends when nobody wants it any more.
pub(super) struct Outward {
    pub(super) inner: Box<dyn Read + Send>,
    /// Bytes that are still to be read.
    pub(super) left: u64,
    /// Where in the blob it stands.
    pub(super) position: u64,
    pub(super) digest: Digest,
    pub(super) progress: Arc<dyn Progress>,
}

impl Read for Outward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other(Fault::Cancelled));
        }
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::other(Fault::Source(error))),
                Ok(0) => {
                    // The HTTP library would wait for the rest for ever.
                    let reason = format!("it ends after {} bytes, {} too early", self.position, self.left);
                    return Err(io::Error::other(Fault::Source(io::Error::new(io::ErrorKind::UnexpectedEof, reason))));
                }
                Ok(count) => break count,
            }
        };
        self.left = self.left.saturating_sub(count as u64);
        self.position = self.position.saturating_add(count as u64);
        self.progress.event(Event::Sent { digest: &self.digest, position: self.position });
        Ok(count)
    }
}

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outward")
            .field("digest", &self.digest)
            .field("position", &self.position)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
