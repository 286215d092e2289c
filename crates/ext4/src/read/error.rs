//! What can go wrong when an image is read.

use std::io;

use crate::shown::Shown;
use crate::spec::SpecError;

/// Why something could not be read from an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source could not be read.
    #[error("cannot read the image at byte {offset}")]
    Io {
        /// Where, in bytes.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The content of a file could not be handed on.
    #[error("cannot write the content of inode {inode}")]
    Write {
        /// The file.
        inode: u32,
        /// What the receiver says.
        source: io::Error,
    },
    /// There is no file system, or its superblock is damaged.
    #[error("no ext4 file system")]
    Superblock {
        /// What is wrong with it.
        source: SpecError,
    },
    /// The image ends before the file system does.
    #[error("the image is cut short: it has {size} bytes of {needed}")]
    Truncated {
        /// Bytes of the image.
        size: u64,
        /// Bytes of the file system.
        needed: u64,
    },
    /// A structure is damaged.
    #[error("block {block} is damaged{}", of_inode(*inode))]
    Block {
        /// The block that holds it.
        block: u64,
        /// The inode that it belongs to or is, if any.
        inode: Option<u32>,
        /// Which structure, and what is wrong with it.
        source: SpecError,
    },
    /// An inode, or what it refers to, makes no sense.
    #[error("inode {inode} is damaged: {problem}")]
    Inode {
        /// The inode's number.
        inode: u32,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something refers to an inode that does not exist.
    #[error("there is no inode {inode} ({count} inodes)")]
    NoInode {
        /// The inode's number.
        inode: u32,
        /// Number of inodes.
        count: u32,
    },
    /// A block number lies beyond the file system.
    #[error("block {block} is beyond the file system of {count} blocks{}", of_inode(*inode))]
    NoBlock {
        /// The block's number.
        block: u64,
        /// Number of blocks.
        count: u64,
        /// The inode that refers to it, if any.
        inode: Option<u32>,
    },
    /// The image makes use of something that this reader does not know.
    #[error("the image has {what}{}, which cannot be read", of_inode(*inode))]
    Unsupported {
        /// The inode that it is about, if any.
        inode: Option<u32>,
        /// What it is.
        what: &'static str,
    },
    /// An inode is not of the type that was asked for.
    #[error("inode {inode} is no {want}")]
    Type {
        /// The inode's number.
        inode: u32,
        /// What it should be.
        want: &'static str,
    },
    /// A path leads nowhere.
    #[error("{} does not exist", Shown(path))]
    NotFound {
        /// The path.
        path: Vec<u8>,
    },
    /// A path leads through something that is no directory.
    #[error("{} leads through what is no directory", Shown(path))]
    NotADirectory {
        /// The path.
        path: Vec<u8>,
    },
    /// A path leads through too many symbolic links, most likely in a circle.
    #[error("{} leads through too many symbolic links", Shown(path))]
    TooManyLinks {
        /// The path.
        path: Vec<u8>,
    },
    /// Something went wrong at a place of a walk.
    #[error("cannot read {}", Shown(path))]
    At {
        /// The path, from where the walk began.
        path: Vec<u8>,
        /// What went wrong.
        source: Box<Self>,
    },
}

fn of_inode(inode: Option<u32>) -> String {
    inode.map_or_else(String::new, |number| format!(" (of inode {number})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place() {
        let error = Error::NoBlock { block: 9, count: 5, inode: Some(12) };
        assert_eq!(error.to_string(), "block 9 is beyond the file system of 5 blocks (of inode 12)");
        let error = Error::NotFound { path: b"/a\n".to_vec() };
        assert_eq!(error.to_string(), r#""/a\n" does not exist"#);
    }
}
