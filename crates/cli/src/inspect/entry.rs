//! One file of an image with everything that is known about it.

use std::io::{self, Write};

use banger_ext4::read::{Error, Reader, Source, Stat, Xattr};
use banger_ext4::spec::FileType;
use sha2::{Digest, Sha256};

/// A file under one of its names.
#[derive(Debug)]
pub(super) struct Entry {
    /// From the root of the image.
    pub(super) path: Vec<u8>,
    pub(super) stat: Stat,
    /// Of a symbolic link.
    pub(super) target: Option<Vec<u8>>,
    pub(super) xattrs: Vec<Xattr>,
}

impl Entry {
    /// Reads what the inode alone does not say.
    pub(super) fn read<S: Source>(reader: &Reader<S>, path: Vec<u8>, stat: Stat) -> Result<Self, Error> {
        let is_link = stat.file_type == FileType::Symlink;
        let target = is_link.then(|| reader.read_link(stat.number)).transpose()?;
        let xattrs = reader.xattrs(stat.number)?;
        Ok(Self { path, stat, target, xattrs })
    }
}

/// The digest of a file's content in hexadecimal.
pub(super) fn sha256<S: Source>(reader: &Reader<S>, inode: u32) -> Result<String, Error> {
    let mut sink = DigestSink(Sha256::new());
    reader.copy_to(inode, &mut sink)?;
    Ok(sink.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Takes content for its digest.
struct DigestSink(Sha256);

impl Write for DigestSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a listing calls a type.
pub(super) const fn type_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::CharDevice => "char",
        FileType::BlockDevice => "block",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}

/// What a message calls a type.
pub(super) const fn a_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::CharDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
    }
}
