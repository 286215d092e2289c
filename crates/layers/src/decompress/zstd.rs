//! zstd (RFC 8878): any number of frames, skippable ones between them.

use std::io::{self, Read};
use std::sync::Arc;

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::input::Input;
use super::window::{Share, WindowBudget};
use super::{DecompressError, Format};
use crate::limits;

/// First four bytes of a frame.
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// First four bytes of a skippable frame; the lowest four bits of the first are free.
const SKIPPABLE_MAGIC: [u8; 4] = 0x184d_2a50_u32.to_le_bytes();

/// Binary logarithms of the smallest and the largest window that the decoder can be told to take.
const WINDOW_LOG: (u32, u32) = (10, limits::ZSTD_WINDOW_MAX.ilog2());

/// Magic number and the longest frame header after it.
const HEADER_BYTES: usize = 18;

/// Whether a frame starts with these bytes.
pub(super) fn is_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) || is_skippable(bytes)
}

fn is_skippable(bytes: &[u8]) -> bool {
    let ([first, rest @ ..], [expected, expected_rest @ ..]) = (bytes, &SKIPPABLE_MAGIC) else {
        return false;
    };
    first & 0xf0 == *expected && rest.starts_with(expected_rest)
}

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    within_frame: bool,
    /// The largest window that a frame may have.
    window: u64,
    share: Share,
}

impl Zstd {
    pub(super) fn new(window: u64) -> io::Result<Self> {
        Ok(Self { decoder: decoder(window)?, within_frame: false, window, share: Share::default() })
    }

    /// Takes large windows from a budget.
    pub(super) fn share(&mut self, budget: Arc<WindowBudget>) {
        self.share = Share::of(budget);
    }

    /// Whether the next frame waits for room for its window.
    pub(super) fn is_waiting(&self) -> bool {
        self.share.is_waiting()
    }

    /// Whether that room is still missing.
    pub(super) fn is_blocked(&self) -> bool {
        self.share.is_blocked()
    }

    /// Decompresses into `output`. Returns 0 at the end, or where a frame waits for room.
    pub(super) fn read<R: Read>(&mut self, input: &mut Input<R>, output: &mut [u8]) -> Result<usize, DecompressError> {
        loop {
            if !self.within_frame {
                let header = input.look_ahead(HEADER_BYTES)?;
                if !is_frame(header) {
                    input.expect_padding(Format::Zstd)?;
                    return Ok(0);
                }
                let window = window_bytes(header);
                if window > self.window {
                    return Err(DecompressError::WindowTooLarge { offset: input.offset(), window, limit: self.window });
                }
                if !self.share.covers(window) {
                    // A new decoder first: it has no window, so that what is given back is really free.
                    let offset = input.offset();
                    self.decoder = decoder(self.window).map_err(|source| DecompressError::Read { offset, source })?;
                    if !self.share.take(window) {
                        return Ok(0);
                    }
                }
                self.within_frame = true;
            }
            // Even without input: output may wait inside the decoder.
            let status = self.decoder.run_on_buffers(input.available(), output).map_err(|error| {
                DecompressError::Corrupt { format: Format::Zstd, offset: input.offset(), reason: error.to_string() }
            })?;
            input.consume(status.bytes_read);
            self.within_frame = status.remaining > 0;
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if status.bytes_read == 0 && self.within_frame && !input.refill()? {
                return Err(DecompressError::Truncated { format: Format::Zstd, offset: input.offset() });
            }
        }
    }
}

/// A decoder that takes windows of up to so many bytes.
fn decoder(window: u64) -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    // More than any power of two is more than any window.
    let log = window.max(1).checked_next_power_of_two().map_or(WINDOW_LOG.1, u64::ilog2);
    decoder.set_parameter(DParameter::WindowLogMax(log.clamp(WINDOW_LOG.0, WINDOW_LOG.1)))?;
    Ok(decoder)
}

/// The window that a frame asks for, in bytes (RFC 8878, 3.1.1.1.2); 0 for one that has none or is cut off.
fn window_bytes(frame: &[u8]) -> u64 {
    /// Frame header descriptor: the frame is one segment, its content its window.
    const SINGLE_SEGMENT: u8 = 1 << 5;

    let Some((&descriptor, fields)) = frame.strip_prefix(&MAGIC).and_then(<[u8]>::split_first) else {
        return 0;
    };
    if descriptor & SINGLE_SEGMENT == 0 {
        let Some(&window) = fields.first() else {
            return 0;
        };
        let base = 1_u64 << (10 + (window >> 3));
        return base + base / 8 * u64::from(window & 7);
    }
    let dictionary_id_bytes = [0, 1, 2, 4];
    let content_size_bytes = [1, 2, 4, 8];
    let at = |table: [usize; 4], bits: u8| table.get(usize::from(bits & 3)).copied().unwrap_or(0);
    let size_bytes = at(content_size_bytes, descriptor >> 6);
    let size =
        fields.get(at(dictionary_id_bytes, descriptor)..).and_then(|rest| rest.get(..size_bytes)).unwrap_or_default();
    let size_value = size.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
    // Two bytes count from 256, as one can say what is less.
    if size_bytes == 2 { size_value + 256 } else { size_value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_from_frame_headers() {
        let table: [(&[u8], u64); 9] = [
            (&[0x00, 0x00], 1 << 10),
            (&[0x00, 17 << 3], 1 << 27),
            (&[0x00, 17 << 3 | 1], (1 << 27) + (1 << 24)),
            (&[0x00, 21 << 3], 1 << 31),
            (&[0x00, 0xff], (1 << 41) + 7 * (1 << 38)),
            (&[0x20, 200], 200),
            (&[0x60, 0, 1], 512),
            (&[0xa1, 9, 0, 0, 0, 0x10], 0x1000_0000),
            (&[0xe3, 9, 9, 9, 9, 0, 0, 0, 0, 1, 0, 0, 0], 1 << 32),
        ];
        for (fields, window) in table {
            let frame = [&MAGIC, fields].concat();
            assert_eq!(window_bytes(&frame), window, "{fields:x?}");
        }
        assert_eq!(window_bytes(&MAGIC), 0);
        assert_eq!(window_bytes(&SKIPPABLE_MAGIC), 0);
    }

    #[test]
    fn skippable_frames_have_sixteen_magic_numbers() {
        assert!(is_frame(&[0x50, 0x2a, 0x4d, 0x18]));
        assert!(is_frame(&[0x5f, 0x2a, 0x4d, 0x18, 0]));
        assert!(!is_frame(&[0x60, 0x2a, 0x4d, 0x18]));
        assert!(!is_frame(&[0x50, 0x2a, 0x4d]));
        assert!(!is_frame(&[]));
    }
}
