//! gzip (RFC 1952): any number of members, one after the other.
//!
//! The inflater checks each member's header, CRC and length. This part finds the next member, and the end.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

use super::input::Input;
use super::{DecompressError, Format};

/// The first two bytes of a member (ID1, ID2).
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// DEFLATE's window is 32 KiB; a member cannot ask for another.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    /// The member being read; none between members.
    member: Option<Decompress>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { member: None }
    }

    /// Inflates into `output`. Returns 0 at the end only.
    pub(super) fn read<R: Read>(&mut self, input: &mut Input<R>, output: &mut [u8]) -> Result<usize, DecompressError> {
        loop {
            let member = match &mut self.member {
                Some(member) => member,
                None => {
                    if !input.look_ahead(MAGIC.len())?.starts_with(&MAGIC) {
                        input.expect_padding(Format::Gzip)?;
                        return Ok(0);
                    }
                    // Making one is as cheap as a reset, which would forget that there is a gzip header to read.
                    self.member.insert(Decompress::new_gzip(WINDOW_BITS))
                }
            };
            let (consumed_before, produced_before) = (member.total_in(), member.total_out());
            let result = member.decompress(input.available(), output, FlushDecompress::None);
            let consumed = (member.total_in() - consumed_before) as usize;
            let produced = (member.total_out() - produced_before) as usize;
            input.consume(consumed);
            match result {
                Ok(Status::StreamEnd) => self.member = None,
                Ok(_) if consumed == 0 && produced == 0 => {
                    if !input.available().is_empty() {
                        return Err(corrupt(input, "the inflater makes no progress".into()));
                    }
                    if !input.refill()? {
                        return Err(DecompressError::Truncated { format: Format::Gzip, offset: input.offset() });
                    }
                }
                Ok(_) => {}
                Err(error) => return Err(corrupt(input, error.to_string())),
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
    }
}

fn corrupt<R: Read>(input: &Input<R>, reason: String) -> DecompressError {
    DecompressError::Corrupt { format: Format::Gzip, offset: input.offset(), reason }
}
