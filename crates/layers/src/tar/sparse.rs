//! Sparse files: where the data that an archive has of a file belongs in it.
//!
//! There are four forms ("GNU tar", "Storing Sparse Files"): the map is in the header and in extension blocks behind
//! it (old GNU), in the PAX header (0.0 and 0.1), or at the start of the data (1.0). Whatever the form, the runs must
//! ascend, stay within the file, and be as long together as the data that is there.

use tar_core::GnuHeader;

use super::{Block, Field, Problem, number};
use crate::limits;

/// A piece of the file that the archive has data for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it starts in the file.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) length: u64,
}

/// Adds a run of a map that is being read.
pub(super) fn push_run(runs: &mut Vec<Run>, run: Run) -> Result<(), Problem> {
    if runs.len() >= limits::SPARSE_RUNS {
        return Err(Problem::TooManyRuns);
    }
    runs.push(run);
    Ok(())
}

/// Checks a complete map against the file's size and the bytes of data that are in the archive.
pub(super) fn check(runs: &[Run], size: u64, stored: u64) -> Result<(), Problem> {
    let mut end = 0;
    let mut mapped = 0;
    for &Run { offset, length } in runs {
        if offset < end {
            return Err(Problem::SparseOverlap { offset, end });
        }
        end = offset.checked_add(length).filter(|&end| end <= size).ok_or(Problem::SparseBeyondEnd {
            offset,
            length,
            size,
        })?;
        mapped += length;
    }
    if mapped != stored {
        return Err(Problem::SparseSize { mapped, stored });
    }
    Ok(())
}

/// Bytes of a descriptor in old GNU's form: two numeric fields, offset and length.
const DESCRIPTOR_BYTES: usize = 24;

/// Descriptors of an extension block; the flag that another block follows comes right after them.
const BLOCK_DESCRIPTORS: usize = 21;

/// Reads the descriptors of an old GNU header. True when an extension block follows.
pub(super) fn gnu_header(header: &GnuHeader, runs: &mut Vec<Run>) -> Result<bool, Problem> {
    runs.clear();
    for descriptor in &header.sparse {
        if !gnu_descriptor(&descriptor.offset, &descriptor.numbytes, runs)? {
            break;
        }
    }
    Ok(header.isextended != [0])
}

/// Reads the descriptors of an extension block. True when another one follows.
pub(super) fn gnu_extension(block: &Block, runs: &mut Vec<Run>) -> Result<bool, Problem> {
    for descriptor in block.chunks_exact(DESCRIPTOR_BYTES).take(BLOCK_DESCRIPTORS) {
        let (offset, length) = descriptor.split_at(DESCRIPTOR_BYTES / 2);
        if !gnu_descriptor(offset, length, runs)? {
            break;
        }
    }
    Ok(block.get(DESCRIPTOR_BYTES * BLOCK_DESCRIPTORS) != Some(&0))
}

/// Reads one descriptor. False for an unused one, which ends the map.
fn gnu_descriptor(offset: &[u8], length: &[u8], runs: &mut Vec<Run>) -> Result<bool, Problem> {
    if offset.first() == Some(&0) || length.first() == Some(&0) {
        return Ok(false);
    }
    let within = |bytes| number::header_within(bytes, Field::SparseMap, i64::MAX as u64);
    push_run(runs, Run { offset: within(offset)?, length: within(length)? })?;
    Ok(true)
}

/// Reads a map of format 1.0: decimal numbers, each with a newline behind it; first how many runs there are, then
/// the offset and length of each. Zeros fill the last block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MapReader {
    /// The number whose digits are being read.
    number: Option<u64>,
    /// Runs that are still to come, once their count is known.
    left: Option<u64>,
    /// The offset of a run whose length is still to come.
    offset: Option<u64>,
}

impl MapReader {
    /// Reads a block. True when the map is complete.
    pub(super) fn block(&mut self, block: &Block, runs: &mut Vec<Run>) -> Result<bool, Problem> {
        for &byte in block {
            match byte {
                b'0'..=b'9' => {
                    let value = self.number.unwrap_or(0);
                    let value = value
                        .checked_mul(10)
                        .and_then(|value| value.checked_add(u64::from(byte - b'0')))
                        .filter(|&value| value <= i64::MAX as u64)
                        .ok_or(Problem::BadSparseMap)?;
                    self.number = Some(value);
                }
                b'\n' => {
                    let value = self.number.take().ok_or(Problem::BadSparseMap)?;
                    if self.take(value, runs)? {
                        return Ok(true);
                    }
                }
                _ => return Err(Problem::BadSparseMap),
            }
        }
        Ok(false)
    }

    fn take(&mut self, value: u64, runs: &mut Vec<Run>) -> Result<bool, Problem> {
        let left = match (self.left, self.offset.take()) {
            (None, _) => {
                if value > limits::SPARSE_RUNS as u64 {
                    return Err(Problem::TooManyRuns);
                }
                runs.clear();
                value
            }
            (Some(left), None) => {
                self.offset = Some(value);
                left
            }
            (Some(left), Some(offset)) => {
                push_run(runs, Run { offset, length: value })?;
                left - 1
            }
        };
        self.left = Some(left);
        Ok(left == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BLOCK;
    use super::*;

    fn run(offset: u64, length: u64) -> Run {
        Run { offset, length }
    }

    #[test]
    fn maps_must_ascend_and_fit() {
        type Case<'a> = (&'a [Run], u64, u64, Result<(), Problem>);
        let table: [Case<'_>; 9] = [
            (&[], 0, 0, Ok(())),
            (&[], 1 << 40, 0, Ok(())),
            (&[run(0, 5), run(5, 5), run(100, 0)], 100, 10, Ok(())),
            (&[run(7, 0)], 7, 0, Ok(())),
            (&[run(0, 5), run(4, 5)], 100, 10, Err(Problem::SparseOverlap { offset: 4, end: 5 })),
            (&[run(50, 5), run(10, 5)], 100, 10, Err(Problem::SparseOverlap { offset: 10, end: 55 })),
            (&[run(96, 5)], 100, 5, Err(Problem::SparseBeyondEnd { offset: 96, length: 5, size: 100 })),
            (
                &[run(i64::MAX as u64, i64::MAX as u64), run(0, 2)],
                100,
                5,
                Err(Problem::SparseBeyondEnd { offset: i64::MAX as u64, length: i64::MAX as u64, size: 100 }),
            ),
            (&[run(0, 5)], 100, 6, Err(Problem::SparseSize { mapped: 5, stored: 6 })),
        ];
        for (runs, size, stored, expected) in table {
            assert_eq!(check(runs, size, stored), expected, "{runs:?}");
        }
    }

    fn read(text: &str) -> Result<Option<Vec<Run>>, Problem> {
        let mut reader = MapReader::default();
        let mut runs = Vec::new();
        for chunk in text.as_bytes().chunks(BLOCK) {
            let mut block = [0; BLOCK];
            block[..chunk.len()].copy_from_slice(chunk);
            if reader.block(&block, &mut runs)? {
                return Ok(Some(runs));
            }
        }
        Ok(None)
    }

    #[test]
    fn maps_in_the_data() {
        assert_eq!(read("0\n"), Ok(Some(vec![])));
        assert_eq!(read("2\n0\n512\n4096\n1\n"), Ok(Some(vec![run(0, 512), run(4096, 1)])));
        for text in ["\n", "1\n\n", "1\n2 3\n", "-1\n", "a", "1\n99999999999999999999\n1\n", "12"] {
            assert_eq!(read(text), Err(Problem::BadSparseMap), "{text:?}");
        }
        assert_eq!(read("10000000\n"), Err(Problem::TooManyRuns));
    }

    #[test]
    fn maps_in_the_data_may_be_many_blocks() {
        let mut text = String::from("1000\n");
        for number in 0..1000 {
            text += &format!("{}\n100\n", number * 1000);
        }
        let runs = read(&text).unwrap().unwrap();
        assert_eq!(runs.len(), 1000);
        assert_eq!(runs[999], run(999_000, 100));
        assert_eq!(read(&text[..512]), Ok(None));
    }
}
