//! An image as the files in it: what is at which path, and which of its bytes are there.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use banger_ext4::read::{self, Reader, Stat, WalkEntry};
use banger_ext4::spec::{FileType, inode_number};

use crate::error::{Error, Result};
use crate::raw::Raw;

/// The directory for what e2fsck finds, which mke2fs puts into the root of every file system.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// An image that is read as the files in it: an ext4 file system.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    reader: Reader<File>,
}

impl Files {
    /// Opens an image.
    ///
    /// # Errors
    /// It cannot be opened, or there is no ext4 file system in it that can be read.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = Reader::open(Raw::open(path)?.into_file()).map_err(|source| failed(path, source))?;
        let root = reader.stat(inode_number::ROOT).map_err(|source| failed(path, source))?;
        if root.file_type != FileType::Directory {
            return Err(failed(path, read::Error::Type { inode: inode_number::ROOT, want: "directory" }));
        }
        Ok(Self { path: path.to_owned(), reader })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The reader of its file system.
    pub fn reader(&self) -> &Reader<File> {
        &self.reader
    }

    /// That something in it could not be read.
    pub(crate) fn error(&self, source: read::Error) -> Error {
        failed(&self.path, source)
    }

    /// All that is in it: directories before what is in them, names sorted by their bytes. An empty `lost+found` is left out:
    /// it belongs to the file system, not to what is stored in it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<WalkEntry>> {
        self.reader.walk(inode_number::ROOT).map(|entry| entry.map_err(|source| self.error(source))).filter(|entry| {
            !entry.as_ref().is_ok_and(|entry| {
                entry.path == LOST_AND_FOUND
                    && entry.stat.file_type == FileType::Directory
                    && self.reader.read_dir(entry.stat.number).is_ok_and(|names| names.is_empty())
            })
        })
    }

    /// The bytes of a file that are stored, in order and none next to another; the others are holes.
    pub(crate) fn data(&self, stat: &Stat) -> Result<Vec<Range<u64>>> {
        let extents = self.reader.extents(stat.number).map_err(|source| self.error(source))?;
        let block = u64::from(self.reader.superblock().block_size());
        let mut data: Vec<Range<u64>> = Vec::new();
        for extent in extents.iter().filter(|extent| !extent.unwritten) {
            let start = u64::from(extent.logical) * block;
            // Blocks beyond the end are allowed: somebody has reserved them.
            let end = (start + u64::from(extent.len) * block).min(stat.size);
            match data.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ if start < end => data.push(start..end),
                _ => {}
            }
        }
        Ok(data)
    }

    /// Bytes of the file system.
    pub(crate) fn len(&self) -> u64 {
        let superblock = self.reader.superblock();
        superblock.blocks_count.saturating_mul(superblock.block_size().into())
    }

    /// Bytes of the file system that are in use: as many as there can be to read of its files.
    pub(crate) fn used(&self) -> u64 {
        let superblock = self.reader.superblock();
        let blocks = superblock.blocks_count.saturating_sub(superblock.free_blocks_count);
        blocks.saturating_mul(superblock.block_size().into())
    }
}

fn failed(path: &Path, source: read::Error) -> Error {
    Error::FileSystem { path: path.to_owned(), source: Box::new(source) }
}
