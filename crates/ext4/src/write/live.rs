//! Which contents the image keeps, and where they stand.
//!
//! Contents that no node has (what an upper layer replaced or removed) are dead: their blocks become holes, and free.

use super::segment::{Extent as Stretch, Segment};
use super::tree::{Content, Payload, Tree};
use crate::Error;
use crate::layout::{Run, geometry};
use crate::spec::extent::Extent;

use super::extents::{from_runs, tree_blocks};

/// The contents of a tree.
#[derive(Debug)]
pub(super) struct Live<'a> {
    segments: &'a [Segment],
    /// Linear runs that the contents take, sorted.
    runs: Vec<Run>,
    /// For each segment, which of its contents are live.
    kept: Vec<Vec<bool>>,
}

impl<'a> Live<'a> {
    /// Finds the contents that `tree` has among those of `segments`.
    pub(super) fn new(tree: &Tree, segments: &'a [Segment]) -> Result<Self, Error> {
        let mut kept: Vec<Vec<bool>> = segments.iter().map(|segment| vec![false; segment.contents()]).collect();
        for node in tree.nodes() {
            let Payload::File(content) = node.payload else { continue };
            if content == Content::EMPTY {
                continue;
            }
            let mark = kept
                .get_mut(content.segment as usize)
                .and_then(|contents| contents.get_mut(content.index as usize))
                .ok_or(Error::Misuse("a file has a content that no segment holds"))?;
            if std::mem::replace(mark, true) {
                return Err(Error::Misuse("two files have the same content"));
            }
        }
        let mut live = Self { segments, runs: Vec::new(), kept };
        live.runs = live.collect()?;
        Ok(live)
    }

    /// Goes through the segments in the order of their places.
    fn collect(&self) -> Result<Vec<Run>, Error> {
        let mut placed = Vec::new();
        for (segment, kept) in self.segments.iter().zip(&self.kept) {
            let base = segment.base().ok_or(Error::Misuse("a segment has not been placed"))?;
            placed.push((base, segment, kept));
        }
        placed.sort_by_key(|&(base, segment, _)| (base, segment.blocks()));
        let mut runs: Vec<Run> = Vec::new();
        let mut end = 0;
        for (base, segment, kept) in placed {
            if base < end {
                return Err(Error::Misuse("two segments have been placed over each other"));
            }
            end = base + segment.blocks();
            for (index, _) in kept.iter().enumerate().filter(|&(_, &kept)| kept) {
                let stretches = u32::try_from(index).ok().and_then(|index| segment.contents.get(index));
                for stretch in stretches.map_or(&[][..], |(_, stretches)| stretches) {
                    let run = linear(base, stretch);
                    match runs.last_mut() {
                        Some(last) if last.end() == run.start => last.len += run.len,
                        _ => runs.push(run),
                    }
                }
            }
        }
        Ok(runs)
    }

    /// The linear runs that are kept, sorted.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Blocks that are kept.
    pub(super) fn blocks(&self) -> u64 {
        self.runs.iter().map(|run| run.len).sum()
    }

    /// The linear block after the last that was ever written.
    pub(super) fn end(&self) -> u64 {
        self.segments.iter().filter_map(|segment| segment.base().map(|base| base + segment.blocks())).max().unwrap_or(0)
    }

    /// The linear runs below `end` that are not kept, sorted.
    pub(super) fn gaps(&self, end: u64) -> impl Iterator<Item = Run> {
        let starts = std::iter::once(0).chain(self.runs.iter().map(Run::end));
        let ends = self.runs.iter().map(|run| run.start).chain(std::iter::once(end));
        starts.zip(ends).filter_map(move |(start, stop)| {
            let stop = stop.min(end);
            (start < stop).then(|| Run { start, len: stop - start })
        })
    }

    /// Size in bytes and blocks of a content, and where they stand according to `places`.
    pub(super) fn content<'b>(
        &'b self,
        content: Content,
        places: &'b Places,
    ) -> (u64, impl Iterator<Item = Extent> + 'b) {
        let segment = self.segments.get(content.segment as usize);
        let (size, stretches) = segment.and_then(|segment| segment.contents.get(content.index)).unwrap_or((0, &[]));
        let base = segment.and_then(Segment::base).unwrap_or(0);
        let extents =
            stretches.iter().flat_map(move |stretch| from_runs(stretch.logical, places.of(linear(base, stretch))));
        (size, extents)
    }

    /// Blocks that the extent trees of all contents of `tree` take outside their inodes.
    pub(super) fn tree_blocks(&self, tree: &Tree, places: &Places) -> u64 {
        let contents = tree.nodes().iter().map(|node| match node.payload {
            Payload::File(content) => tree_blocks(self.content(content, places).1.count() as u64),
            _ => 0,
        });
        contents.sum()
    }
}

/// The linear blocks of a stretch of a segment.
fn linear(base: u64, stretch: &Stretch) -> Run {
    Run { start: base + u64::from(stretch.start), len: stretch.len.into() }
}

/// Where linear blocks stand in the file system: where they were written, but for those beyond its end.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The linear block after the file system's last.
    end: u64,
    /// Blocks beyond the end and where they have gone: linear block and blocks of the file system, sorted.
    moved: Vec<(u64, Run)>,
}

impl Places {
    /// All in place, of a file system that ends before linear block `end`.
    pub(super) const fn new(end: u64) -> Self {
        Self { end, moved: Vec::new() }
    }

    /// Moves linear blocks from `linear` on, which are beyond the end and after all that was moved before.
    pub(super) fn relocate(&mut self, linear: u64, runs: Vec<Run>) {
        let mut linear = linear;
        for run in runs {
            self.moved.push((linear, run));
            linear += run.len;
        }
    }

    /// What has moved: linear block and blocks of the file system.
    pub(super) fn moved(&self) -> &[(u64, Run)] {
        &self.moved
    }

    /// The blocks of the file system that a linear run is.
    fn of(&self, run: Run) -> impl Iterator<Item = Run> + '_ {
        let inside = run.len.min(self.end.saturating_sub(run.start));
        let mut at = run.start + inside;
        let end = run.end();
        let outside = std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let index = self.moved.partition_point(|(linear, run)| linear + run.len <= at);
            let &(linear, moved) = self.moved.get(index)?;
            let skip = at - linear;
            let len = (moved.len - skip).min(end - at);
            at += len;
            Some(Run { start: moved.start + skip, len })
        });
        geometry::physical(run.start, inside).chain(outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_moved_is_found_in_pieces() {
        let mut places = Places::new(1000);
        places.relocate(1005, vec![Run { start: 20_000, len: 2 }, Run { start: 21_000, len: 3 }]);
        places.relocate(1020, vec![Run { start: 22_000, len: 1 }]);
        let of = |start, len| places.of(Run { start, len }).map(|run| (run.start, run.len)).collect::<Vec<_>>();
        assert_eq!(of(1, 2), [(258, 2)]);
        assert_eq!(of(1006, 3), [(20_001, 1), (21_000, 2)]);
        assert_eq!(of(1020, 1), [(22_000, 1)]);
        let mut places = Places::new(1000);
        places.relocate(1000, vec![Run { start: 30_000, len: 5 }]);
        let runs: Vec<_> = places.of(Run { start: 998, len: 4 }).collect();
        assert_eq!(runs, [Run { start: 998 + 257, len: 2 }, Run { start: 30_000, len: 2 }]);
    }
}
