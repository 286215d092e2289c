//! What can go wrong when an image is written.

use std::io;

use crate::shown::Shown;

/// Why an image could not be written.
///
/// Names and paths are raw bytes, as ext4 has them; messages show them with escapes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image file or a segment file could not be written, copied or read.
    #[error("cannot {action} at byte {offset}")]
    Io {
        /// What was being done, to which file.
        action: &'static str,
        /// Where in that file, in bytes.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The size asked for cannot hold the content.
    #[error("{size} bytes are too small: the content needs {needed} bytes")]
    TooSmall {
        /// The size asked for, in bytes.
        size: u64,
        /// The smallest size that would do, in bytes (a multiple of 1 MiB).
        needed: u64,
    },
    /// The size asked for, or the one that the content needs, is more than can be written.
    #[error("{size} bytes are too large: at most {limit} bytes can be written")]
    TooLarge {
        /// The size, in bytes; what is known to be needed at least, if it was not asked for.
        size: u64,
        /// The largest size, in bytes.
        limit: u64,
    },
    /// A file is longer than ext4 can have it.
    #[error("a file of {size} bytes is too long: ext4 holds at most {limit} bytes")]
    FileTooLong {
        /// The file's length so far, in bytes.
        size: u64,
        /// The longest that a file can be, in bytes.
        limit: u64,
    },
    /// One segment has more blocks than its numbering can tell.
    #[error("a segment of more than {limit} blocks cannot be written")]
    SegmentTooLong {
        /// The most blocks of a segment.
        limit: u64,
    },
    /// A name that no directory entry can have.
    #[error("name {} {reason}", Shown(name))]
    Name {
        /// The name.
        name: Vec<u8>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two entries of one directory have the same name.
    #[error("two entries are named {}", Shown(path))]
    DuplicateName {
        /// The path of both.
        path: Vec<u8>,
    },
    /// Something was to be added under a node that is no directory.
    #[error("{} cannot be added to what is no directory", Shown(name))]
    NotADirectory {
        /// The name that was to be added.
        name: Vec<u8>,
    },
    /// A directory was to have a second name.
    #[error("{} cannot be a second name of a directory", Shown(name))]
    DirectoryLink {
        /// The second name.
        name: Vec<u8>,
    },
    /// A file has more names than ext4 can count.
    #[error("{} is one name too many: an inode has at most {limit}", Shown(name))]
    TooManyLinks {
        /// The name that was to be added.
        name: Vec<u8>,
        /// The most names of an inode.
        limit: u32,
    },
    /// The target of a symbolic link is empty, too long, or holds a NUL.
    #[error("symbolic link {} has a target {reason}", Shown(name))]
    SymlinkTarget {
        /// The link's name.
        name: Vec<u8>,
        /// What is wrong with the target.
        reason: &'static str,
    },
    /// A device number that ext4 cannot hold (12 bits of major, 20 of minor).
    #[error("device {} has number {major}:{minor}, beyond 4095:1048575", Shown(name))]
    DeviceNumber {
        /// The device's name.
        name: Vec<u8>,
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// An extended attribute that ext4 cannot hold.
    #[error("extended attribute {} {reason}", Shown(name))]
    Xattr {
        /// The attribute's name.
        name: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
    /// The extended attributes of one inode take more than the inode's spare space and one block.
    #[error(
        "extended attributes of {size} bytes do not fit into an inode and one block; the largest is {}",
        Shown(largest)
    )]
    XattrsTooLarge {
        /// Bytes that they take on the disk.
        size: usize,
        /// The name of the largest.
        largest: Vec<u8>,
    },
    /// A directory has more entries than a hash tree of two levels can index.
    #[error("directory {} has too many entries", Shown(path))]
    DirectoryTooLarge {
        /// The directory's path.
        path: Vec<u8>,
    },
    /// `lost+found` in the root is no directory, and e2fsck would remove it.
    #[error("\"/lost+found\" must be a directory")]
    LostFound,
    /// There are more entries, names or inodes than can be numbered.
    #[error("too many {what}: at most {limit}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there can be.
        limit: u64,
    },
    /// A label that the superblock cannot hold.
    #[error("label {} {reason}", Shown(label))]
    Label {
        /// The label.
        label: Vec<u8>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The caller broke a rule of the interface: a mistake in the program, not in its input.
    #[error("{0}")]
    Misuse(&'static str),
}

impl Error {
    pub(crate) fn io(action: &'static str, offset: u64, source: impl Into<io::Error>) -> Self {
        Self::Io { action, offset, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let error = Error::Name { name: b"a\nb\xff".to_vec(), reason: "is odd" };
        assert_eq!(error.to_string(), r#"name "a\nb\xff" is odd"#);
    }
}
