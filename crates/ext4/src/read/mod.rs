//! Reading an image: paths, metadata, content, without mounting it.
//!
//! A [`Reader`] reads from anything that is a [`Source`], most often a [`File`](std::fs::File). It takes what mke2fs
//! makes by default and what [`crate::write`](mod@crate::write) makes, with blocks of any size, with and without
//! `64bit`. What it does not take (files mapped by indirect blocks, inline data, encryption, xattrs in inodes of their
//! own, a journal that must be replayed) is [`Error::Unsupported`], never a wrong answer.
//!
//! An image is foreign bytes. With `metadata_csum` every structure that is read is checked before it is believed.
//! (Bitmaps are never read; the older checksums of `uninit_bg` are not looked at.) Without it, or with checksums made
//! to fit, reading still ends: every loop is bounded by the size of the image, and nothing is
//! allocated because a number in the image asks for it. (A sparse file may claim to be much larger than its image:
//! [`Reader::copy_to`] writes as many zeros as it says. [`Stat::size`] is known before.)
//!
//! ```no_run
//! use banger_ext4::read::{LastLink, Reader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reader = Reader::open(std::fs::File::open("disk.ext4")?)?;
//! let inode = reader.lookup(b"/etc/os-release", LastLink::Follow)?;
//! println!("{} bytes", reader.stat(inode)?.size);
//! reader.copy_to(inode, &mut std::io::stdout().lock())?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod attributes;
mod blocks;
mod content;
mod directory;
mod error;
mod inode;
mod map;
mod path;
mod walk;

pub use attributes::Xattr;
pub use blocks::Source;
pub use directory::DirEntry;
pub use error::Error;
pub use inode::Stat;
pub use path::LastLink;
pub use walk::{Walk, WalkEntry};

use crate::spec::{SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Seed, Superblock, incompat};
use blocks::Blocks;

/// Features that change how the image is read, and that are known here. Those whose effect is confined to single
/// inodes (inline data, encryption) are refused when such an inode is read.
const KNOWN_INCOMPAT: u32 = incompat::FILETYPE
    | incompat::META_BG
    | incompat::EXTENTS
    | incompat::SIXTY_FOUR_BIT
    | incompat::MMP
    | incompat::FLEX_BG
    | incompat::EA_INODE
    | incompat::CSUM_SEED
    | incompat::LARGEDIR
    | incompat::INLINE_DATA
    | incompat::ENCRYPT
    | incompat::CASEFOLD;

/// An image that is being read. It can be shared by threads.
#[derive(Debug)]
pub struct Reader<S> {
    blocks: Blocks<S>,
    superblock: Superblock,
    /// What checksums start from, if the file system has them.
    seed: Option<Seed>,
}

impl<S: Source> Reader<S> {
    /// Begins to read the file system that `source` holds from its first byte on.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Superblock`] if it is no ext2, ext3 or ext4 file system;
    /// [`Error::Truncated`] if the file system is larger than the source; [`Error::Unsupported`] if it has a feature
    /// that is not known here, or a journal that must be replayed first.
    pub fn open(source: S) -> Result<Self, Error> {
        let size = source.size().map_err(|source| Error::Io { offset: 0, source })?;
        let mut bytes = [0; SUPERBLOCK_BYTES];
        source
            .read_exact_at(&mut bytes, SUPERBLOCK_OFFSET)
            .map_err(|source| Error::Io { offset: SUPERBLOCK_OFFSET, source })?;
        let superblock = Superblock::decode(&bytes).map_err(|source| Error::Superblock { source })?;
        if superblock.feature_incompat & incompat::RECOVER != 0 {
            return Err(Error::Unsupported { inode: None, what: "a journal that must be replayed first" });
        }
        if superblock.feature_incompat & !KNOWN_INCOMPAT != 0 {
            return Err(Error::Unsupported { inode: None, what: "a feature unknown here" });
        }
        let needed = superblock.blocks_count.saturating_mul(superblock.block_size().into());
        if needed > size {
            return Err(Error::Truncated { size, needed });
        }
        let blocks = Blocks::new(source, &superblock);
        let seed = superblock.has_checksums().then(|| superblock.seed());
        Ok(Self { blocks, superblock, seed })
    }

    /// The superblock.
    #[must_use]
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Bytes of a block.
    fn block_size(&self) -> u64 {
        self.superblock.block_size().into()
    }
}
