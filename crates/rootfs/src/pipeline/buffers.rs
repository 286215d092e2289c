//! Buffers that are used again and again: memory that is touched for the first time costs more than what is done in it.

use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of a buffer: long enough for long writes, short enough for a processor's cache.
const LENGTH: usize = 256 << 10;

/// Where buffers come from. They come back by themselves when they are dropped, wherever that is.
#[derive(Debug)]
pub(crate) struct Buffers {
    home: Sender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Buffers {
    /// No buffers yet.
    pub(crate) fn new() -> Self {
        let (home, spare) = channel();
        Self { home, spare }
    }

    /// A buffer that has come back, or else a new one. How many there are is bounded by how many are kept.
    pub(crate) fn take(&self) -> Buffer {
        let bytes = self.spare.try_recv().unwrap_or_else(|_| vec![0; LENGTH]);
        Buffer { bytes, length: 0, home: self.home.clone() }
    }
}

/// A buffer, and how much of it counts.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Sender<Vec<u8>>,
}

impl Buffer {
    /// Has `fill` write into the buffer and say how much. Tells whether that was less than the buffer could take.
    pub(crate) fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<bool, E> {
        self.length = fill(&mut self.bytes)?;
        Ok(self.length < self.bytes.len())
    }

    /// What counts.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // When nobody takes buffers any more, this one is just freed.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again() {
        let buffers = Buffers::new();
        let mut first = buffers.take();
        let last = first.fill(|room| {
            room[..3].copy_from_slice(b"abc");
            Ok::<_, ()>(3)
        });
        assert_eq!((last, first.bytes()), (Ok(true), &b"abc"[..]));
        drop(first);
        let mut again = buffers.take();
        assert_eq!(again.bytes(), b"");
        again.fill(|_| Ok::<_, ()>(3)).unwrap();
        assert_eq!(again.bytes(), b"abc");
    }
}
