//! The first look at a root file system: its digest, and which of its blocks are not zero.
//!
//! Holes of the file are not read (lseek(2), `SEEK_DATA`), but that only saves time: what is zero is seen in the bytes.

use std::fs::File;
use std::path::Path;

use banger_oci::{Algorithm, Digest, Verifier};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::{BLOCK, IN_BLOCK, hash_zeros, is_zero, to_boundary};
use crate::error::{Error, Result};
use crate::file;
use crate::limits::RUNS;
use crate::watch::Watch;

/// A stretch of a file that is not all zeros. It begins at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What is to be known of a file before the first byte of its archive is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) size: u64,
    pub(super) sha256: Digest,
    pub(super) runs: Vec<Run>,
}

/// Looks at a whole file. Whoever watches is told nothing yet.
pub(super) fn survey(rootfs: &File, path: &Path, watch: &dyn Watch) -> Result<Survey> {
    let size = rootfs.metadata().map_err(Error::io("look at", path))?.len();
    let mut verifier = Verifier::new(Algorithm::Sha256);
    let mut runs = Runs::new(RUNS);
    let mut offset = 0;
    while offset < size {
        let (start, end) = next_data(rootfs, path, offset, size)?;
        hash_zeros(&mut verifier, start.saturating_sub(offset), watch)?;
        file::read_pieces(rootfs, path, (start, end), watch, |at, piece| {
            verifier.update(piece);
            add_blocks(&mut runs, at, piece);
            Ok(())
        })?;
        offset = end;
    }
    let (sha256, read) = verifier.digest();
    if read != size {
        return Err(Error::Changed { what: path.display().to_string() });
    }
    Ok(Survey { size, sha256, runs: runs.list })
}

/// The next stretch from `offset` on that is not a hole of the file, in whole blocks.
fn next_data(file: &File, path: &Path, offset: u64, size: u64) -> Result<(u64, u64)> {
    let seek = |to| match rustix::fs::seek(file, to) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(Error::io("look for holes in", path)(error.into())),
    };
    let Some(data) = seek(SeekFrom::Data(offset))? else { return Ok((size, size)) };
    let hole = seek(SeekFrom::Hole(data))?.unwrap_or(size);
    let start = (data.min(size) & !IN_BLOCK).max(offset);
    let end = hole.checked_next_multiple_of(BLOCK as u64).unwrap_or(size).min(size);
    Ok((start, end))
}

/// Adds what is not zero of a piece. A piece may begin and end within a block.
fn add_blocks(runs: &mut Runs, start: u64, piece: &[u8]) {
    let mut at = start;
    let mut rest = piece;
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(to_boundary(at).min(rest.len()));
        let end = at.saturating_add(block.len() as u64);
        if !is_zero(block) {
            runs.add(at, end);
        }
        (at, rest) = (end, behind);
    }
}

/// Runs as they are found, no more than a limit: where there would be more, those go together that have little between them.
struct Runs {
    list: Vec<Run>,
    limit: usize,
    /// Runs with less than this between them are one.
    gap: u64,
}

impl Runs {
    fn new(limit: usize) -> Self {
        Self { list: Vec::new(), limit, gap: BLOCK as u64 }
    }

    fn add(&mut self, start: u64, end: u64) {
        // A piece may have ended within a block whose rest is what comes now.
        let start = start & !IN_BLOCK;
        if let Some(last) = self.list.last_mut()
            && start < last.end.saturating_add(self.gap)
        {
            last.end = last.end.max(end);
            return;
        }
        self.list.push(Run { start, end });
        while self.list.len() > self.limit {
            self.gap = self.gap.saturating_mul(2);
            let gap = self.gap;
            self.list.dedup_by(|next, last| {
                let close = next.start < last.end.saturating_add(gap);
                if close {
                    last.end = next.end;
                }
                close
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Unwatched;
    use std::os::unix::fs::FileExt;

    const SIZE: u64 = BLOCK as u64;

    fn survey_of(size: u64, data: &[(u64, &[u8])]) -> Survey {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for (offset, bytes) in data {
            file.write_all_at(bytes, *offset).unwrap();
        }
        survey(&file, Path::new("it"), &Unwatched).unwrap()
    }

    fn runs(survey: &Survey) -> Vec<(u64, u64)> {
        survey.runs.iter().map(|run| (run.start / SIZE, run.end.div_ceil(SIZE))).collect()
    }

    #[test]
    fn what_is_zero_is_a_hole_wherever_the_host_has_one() {
        let zeros = vec![0; 3 << 20];
        let holes = survey_of(5 << 20, &[(SIZE * 3 + 17, b"x"), (SIZE * 600 - 1, b"xy"), (SIZE * 1000, b"z")]);
        let full = survey_of(
            5 << 20,
            &[
                (0, &zeros),
                (3 << 20, &zeros[..2 << 20]),
                (SIZE * 3 + 17, b"x"),
                (SIZE * 600 - 1, b"xy"),
                (SIZE * 1000, b"z"),
            ],
        );
        assert_eq!(holes, full);
        assert_eq!(runs(&holes), [(3, 4), (599, 601), (1000, 1001)]);
    }

    #[test]
    fn ends_within_a_block() {
        for (size, data, expected) in [
            (0, None, vec![]),
            (1, None, vec![]),
            (1, Some(0), vec![(0, 1)]),
            (SIZE + 5, Some(SIZE + 4), vec![(SIZE, SIZE + 5)]),
            (SIZE * 9 + 1, Some(SIZE * 8), vec![(SIZE * 8, SIZE * 9)]),
        ] {
            let data: Vec<_> = data.map(|offset| (offset, &b"x"[..])).into_iter().collect();
            let survey = survey_of(size, &data);
            let found: Vec<_> = survey.runs.iter().map(|run| (run.start, run.end)).collect();
            assert_eq!(found, expected, "{size}");
            let mut content = vec![0; usize::try_from(size).unwrap()];
            for (offset, _) in data {
                content[usize::try_from(offset).unwrap()] = b'x';
            }
            assert_eq!(survey.sha256, Digest::sha256(&content));
        }
    }

    #[test]
    fn the_smallest_holes_are_given_up_first() {
        let mut runs = Runs::new(4);
        // Gaps of 1, 1, 100, 1, 100 blocks.
        for block in [0, 2, 4, 105, 107, 208] {
            runs.add(block * SIZE, (block + 1) * SIZE);
        }
        let found: Vec<_> = runs.list.iter().map(|run| (run.start / SIZE, run.end / SIZE)).collect();
        assert_eq!(found, [(0, 5), (105, 108), (208, 209)]);
    }
}
