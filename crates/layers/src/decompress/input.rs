//! The compressed bytes, buffered.

use std::io::{self, Read};

use super::{DecompressError, Format};

/// Bytes read from the source at once. Larger gains nothing; much smaller costs the inflater restarts.
const BUFFER_BYTES: usize = 256 << 10;

/// A buffer over the source that can look ahead without losing what it has, and knows its place.
pub(super) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset in the blob of `buffer[start]`.
    offset: u64,
    ended: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0, offset: 0, ended: false }
    }

    /// Where the next byte to be consumed stands in the blob.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    pub(super) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    pub(super) fn into_source(self) -> R {
        self.source
    }

    pub(super) fn available(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        self.offset += count as u64;
    }

    /// Reads more behind what is available. False when the source has ended, or the buffer is full.
    pub(super) fn refill(&mut self) -> Result<bool, DecompressError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let read_so_far = self.offset + self.end as u64;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        if self.ended || room.is_empty() {
            return Ok(false);
        }
        let count = read(&mut self.source, room, read_so_far)?;
        self.ended = count == 0;
        self.end += count;
        Ok(count > 0)
    }

    /// At least `count` bytes, or all there are before the end; `count` is small against the buffer.
    pub(super) fn look_ahead(&mut self, count: usize) -> Result<&[u8], DecompressError> {
        while self.available().len() < count && self.refill()? {}
        Ok(self.available())
    }

    /// Reads without the detour over the buffer, once that is empty.
    pub(super) fn read_through(&mut self, output: &mut [u8]) -> Result<usize, DecompressError> {
        let available = self.available();
        let count = if available.is_empty() {
            let count = read(&mut self.source, output, self.offset)?;
            self.offset += count as u64;
            count
        } else {
            let count = available.len().min(output.len());
            if let (Some(to), Some(from)) = (output.get_mut(..count), available.get(..count)) {
                to.copy_from_slice(from);
            }
            self.consume(count);
            count
        };
        Ok(count)
    }

    /// Reads to the end of the source: nothing but zeros may be left.
    ///
    /// The source is read to its last byte in any case where this succeeds, so that it can check a digest.
    pub(super) fn expect_padding(&mut self, format: Format) -> Result<(), DecompressError> {
        loop {
            let rest = self.available();
            if let Some(zeros) = rest.iter().position(|&byte| byte != 0) {
                return Err(DecompressError::TrailingGarbage { format, offset: self.offset + zeros as u64 });
            }
            self.consume(rest.len());
            if !self.refill()? {
                return Ok(());
            }
        }
    }
}

fn read(source: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<usize, DecompressError> {
    loop {
        match source.read(buffer) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(DecompressError::Read { offset, source }),
        }
    }
}
