//! The free blocks of a file system, and the giving out of them.
//!
//! Free space is a sorted list of runs; what is given out is taken from the front of a run, and nothing ever comes
//! back. The search begins at the place that [`FreeSpace::start_at`] says and goes round. What is given out depends on the
//! order of the requests alone.

use super::Run;

/// The free blocks of a file system.
#[derive(Clone, Debug)]
pub(crate) struct FreeSpace {
    /// Sorted, disjoint; exhausted runs stay, with no length.
    runs: Vec<Run>,
    /// Blocks in all runs.
    free: u64,
    /// Index of the run where the search for any block begins.
    any: usize,
    /// Index of the run where the search for consecutive blocks begins. It has its own, as it passes over runs that
    /// are too short, which a search for any block then uses.
    consecutive: usize,
    /// No run has this many blocks. (Runs only shrink, so a search that failed once fails ever after.)
    too_many: u64,
}

impl FreeSpace {
    /// Free space of `runs`, which are sorted and disjoint.
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        let free = runs.iter().map(|run| run.len).sum();
        Self { runs, free, any: 0, consecutive: 0, too_many: u64::MAX }
    }

    /// Begins the search at the first run at or after `block`.
    pub(crate) fn start_at(&mut self, block: u64) {
        let index = self.runs.partition_point(|run| run.start < block);
        let index = if index == self.runs.len() { 0 } else { index };
        self.any = index;
        self.consecutive = index;
    }

    /// Blocks that are free.
    pub(crate) const fn free(&self) -> u64 {
        self.free
    }

    /// The free runs, sorted.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> {
        self.runs.iter().copied().filter(|run| run.len > 0)
    }

    /// One block.
    pub(crate) fn one(&mut self) -> Option<u64> {
        self.some(1).map(|run| run.start)
    }

    /// `len` (> 0) consecutive blocks.
    pub(crate) fn consecutive(&mut self, len: u64) -> Option<u64> {
        if len >= self.too_many {
            return None;
        }
        let count = self.runs.len();
        for step in 0..count {
            let index = (self.consecutive + step) % count;
            let Some(run) = self.runs.get_mut(index) else {
                break;
            };
            if run.len >= len {
                let start = run.start;
                run.start += len;
                run.len -= len;
                self.free -= len;
                self.consecutive = index;
                return Some(start);
            }
        }
        self.too_many = len;
        None
    }

    /// At least one and at most `len` (> 0) consecutive blocks: what the next free run has.
    pub(crate) fn some(&mut self, len: u64) -> Option<Run> {
        let count = self.runs.len();
        for step in 0..count {
            let index = (self.any + step) % count;
            let Some(run) = self.runs.get_mut(index) else {
                break;
            };
            if run.len > 0 {
                let taken = Run { start: run.start, len: run.len.min(len) };
                run.start += taken.len;
                run.len -= taken.len;
                self.free -= taken.len;
                self.any = index;
                return Some(taken);
            }
        }
        None
    }

    /// `len` blocks: consecutive where that can be, else as the free runs have them. `None`, and nothing is taken, if
    /// there are not that many.
    pub(crate) fn take(&mut self, len: u64) -> Option<Vec<Run>> {
        if len > self.free {
            return None;
        }
        if len == 0 {
            return Some(Vec::new());
        }
        if let Some(start) = self.consecutive(len) {
            return Some(vec![Run { start, len }]);
        }
        let mut taken: Vec<Run> = Vec::new();
        let mut left = len;
        while left > 0 {
            let run = self.some(left)?;
            left -= run.len;
            taken.push(run);
        }
        // The search goes round, so the pieces may be out of order, which costs nothing but a seek.
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> FreeSpace {
        let mut space =
            FreeSpace::new(vec![Run { start: 10, len: 2 }, Run { start: 20, len: 1 }, Run { start: 30, len: 5 }]);
        space.start_at(15);
        space
    }

    #[test]
    fn search_begins_where_told_and_goes_round() {
        let mut space = space();
        let given: Vec<u64> = std::iter::from_fn(|| space.one()).collect();
        assert_eq!(given, [20, 30, 31, 32, 33, 34, 10, 11]);
        assert_eq!(space.free(), 0);
        assert_eq!(space.runs().count(), 0);
    }

    #[test]
    fn consecutive_blocks_pass_over_short_runs_which_stay_in_use() {
        let mut space = space();
        assert_eq!(space.consecutive(2), Some(30));
        assert_eq!(space.consecutive(4), None);
        assert_eq!(space.consecutive(3), Some(32));
        assert_eq!(space.consecutive(2), Some(10));
        assert_eq!(space.consecutive(2), None);
        assert_eq!(space.one(), Some(20));
        assert_eq!(space.one(), None);
    }

    #[test]
    fn many_blocks_are_scattered_only_if_they_must() {
        let mut space = space();
        assert_eq!(space.take(4), Some(vec![Run { start: 30, len: 4 }]));
        assert_eq!(
            space.take(4),
            Some(vec![Run { start: 20, len: 1 }, Run { start: 34, len: 1 }, Run { start: 10, len: 2 }])
        );
        assert_eq!(space.take(1), None);
        assert_eq!(space.take(0), Some(vec![]));
    }
}
