//! Walking a tree, in one order whatever the image: each directory before its entries, entries by the bytes of their
//! names.
//!
//! In a damaged image a directory may contain itself, or blocks of one directory may belong to others too. A walk
//! enters a directory once only and none whose path is longer than [`PATH_BYTES`], and reads no more directory blocks
//! than the file system has blocks; so it ends, in time and memory bounded by the size of the image.

use std::collections::BTreeSet;

use super::{DirEntry, Error, Reader, Source, Stat};
use crate::spec::FileType;

/// The longest path of a directory that a walk enters, in bytes. System calls take 4,096 at once; longer paths exist,
/// but each entry below has a copy of its own.
const PATH_BYTES: usize = 65_535;

/// Something that a walk has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkEntry {
    /// Names from the beginning of the walk to here, joined by `/`; empty for the beginning itself.
    pub path: Vec<u8>,
    /// What is there.
    pub stat: Stat,
}

/// A walk. After an error it goes on with what comes next.
#[derive(Debug)]
pub struct Walk<'r, S> {
    reader: &'r Reader<S>,
    /// The inode to begin with, until it has been met.
    start: Option<u32>,
    /// For each level, what is yet to come there, the next one last.
    levels: Vec<Vec<DirEntry>>,
    /// The path of the directory whose entries are on the last level, and where each level's path ends in it.
    path: Vec<u8>,
    ends: Vec<usize>,
    /// Directories that were entered.
    entered: BTreeSet<u32>,
    /// Directory blocks that may still be read.
    budget: u64,
}

impl<S: Source> Reader<S> {
    /// Walks from inode `number` down: the inode itself, and if it is a directory all that is below.
    pub fn walk(&self, number: u32) -> Walk<'_, S> {
        Walk {
            reader: self,
            start: Some(number),
            levels: Vec::new(),
            path: Vec::new(),
            ends: Vec::new(),
            entered: BTreeSet::new(),
            budget: self.superblock.blocks_count,
        }
    }
}

impl<S: Source> Walk<'_, S> {
    /// Meets `number` at `path`; a directory's entries come next.
    fn meet(&mut self, number: u32, file_type: Option<FileType>, path: Vec<u8>) -> Result<WalkEntry, Error> {
        let stat = self.reader.stat(number)?;
        let problem = |problem| Error::Inode { inode: number, problem };
        if file_type.is_some_and(|said| said != stat.file_type) {
            return Err(problem("it is not of the type that its directory entry says"));
        }
        if stat.file_type == FileType::Directory {
            if !self.entered.insert(number) {
                return Err(problem("it is a directory with two names"));
            }
            if path.len() > PATH_BYTES {
                return Err(problem("it is a directory with too long a path"));
            }
            let loaded = self.reader.load_directory(number)?;
            let blocks = self.reader.directory_blocks(&loaded)?;
            let Some(budget) = self.budget.checked_sub(blocks.into()) else {
                return Err(problem("directories have more blocks than there are"));
            };
            self.budget = budget;
            let mut entries = self.reader.read_dir(number)?;
            entries.sort_unstable_by(|one, other| other.name.cmp(&one.name));
            self.levels.push(entries);
            self.ends.push(self.path.len());
            self.path.clone_from(&path);
        }
        Ok(WalkEntry { path, stat })
    }
}

impl<S: Source> Iterator for Walk<'_, S> {
    type Item = Result<WalkEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(number) = self.start.take() {
            return Some(self.meet(number, None, Vec::new()));
        }
        loop {
            let Some(entry) = self.levels.last_mut()?.pop() else {
                self.levels.pop();
                self.path.truncate(self.ends.pop().unwrap_or(0));
                continue;
            };
            let mut path = self.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(&entry.name);
            let met = self.meet(entry.inode, entry.file_type, path.clone());
            return Some(met.map_err(|source| Error::At { path, source: Box::new(source) }));
        }
    }
}
