//! gzip (RFC 1952): any number of members, one after the other.
//!
//! Headers and trailers are read here and the inflater gets bare DEFLATE, because it cannot be asked to leave out the
//! CRC: an eighth of the time, and of no use to those who hash the output anyway.

use std::io::Read;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::input::Input;
use super::{DecompressError, Format};

/// The first two bytes of a member (ID1, ID2).
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The only compression method (CM): DEFLATE.
const METHOD_DEFLATE: u8 = 8;

/// Header flags (FLG): a CRC of the header; extra fields; a file name; a comment; bits that must be zero.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

/// Bytes behind the flags that mean nothing here: time (MTIME), effort (XFL), system (OS).
const UNUSED_BYTES: usize = 6;

pub(super) struct Gzip {
    inflater: Decompress,
    within_member: bool,
    /// The CRC of the member's content so far, if it is wanted.
    crc: Option<Crc>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { inflater: Decompress::new(false), within_member: false, crc: Some(Crc::new()) }
    }

    /// Leaves the CRC of the contents unchecked.
    pub(super) fn without_crc(&mut self) {
        self.crc = None;
    }

    /// Inflates into `output`. Returns 0 at the end only.
    pub(super) fn read<R: Read>(&mut self, input: &mut Input<R>, output: &mut [u8]) -> Result<usize, DecompressError> {
        loop {
            if !self.within_member {
                if !input.look_ahead(MAGIC.len())?.starts_with(&MAGIC) {
                    input.expect_padding(Format::Gzip)?;
                    return Ok(0);
                }
                header(input)?;
                self.inflater.reset(false);
                if let Some(crc) = &mut self.crc {
                    crc.reset();
                }
                self.within_member = true;
            }
            if input.available().is_empty() {
                input.refill()?;
            }
            let consumed_before = self.inflater.total_in();
            let produced_before = self.inflater.total_out();
            let result = self.inflater.decompress(input.available(), output, FlushDecompress::None);
            let consumed = (self.inflater.total_in() - consumed_before) as usize;
            let produced = (self.inflater.total_out() - produced_before) as usize;
            input.consume(consumed);
            if let Some(crc) = &mut self.crc {
                crc.update(output.get(..produced).unwrap_or_default());
            }
            match result {
                Ok(Status::StreamEnd) => {
                    self.trailer(input)?;
                    self.within_member = false;
                }
                Ok(_) if consumed == 0 && produced == 0 => {
                    return Err(if input.available().is_empty() {
                        truncated(input)
                    } else {
                        corrupt(input, "the inflater makes no progress")
                    });
                }
                Ok(_) => {}
                Err(error) => return Err(corrupt(input, error)),
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
    }

    /// Reads what follows the compressed data: the CRC of the content, and the lower 32 bits of its length.
    fn trailer<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), DecompressError> {
        let [crc, length] = [word(input)?, word(input)?];
        if self.crc.as_ref().is_some_and(|found| found.sum() != crc) {
            return Err(corrupt(input, "the content of a member does not have the member's CRC"));
        }
        if self.inflater.total_out() as u32 != length {
            return Err(corrupt(input, "the content of a member does not have the member's length"));
        }
        Ok(())
    }
}

/// Reads a member's header, magic number and all.
fn header<R: Read>(input: &mut Input<R>) -> Result<(), DecompressError> {
    let mut crc = Crc::new();
    let mut next = |input: &mut Input<R>| {
        let byte = byte(input)?;
        crc.update(&[byte]);
        Ok::<u8, DecompressError>(byte)
    };
    for _ in MAGIC {
        next(input)?;
    }
    let method = next(input)?;
    if method != METHOD_DEFLATE {
        return Err(corrupt(input, format_args!("unknown compression method {method}")));
    }
    let flags = next(input)?;
    if flags & RESERVED != 0 {
        return Err(corrupt(input, format_args!("unknown header flags {flags:#04x}")));
    }
    for _ in 0..UNUSED_BYTES {
        next(input)?;
    }
    if flags & EXTRA != 0 {
        let length = u16::from_le_bytes([next(input)?, next(input)?]);
        for _ in 0..length {
            next(input)?;
        }
    }
    for flag in [NAME, COMMENT] {
        while flags & flag != 0 && next(input)? != 0 {}
    }
    if flags & HEADER_CRC != 0 {
        let found = crc.sum() as u16;
        if u16::from_le_bytes([byte(input)?, byte(input)?]) != found {
            return Err(corrupt(input, "a member's header does not have its CRC"));
        }
    }
    Ok(())
}

fn byte<R: Read>(input: &mut Input<R>) -> Result<u8, DecompressError> {
    let Some(&byte) = input.look_ahead(1)?.first() else {
        return Err(truncated(input));
    };
    input.consume(1);
    Ok(byte)
}

fn word<R: Read>(input: &mut Input<R>) -> Result<u32, DecompressError> {
    let mut bytes = [0; 4];
    for to in &mut bytes {
        *to = byte(input)?;
    }
    Ok(u32::from_le_bytes(bytes))
}

fn truncated<R: Read>(input: &Input<R>) -> DecompressError {
    DecompressError::Truncated { format: Format::Gzip, offset: input.offset() }
}

fn corrupt<R: Read>(input: &Input<R>, reason: impl std::fmt::Display) -> DecompressError {
    DecompressError::Corrupt { format: Format::Gzip, offset: input.offset(), reason: reason.to_string() }
}
