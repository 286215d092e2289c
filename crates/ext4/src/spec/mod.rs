//! The on-disk structures of ext4: what each byte means, for the writer and the reader alike.
//!
//! Every structure is a plain Rust value with an `encode` into bytes and a `decode` from bytes; neither does I/O.
//! Decoding takes foreign bytes: it returns a [`SpecError`] where they make no sense, and never panics. Encoding takes
//! our own values; a value that its field cannot hold is a mistake of the caller, stated with each function.
//!
//! Field names (`s_magic`, `bg_flags`, ...) and offsets are those of the Linux kernel's documentation of ext4,
//! <https://docs.kernel.org/filesystems/ext4/>, and of its header `fs/ext4/ext4.h`. All numbers are little endian, but
//! for the journal's, which are big endian.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod acl;
mod bytes;
pub mod checksum;
pub mod dirent;
pub mod extent;
pub mod group;
mod hash;
pub mod htree;
pub mod inode;
pub mod journal;
pub mod superblock;
pub mod xattr;

pub use checksum::Seed;
pub use group::GroupDescriptor;
pub use inode::{Inode, Timestamp};
pub use superblock::Superblock;

/// The block size that the writer uses, in bytes. (The reader takes others too.)
pub const BLOCK_SIZE: u32 = 4096;
/// [`BLOCK_SIZE`] as the length of a buffer.
pub const BLOCK_BYTES: usize = BLOCK_SIZE as usize;
/// Bytes of an inode as the writer writes it, `s_inode_size`.
pub const INODE_BYTES: usize = 256;
/// Bytes of the part that every inode has, the whole of it in old file systems.
pub const INODE_BASE_BYTES: usize = 128;
/// Bytes that the fields beyond [`INODE_BASE_BYTES`] take, `i_extra_isize` as the kernel sets it.
pub const INODE_EXTRA_BYTES: u16 = 32;
/// Bytes of the superblock.
pub const SUPERBLOCK_BYTES: usize = 1024;
/// Where the first superblock stands in the file system, in bytes.
pub const SUPERBLOCK_OFFSET: u64 = 1024;
/// Bytes of a group descriptor with the `64bit` feature.
pub const DESCRIPTOR_BYTES: usize = 64;
/// Bytes of a group descriptor without it.
pub const DESCRIPTOR_BYTES_32: usize = 32;
/// The unit of `i_blocks`, in bytes, whatever the block size.
pub const SECTOR_BYTES: u64 = 512;

/// The longest name of a directory entry, in bytes.
pub const NAME_MAX: usize = 255;
/// The most names that one inode may have, `EXT4_LINK_MAX`.
pub const LINK_MAX: u16 = 65_000;
/// The longest target of a symbolic link, in bytes: a block less its NUL.
pub const SYMLINK_MAX: usize = 4095;
/// The longest target that is held in the inode itself: `i_block` less its NUL.
pub const FAST_SYMLINK_MAX: usize = 59;

/// Numbers of the inodes that have a meaning of their own.
pub mod inode_number {
    /// The list of bad blocks.
    pub const BAD_BLOCKS: u32 = 1;
    /// The root directory.
    pub const ROOT: u32 = 2;
    /// The inode that holds the reserved descriptor blocks, for growing.
    pub const RESIZE: u32 = 7;
    /// The journal.
    pub const JOURNAL: u32 = 8;
    /// The first inode that is not reserved, `s_first_ino`: `lost+found` by custom.
    pub const FIRST: u32 = 11;
    /// `lost+found`, which e2fsck wants to exist.
    pub const LOST_FOUND: u32 = 11;
}

/// Bits of `s_feature_compat`: a kernel that does not know them may mount all the same.
pub mod compat {
    /// `COMPAT_HAS_JOURNAL`.
    pub const HAS_JOURNAL: u32 = 0x4;
    /// `COMPAT_EXT_ATTR`.
    pub const EXT_ATTR: u32 = 0x8;
    /// `COMPAT_RESIZE_INODE`: reserved descriptor blocks for growing.
    pub const RESIZE_INODE: u32 = 0x10;
    /// `COMPAT_DIR_INDEX`: hashed directories.
    pub const DIR_INDEX: u32 = 0x20;
    /// `COMPAT_SPARSE_SUPER2`.
    pub const SPARSE_SUPER2: u32 = 0x200;
    /// `COMPAT_ORPHAN_FILE`.
    pub const ORPHAN_FILE: u32 = 0x1000;
}

/// Bits of `s_feature_incompat`: who does not know one of them must not read.
pub mod incompat {
    /// `INCOMPAT_COMPRESSION`.
    pub const COMPRESSION: u32 = 0x1;
    /// `INCOMPAT_FILETYPE`: directory entries say the type.
    pub const FILETYPE: u32 = 0x2;
    /// `INCOMPAT_RECOVER`: the journal must be replayed.
    pub const RECOVER: u32 = 0x4;
    /// `INCOMPAT_JOURNAL_DEV`: a journal device, no file system.
    pub const JOURNAL_DEV: u32 = 0x8;
    /// `INCOMPAT_META_BG`: descriptors stand in the groups that they describe.
    pub const META_BG: u32 = 0x10;
    /// `INCOMPAT_EXTENTS`.
    pub const EXTENTS: u32 = 0x40;
    /// `INCOMPAT_64BIT`: descriptors of 64 bytes, block numbers of 64 bits.
    pub const SIXTY_FOUR_BIT: u32 = 0x80;
    /// `INCOMPAT_MMP`: protection against two mounts at once.
    pub const MMP: u32 = 0x100;
    /// `INCOMPAT_FLEX_BG`: bitmaps and inode tables stand anywhere.
    pub const FLEX_BG: u32 = 0x200;
    /// `INCOMPAT_EA_INODE`: large xattr values in inodes of their own.
    pub const EA_INODE: u32 = 0x400;
    /// `INCOMPAT_DIRDATA`.
    pub const DIRDATA: u32 = 0x1000;
    /// `INCOMPAT_CSUM_SEED`: the checksum seed stands in the superblock.
    pub const CSUM_SEED: u32 = 0x2000;
    /// `INCOMPAT_LARGEDIR`: hashed directories of three levels.
    pub const LARGEDIR: u32 = 0x4000;
    /// `INCOMPAT_INLINE_DATA`: small files in the inode.
    pub const INLINE_DATA: u32 = 0x8000;
    /// `INCOMPAT_ENCRYPT`.
    pub const ENCRYPT: u32 = 0x1_0000;
    /// `INCOMPAT_CASEFOLD`.
    pub const CASEFOLD: u32 = 0x2_0000;
}

/// Bits of `s_feature_ro_compat`: who does not know one of them may read, but not write.
pub mod ro_compat {
    /// `RO_COMPAT_SPARSE_SUPER`: backups in groups 1, 3^n, 5^n and 7^n only.
    pub const SPARSE_SUPER: u32 = 0x1;
    /// `RO_COMPAT_LARGE_FILE`: files of 2 GiB and more.
    pub const LARGE_FILE: u32 = 0x2;
    /// `RO_COMPAT_HUGE_FILE`: `i_blocks` of 48 bits.
    pub const HUGE_FILE: u32 = 0x8;
    /// `RO_COMPAT_GDT_CSUM`: the older checksum of descriptors alone.
    pub const GDT_CSUM: u32 = 0x10;
    /// `RO_COMPAT_DIR_NLINK`: directories of more than 65,000 links count 1.
    pub const DIR_NLINK: u32 = 0x20;
    /// `RO_COMPAT_EXTRA_ISIZE`: inodes larger than 128 bytes.
    pub const EXTRA_ISIZE: u32 = 0x40;
    /// `RO_COMPAT_BIGALLOC`: space is given out in clusters of blocks.
    pub const BIGALLOC: u32 = 0x200;
    /// `RO_COMPAT_METADATA_CSUM`: crc32c of all metadata.
    pub const METADATA_CSUM: u32 = 0x400;
}

/// Bits of `i_mode`: four of type, twelve of permission.
pub mod mode {
    /// The bits that say the type, `S_IFMT`.
    pub const TYPE_MASK: u16 = 0o170_000;
    /// The bits that say the permissions, with setuid, setgid and sticky.
    pub const PERMISSION_MASK: u16 = 0o7777;
    /// `S_IFIFO`.
    pub const FIFO: u16 = 0o010_000;
    /// `S_IFCHR`.
    pub const CHAR_DEVICE: u16 = 0o020_000;
    /// `S_IFDIR`.
    pub const DIRECTORY: u16 = 0o040_000;
    /// `S_IFBLK`.
    pub const BLOCK_DEVICE: u16 = 0o060_000;
    /// `S_IFREG`.
    pub const REGULAR: u16 = 0o100_000;
    /// `S_IFLNK`.
    pub const SYMLINK: u16 = 0o120_000;
    /// `S_IFSOCK`.
    pub const SOCKET: u16 = 0o140_000;
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileType {
    /// The type that `i_mode` says, if it says one.
    #[must_use]
    pub const fn from_mode(bits: u16) -> Option<Self> {
        match bits & mode::TYPE_MASK {
            mode::FIFO => Some(Self::Fifo),
            mode::CHAR_DEVICE => Some(Self::CharDevice),
            mode::DIRECTORY => Some(Self::Directory),
            mode::BLOCK_DEVICE => Some(Self::BlockDevice),
            mode::REGULAR => Some(Self::Regular),
            mode::SYMLINK => Some(Self::Symlink),
            mode::SOCKET => Some(Self::Socket),
            _ => None,
        }
    }

    /// The type bits of `i_mode`.
    #[must_use]
    pub const fn mode_bits(self) -> u16 {
        match self {
            Self::Fifo => mode::FIFO,
            Self::CharDevice => mode::CHAR_DEVICE,
            Self::Directory => mode::DIRECTORY,
            Self::BlockDevice => mode::BLOCK_DEVICE,
            Self::Regular => mode::REGULAR,
            Self::Symlink => mode::SYMLINK,
            Self::Socket => mode::SOCKET,
        }
    }

    /// The `file_type` of a directory entry, `EXT4_FT_*`.
    #[must_use]
    pub const fn entry_code(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// The type that the `file_type` of a directory entry says; `None` for "unknown" (0) and for nonsense.
    #[must_use]
    pub const fn from_entry_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Regular),
            2 => Some(Self::Directory),
            3 => Some(Self::CharDevice),
            4 => Some(Self::BlockDevice),
            5 => Some(Self::Fifo),
            6 => Some(Self::Socket),
            7 => Some(Self::Symlink),
            _ => None,
        }
    }
}

/// Why bytes are not the structure that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// There are fewer bytes than the structure has.
    #[error("{structure}: cut short at {have} bytes of {need}")]
    Short {
        /// The structure.
        structure: &'static str,
        /// Bytes that it needs at least.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// The magic number is another.
    #[error("{structure}: no magic number (found {found:#x})")]
    Magic {
        /// The structure.
        structure: &'static str,
        /// What stands in its place.
        found: u32,
    },
    /// The checksum says that the bytes are not those that were written.
    #[error("{structure}: checksum mismatch (stored {stored:#x}, computed {computed:#x})")]
    Checksum {
        /// The structure.
        structure: &'static str,
        /// The checksum in the structure.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// A field has a value that it must not have.
    #[error("{structure}: {field} is {value}, {rule}")]
    Value {
        /// The structure.
        structure: &'static str,
        /// The field, by its on-disk name.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is wrong with it.
        rule: &'static str,
    },
}

impl SpecError {
    pub(crate) fn value(
        structure: &'static str,
        field: &'static str,
        value: impl Into<u64>,
        rule: &'static str,
    ) -> Self {
        Self::Value { structure, field, value: value.into(), rule }
    }
}

/// The bytes of a structure of at least `need` bytes.
fn at_least<'a>(structure: &'static str, bytes: &'a [u8], need: usize) -> Result<&'a [u8], SpecError> {
    bytes.get(..need).ok_or(SpecError::Short { structure, need, have: bytes.len() })
}

/// Compares a stored checksum with the computed one.
fn verify(structure: &'static str, stored: u32, computed: u32) -> Result<(), SpecError> {
    if stored == computed { Ok(()) } else { Err(SpecError::Checksum { structure, stored, computed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_mode_and_entry_code() {
        let types = [
            FileType::Regular,
            FileType::Directory,
            FileType::Symlink,
            FileType::CharDevice,
            FileType::BlockDevice,
            FileType::Fifo,
            FileType::Socket,
        ];
        for kind in types {
            assert_eq!(FileType::from_mode(kind.mode_bits() | 0o4755), Some(kind));
            assert_eq!(FileType::from_entry_code(kind.entry_code()), Some(kind));
        }
        assert_eq!(FileType::from_mode(0o755), None);
        assert_eq!(FileType::from_entry_code(0), None);
        assert_eq!(FileType::from_entry_code(0xDE), None);
    }
}
