//! Directories: all of their entries, or one of a name.
//!
//! All entries are had by reading every block in turn, hashed directory or not. One of a name is searched through the
//! hash tree where there is one, as the kernel does it.

use std::sync::Arc;

use super::inode::Loaded;
use super::{Error, Reader, Source};
use crate::spec::htree::{self, CONTINUED, Hasher, IndexEntry};
use crate::spec::inode::flags;
use crate::spec::superblock::FLAG_UNSIGNED_HASH;
use crate::spec::{FileType, SpecError, compat, dirent};

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, 1 to 255 bytes without `/` and NUL.
    pub name: Vec<u8>,
    /// The number of the inode that it names.
    pub inode: u32,
    /// The inode's type, where the entry says it.
    pub file_type: Option<FileType>,
}

/// What is searched in a hash tree.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    hash: u32,
    name: &'a [u8],
}

/// A block of a directory.
struct Block {
    /// Where it stands.
    number: u64,
    bytes: Arc<[u8]>,
}

impl<S: Source> Reader<S> {
    /// The entries of directory `number` but `.` and `..`, in the order in which they are stored.
    ///
    /// # Errors
    /// [`Error`] if it is no directory, or if it, its extent tree or one of its blocks is damaged.
    pub fn read_dir(&self, number: u32) -> Result<Vec<DirEntry>, Error> {
        let directory = self.load_directory(number)?;
        let mut list = Vec::new();
        for logical in 0..self.directory_blocks(&directory)? {
            let block = self.directory_block(&directory, logical)?;
            for entry in dirent::entries(&block.bytes) {
                let entry = entry.map_err(|source| block.error(&directory, source))?;
                if entry.name == b"." || entry.name == b".." {
                    continue;
                }
                if entry.name.contains(&b'/') || entry.name.contains(&0) {
                    return Err(directory.error("it has a name with a slash or a NUL"));
                }
                list.push(DirEntry { name: entry.name.to_vec(), inode: entry.inode, file_type: entry.file_type });
            }
        }
        Ok(list)
    }

    /// The inode that `name` means in directory `number`, if it means one there. `.` and `..` are names as others.
    ///
    /// # Errors
    /// As for [`read_dir`](Self::read_dir), or if the directory's hash tree is damaged.
    pub fn find(&self, number: u32, name: &[u8]) -> Result<Option<u32>, Error> {
        let directory = self.load_directory(number)?;
        // The two stand in the first block, which a hash does not lead to.
        if name == b"." || name == b".." {
            return self.find_in(&directory, 0, name);
        }
        if self.is_hashed(&directory)
            && let Some(found) = self.find_by_hash(&directory, name)?
        {
            return Ok(found);
        }
        for logical in 0..self.directory_blocks(&directory)? {
            if let Some(inode) = self.find_in(&directory, logical, name)? {
                return Ok(Some(inode));
            }
        }
        Ok(None)
    }

    pub(super) fn load_directory(&self, number: u32) -> Result<Loaded, Error> {
        let loaded = self.load(number)?;
        if loaded.file_type != FileType::Directory {
            return Err(Error::Type { inode: number, want: "directory" });
        }
        if loaded.has_flag(flags::ENCRYPT) {
            return Err(loaded.unsupported("encrypted names"));
        }
        Ok(loaded)
    }

    /// Number of blocks of a directory. As it has no holes, it cannot be larger than the file system.
    pub(super) fn directory_blocks(&self, directory: &Loaded) -> Result<u32, Error> {
        let size = directory.inode.size;
        let blocks = size.checked_div(self.block_size()).unwrap_or(0);
        let fits = size.is_multiple_of(self.block_size()) && blocks > 0 && blocks < self.superblock.blocks_count;
        match u32::try_from(blocks) {
            Ok(blocks) if fits => Ok(blocks),
            _ => Err(directory.error("its size is not one that a directory has")),
        }
    }

    /// Whether the directory has a hash tree that can be used.
    fn is_hashed(&self, directory: &Loaded) -> bool {
        self.superblock.feature_compat & compat::DIR_INDEX != 0
            && directory.has_flag(flags::INDEX)
            && !directory.has_flag(flags::CASEFOLD)
    }

    /// Reads a block of a directory and checks its checksum.
    fn directory_block(&self, directory: &Loaded, logical: u32) -> Result<Block, Error> {
        let Some(number) = self.run_at(directory, logical)?.start else {
            return Err(directory.error("it is a directory with a hole"));
        };
        let block = Block { number, bytes: self.blocks.get(number, Some(directory.number))? };
        if let Some(seed) = directory.seed {
            let is_hashed = self.superblock.feature_compat & compat::DIR_INDEX != 0 && directory.has_flag(flags::INDEX);
            let checked = if is_hashed && logical == 0 {
                htree::decode_root(Some(seed), &block.bytes).map(|_| ())
            } else if is_hashed && htree::is_node(&block.bytes) {
                htree::decode_node(Some(seed), &block.bytes).map(|_| ())
            } else {
                dirent::verify_tail(seed, &block.bytes)
            };
            checked.map_err(|source| block.error(directory, source))?;
        }
        Ok(block)
    }

    /// Searches one linear block.
    fn find_in(&self, directory: &Loaded, logical: u32, name: &[u8]) -> Result<Option<u32>, Error> {
        let block = self.directory_block(directory, logical)?;
        for entry in dirent::entries(&block.bytes) {
            let entry = entry.map_err(|source| block.error(directory, source))?;
            if entry.name == name {
                return Ok(Some(entry.inode));
            }
        }
        Ok(None)
    }

    /// Searches the hash tree: `None` if it uses a hash that is not known here, else what it leads to.
    fn find_by_hash(&self, directory: &Loaded, name: &[u8]) -> Result<Option<Option<u32>>, Error> {
        let block = self.directory_block(directory, 0)?;
        // The checksum, where there is one, is checked already.
        let root = htree::decode_root(None, &block.bytes).map_err(|source| block.error(directory, source))?;
        let unsigned = self.superblock.flags & FLAG_UNSIGNED_HASH != 0;
        let Some(hasher) = Hasher::for_directory(root.hash_version, unsigned, &self.superblock.hash_seed) else {
            return Ok(None);
        };
        let hash = hasher.hash(name).major;
        let mut budget = self.directory_blocks(directory)?;
        self.search(directory, &root.entries, root.levels, Wanted { hash, name }, &mut budget).map(Some)
    }

    /// Searches below the entries of a root or node with `levels` levels of nodes below it.
    ///
    /// Where names of equal hash are spread over blocks, those after the first are marked, and are searched too. A
    /// marked block may be the first one below the next node, which then is marked itself. `budget` is the number of
    /// blocks that may still be read: no tree leads to a block twice.
    fn search(
        &self,
        directory: &Loaded,
        entries: &[IndexEntry],
        levels: u8,
        wanted: Wanted<'_>,
        budget: &mut u32,
    ) -> Result<Option<u32>, Error> {
        let first = entries.partition_point(|entry| entry.hash <= wanted.hash).saturating_sub(1);
        let mut candidates = entries.get(first..).unwrap_or(&[]).iter();
        let mut next = candidates.next();
        while let Some(entry) = next {
            *budget = budget.checked_sub(1).ok_or_else(|| directory.error("its hash tree runs in a circle"))?;
            let found = match levels.checked_sub(1) {
                None => self.find_in(directory, entry.block, wanted.name)?,
                Some(below) => {
                    let block = self.directory_block(directory, entry.block)?;
                    let entries =
                        htree::decode_node(None, &block.bytes).map_err(|source| block.error(directory, source))?;
                    self.search(directory, &entries, below, wanted, budget)?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
            next = candidates.next().filter(|entry| entry.hash == wanted.hash | CONTINUED);
        }
        Ok(None)
    }
}

impl Block {
    fn error(&self, directory: &Loaded, source: SpecError) -> Error {
        Error::Block { block: self.number, inode: Some(directory.number), source }
    }
}
