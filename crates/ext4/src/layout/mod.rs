//! Where things go: groups, the places that are reserved in them, and the giving out of free blocks.
//!
//! Nothing here does I/O or knows an on-disk structure; all numbers are blocks of 4096 bytes, unless it says bytes.
//! [`geometry`] says which blocks are reserved whatever the size of the file system, and numbers the others without
//! gaps (the *linear* space in which data is laid down); [`size`] derives the number of inodes and the length of
//! the journal from the size; `space` gives out free blocks.

pub mod geometry;
pub mod size;
pub(crate) mod space;

/// Consecutive blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first block.
    pub start: u64,
    /// How many blocks.
    pub len: u64,
}

impl Run {
    /// The block after the last.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.len
    }
}
