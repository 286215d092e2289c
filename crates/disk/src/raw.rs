//! An image as the bytes of a disk: a file, or a block device.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Error, IoContext, Result};
use crate::sparse::{self, Extents};

/// An image that is read as the bytes of a disk.
#[derive(Debug)]
pub struct Raw {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Raw {
    /// Opens an image.
    ///
    /// # Errors
    /// It cannot be opened, or it is neither a file nor a block device.
    pub fn open(path: &Path) -> Result<Self> {
        // Somebody else's pipe of the name must not be waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open", path)?);
        let metadata = file.metadata().at("read the size of", path)?;
        let len = if metadata.is_file() {
            metadata.len()
        } else if metadata.file_type().is_block_device() {
            // The length of a device is where its end is.
            (&file).seek(SeekFrom::End(0)).at("read the size of", path)?
        } else {
            return Err(Error::NoFile { path: path.to_owned() });
        };
        Ok(Self { file, path: path.to_owned(), len })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file alone.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes, when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What of it may be other than zeros, in order.
    pub fn data(&self) -> Extents<'_> {
        sparse::data(&self.file, 0..self.len)
    }

    /// Fills `buffer` with what stands at `offset`. What is not there any more, as the file has become shorter, is an error.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buffer, offset).at("read", &self.path)
    }

    /// Whether it is what stands at `path`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let (Ok(own), Ok(other)) = (self.file.metadata(), path.symlink_metadata()) else { return false };
        (own.dev(), own.ino()) == (other.dev(), other.ino())
    }
}
