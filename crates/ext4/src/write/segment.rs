//! A segment: the contents that one writer has taken, and where they are.
//!
//! The blocks of a segment are numbered from 0 in the order in which they came; where block 0 stands in the linear
//! space of the image, its *base*, may be known only later. Until then they stand in a segment file of their own.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::image::{BLOCK, Image, copy, punch, reserve, write_pair};
use crate::Error;
use crate::layout::geometry;

/// Blocks that are copied from the segment file at once, before their space there is given back: 64 MiB.
const COPY_STEP: u64 = 16 << 10;

/// Consecutive blocks of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first block's place in the file.
    pub(super) logical: u32,
    /// The first block's place in the segment.
    pub(super) start: u32,
    /// How many blocks.
    pub(super) len: u32,
}

/// The contents of one segment: their sizes and extents.
#[derive(Debug, Default)]
pub(super) struct Contents {
    extents: Vec<Extent>,
    /// Of each content, its size in bytes and where its extents end; they begin where those of the one before end.
    files: Vec<(u64, u32)>,
}

impl Contents {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Size in bytes and extents of content `index`.
    pub(super) fn get(&self, index: u32) -> Option<(u64, &[Extent])> {
        let index = index as usize;
        let &(size, end) = self.files.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.files.get(before)?.1,
            None => 0,
        };
        Some((size, self.extents.get(start as usize..end as usize)?))
    }

    /// Adds blocks to the content that is not closed yet.
    pub(super) fn add(&mut self, extent: Extent, longest: u32) {
        let first = self.files.last().map_or(0, |&(_, end)| end as usize);
        let mut rest = extent;
        if self.extents.len() > first
            && let Some(last) = self.extents.last_mut()
            && last.logical + last.len == rest.logical
            && last.start + last.len == rest.start
        {
            let more = rest.len.min(longest - last.len);
            last.len += more;
            rest = Extent { logical: rest.logical + more, start: rest.start + more, len: rest.len - more };
        }
        while rest.len > 0 {
            let len = rest.len.min(longest);
            self.extents.push(Extent { len, ..rest });
            rest = Extent { logical: rest.logical + len, start: rest.start + len, len: rest.len - len };
        }
    }

    /// Closes a content of `size` bytes; `None` if there are too many to number.
    pub(super) fn close(&mut self, size: u64) -> Option<u32> {
        let index = u32::try_from(self.files.len()).ok()?;
        let end = u32::try_from(self.extents.len()).ok()?;
        self.files.push((size, end));
        Some(index)
    }
}

/// Where a segment's blocks stand.
#[derive(Debug)]
enum Place {
    /// Its base is not known: in a segment file, if there are any yet.
    Waiting(Option<File>),
    /// In the image, from this linear block on.
    At(u64),
}

/// The blocks of a segment, wherever they are.
#[derive(Debug)]
pub(super) struct Blocks {
    image: Image,
    place: Place,
    /// How many there are.
    count: u64,
    /// How many of them the file system has been asked for space for.
    reserved: u64,
    /// How many of them the kernel has been told to write to the disk.
    written_back: u64,
}

/// Space is asked for ahead of what is written, as much as there is already, but not less and not more than this: 1 MiB
/// and 64 MiB. It halves the time that a host's ext4 needs for a write.
const RESERVE: std::ops::RangeInclusive<u64> = 256..=(16 << 10);

/// Write-back begins whenever so many blocks have come: 16 MiB.
const WRITE_BACK_STEP: u64 = 4 << 10;

impl Blocks {
    pub(super) fn new(image: Image) -> Self {
        Self { image, place: Place::Waiting(None), count: 0, reserved: 0, written_back: 0 }
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The linear block that block 0 is, once that is known.
    pub(super) const fn base(&self) -> Option<u64> {
        match self.place {
            Place::At(base) => Some(base),
            Place::Waiting(_) => None,
        }
    }

    /// Appends the bytes of both parts, together whole blocks.
    pub(super) fn append(&mut self, [mut first, mut second]: [&[u8]; 2]) -> Result<(), Error> {
        let blocks = (first.len() + second.len()) as u64 / BLOCK;
        self.reserve(blocks);
        match &mut self.place {
            Place::Waiting(file) => {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(self.image.segment_file()?),
                };
                let offset = self.count * BLOCK;
                write_pair(file, "write a segment file", offset, [first, second])?;
            }
            Place::At(base) => {
                for run in geometry::physical(*base + self.count, blocks) {
                    let bytes = usize::try_from(run.len * BLOCK).unwrap_or(usize::MAX);
                    let of_first = bytes.min(first.len());
                    let of_second = (bytes - of_first).min(second.len());
                    let (a, first_rest) = first.split_at(of_first);
                    let (b, second_rest) = second.split_at(of_second);
                    self.image.write_blocks(run.start, [a, b])?;
                    (first, second) = (first_rest, second_rest);
                }
            }
        }
        self.count += blocks;
        self.write_back(WRITE_BACK_STEP);
        Ok(())
    }

    /// Asks for space for `more` blocks and those that may follow. Where that fails, the write itself will tell.
    fn reserve(&mut self, more: u64) {
        let wanted = self.count + more;
        if wanted <= self.reserved {
            return;
        }
        let ahead = self.count.clamp(*RESERVE.start(), *RESERVE.end());
        let from = self.reserved.max(self.count);
        self.reserved = wanted + ahead;
        match &self.place {
            Place::Waiting(Some(file)) => reserve(file, from * BLOCK, (self.reserved - from) * BLOCK),
            Place::Waiting(None) => self.reserved = 0,
            Place::At(base) => {
                for run in geometry::physical(base + from, self.reserved - from) {
                    reserve(self.image.file(), run.start * BLOCK, run.len * BLOCK);
                }
            }
        }
    }

    /// Gives back the space that was asked for and not used.
    pub(super) fn release(&mut self) {
        let unused = self.reserved.saturating_sub(self.count);
        if let Place::At(base) = self.place {
            for run in geometry::physical(base + self.count, unused) {
                // Whether or not holes can be made, nothing has been written there.
                let _ = punch(self.image.file(), run.start * BLOCK, run.len * BLOCK);
            }
        }
        self.reserved = self.count;
    }

    /// Moves the blocks to the image, block 0 to linear block `base`; what is appended from here on goes there too.
    pub(super) fn place(&mut self, base: u64) -> Result<(), Error> {
        let Place::Waiting(file) = &mut self.place else {
            return Err(Error::Misuse("a segment can be placed once only"));
        };
        if let Some(file) = file.take() {
            let mut at = 0;
            while at < self.count {
                let step = COPY_STEP.min(self.count - at);
                let mut from = at;
                for run in geometry::physical(base + at, step) {
                    copy(&file, from * BLOCK, self.image.file(), run.start * BLOCK, run.len * BLOCK)?;
                    from += run.len;
                }
                // Where holes cannot be made, the space comes back when the file is closed.
                let _ = punch(&file, at * BLOCK, step * BLOCK);
                at += step;
            }
        }
        self.place = Place::At(base);
        self.reserved = self.count;
        self.write_back(WRITE_BACK_STEP);
        Ok(())
    }

    /// Begins the write-back of what has come since the last time, if it is `least` blocks or more.
    pub(super) fn write_back(&mut self, least: u64) {
        let Place::At(base) = self.place else {
            return;
        };
        let new = self.count - self.written_back;
        if new >= least {
            for run in geometry::physical(base + self.written_back, new) {
                self.image.begin_write_back(run);
            }
            self.written_back = self.count;
        }
    }
}

/// The contents that one [`ContentWriter`](super::ContentWriter) has taken.
#[derive(Debug)]
pub struct Segment {
    pub(super) contents: Contents,
    pub(super) blocks: Blocks,
}

impl Segment {
    /// Blocks that the contents take. The next segment's base is this one's and these.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        self.blocks.count()
    }

    /// How many contents there are.
    #[must_use]
    pub fn contents(&self) -> usize {
        self.contents.len()
    }

    /// The linear block of the image where the segment begins, if it has been placed.
    #[must_use]
    pub const fn base(&self) -> Option<u64> {
        self.blocks.base()
    }

    /// Moves contents that were written before their place was known there: from linear block `base` on.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the segment is in its place already; [`Error::Io`].
    pub fn place(&mut self, base: u64) -> Result<(), Error> {
        self.blocks.place(base)
    }

    /// The bytes of content `index`, holes as zeros: the first `limit` of them.
    ///
    /// # Errors
    /// [`Error::Misuse`] if the segment has not been placed or has no such content; [`Error::Io`].
    pub fn read(&self, index: u32, limit: usize) -> Result<Vec<u8>, Error> {
        let (Some((size, extents)), Some(base)) = (self.contents.get(index), self.base()) else {
            return Err(Error::Misuse("a content that is not in its place is read"));
        };
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(limit)];
        for extent in extents {
            let mut at = u64::from(extent.logical) * BLOCK;
            for run in geometry::physical(base + u64::from(extent.start), extent.len.into()) {
                let end = (at + run.len * BLOCK).min(bytes.len() as u64);
                let part = usize::try_from(at).ok().zip(usize::try_from(end).ok());
                if let Some(part) = part.and_then(|(start, end)| bytes.get_mut(start..end)) {
                    let offset = run.start * BLOCK;
                    let read = self.blocks.image.file().read_exact_at(part, offset);
                    read.map_err(|error| Error::io("read the image", offset, error))?;
                }
                at += run.len * BLOCK;
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(logical: u32, start: u32, len: u32) -> Extent {
        Extent { logical, start, len }
    }

    #[test]
    fn consecutive_blocks_are_one_extent_of_one_content() {
        let mut contents = Contents::default();
        contents.add(extent(0, 0, 1), 4);
        contents.add(extent(1, 1, 1), 4);
        contents.add(extent(5, 2, 1), 4);
        assert_eq!(contents.close(9), Some(0));
        contents.add(extent(6, 3, 1), 4);
        assert_eq!(contents.close(1), Some(1));
        assert_eq!(contents.close(0), Some(2));
        assert_eq!(contents.get(0), Some((9, &[extent(0, 0, 2), extent(5, 2, 1)][..])));
        assert_eq!(contents.get(1), Some((1, &[extent(6, 3, 1)][..])));
        assert_eq!(contents.get(2), Some((0, &[][..])));
        assert_eq!(contents.get(3), None);
    }

    #[test]
    fn extents_are_no_longer_than_ext4_allows() {
        let mut contents = Contents::default();
        contents.add(extent(0, 7, 3), 4);
        contents.add(extent(3, 10, 9), 4);
        contents.close(1);
        assert_eq!(contents.get(0), Some((1, &[extent(0, 7, 4), extent(4, 11, 4), extent(8, 15, 4)][..])));
    }
}
