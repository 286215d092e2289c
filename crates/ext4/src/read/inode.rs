//! Inodes: where they stand, and what they say about a file.

use super::{Error, Reader, Source};
use crate::spec::group::{GroupDescriptor, has_backup};
use crate::spec::inode::{body_xattrs, decode_device, flags};
use crate::spec::{FileType, Inode, SECTOR_BYTES, SUPERBLOCK_OFFSET, Seed, Timestamp, incompat, mode};
use crate::spec::{compat, ro_compat};

/// What is known about a file, but its names, content and xattrs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The inode's number.
    pub number: u32,
    /// What it is.
    pub file_type: FileType,
    /// Its permissions: 12 bits, with setuid, setgid and sticky.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes of its content; for a symbolic link, of its target.
    pub size: u64,
    /// When it was read last.
    pub atime: Timestamp,
    /// When it was changed last.
    pub ctime: Timestamp,
    /// When its content was changed last.
    pub mtime: Timestamp,
    /// When it was made.
    pub crtime: Timestamp,
    /// Number of its names. A directory of more than 65,000 links has 1.
    pub links: u16,
    /// Bytes on the disk that it takes, with those of its metadata.
    pub allocated: u64,
    /// Major and minor number, of a device.
    pub device: Option<(u32, u32)>,
    /// `i_flags`: [`flags`].
    pub flags: u32,
    /// `i_generation`.
    pub generation: u32,
}

/// An inode in use, as it was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) number: u32,
    pub(super) inode: Inode,
    pub(super) file_type: FileType,
    /// The block of the inode table that holds it.
    pub(super) block: u64,
    /// The part of it that holds xattrs.
    pub(super) xattrs: Vec<u8>,
    /// What the checksums of its blocks start from.
    pub(super) seed: Option<Seed>,
}

impl Loaded {
    /// An error about this inode.
    pub(super) fn error(&self, problem: &'static str) -> Error {
        Error::Inode { inode: self.number, problem }
    }

    /// An error about something in this inode that cannot be read.
    pub(super) fn unsupported(&self, what: &'static str) -> Error {
        Error::Unsupported { inode: Some(self.number), what }
    }

    pub(super) fn has_flag(&self, flag: u32) -> bool {
        self.inode.flags & flag != 0
    }
}

impl<S: Source> Reader<S> {
    /// What inode `number` says about its file.
    ///
    /// # Errors
    /// [`Error`] if there is no such inode, if it is not in use, or if it or its group descriptor is damaged.
    pub fn stat(&self, number: u32) -> Result<Stat, Error> {
        let loaded = self.load(number)?;
        let inode = &loaded.inode;
        let unit = if loaded.has_flag(flags::HUGE_FILE) { self.block_size() } else { SECTOR_BYTES };
        let is_device = matches!(loaded.file_type, FileType::CharDevice | FileType::BlockDevice);
        Ok(Stat {
            number,
            file_type: loaded.file_type,
            mode: inode.mode & mode::PERMISSION_MASK,
            uid: inode.uid,
            gid: inode.gid,
            size: inode.size,
            atime: inode.atime,
            ctime: inode.ctime,
            mtime: inode.mtime,
            crtime: inode.crtime,
            links: inode.links,
            allocated: inode.blocks.saturating_mul(unit),
            device: is_device.then(|| decode_device(&inode.block)),
            flags: inode.flags,
            generation: inode.generation,
        })
    }

    /// Reads an inode that is in use.
    pub(super) fn load(&self, number: u32) -> Result<Loaded, Error> {
        let count = self.superblock.inodes_count;
        let per_group = self.superblock.inodes_per_group;
        let nowhere = Error::NoInode { inode: number, count };
        let Some(index) = number.checked_sub(1).filter(|_| number <= count) else { return Err(nowhere) };
        let (Some(group), Some(within)) = (index.checked_div(per_group), index.checked_rem(per_group)) else {
            return Err(nowhere);
        };
        let descriptor = self.descriptor(group)?;
        let size = u64::from(self.superblock.inode_size);
        let offset = u64::from(within).saturating_mul(size);
        let (Some(blocks), Some(skip)) = (offset.checked_div(self.block_size()), offset.checked_rem(self.block_size()))
        else {
            return Err(nowhere);
        };
        let place = descriptor.inode_table.saturating_add(blocks);
        let block = self.blocks.get(place, None)?;
        let start = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = block.get(start..).and_then(|rest| rest.get(..self.superblock.inode_bytes())).unwrap_or(&[]);
        // The rest of an inode table may never have been written: without a checksum, it is free all the same.
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(Error::Inode { inode: number, problem: "it is not in use" });
        }
        let inode = Inode::decode(self.seed, number, bytes).map_err(|source| Error::Block {
            block: place,
            inode: Some(number),
            source,
        })?;
        let Some(file_type) = inode.file_type() else {
            let problem = if inode.mode == 0 { "it is not in use" } else { "its mode has no file type" };
            return Err(Error::Inode { inode: number, problem });
        };
        if inode.links == 0 {
            return Err(Error::Inode { inode: number, problem: "it is deleted" });
        }
        let seed = self.seed.map(|seed| seed.inode(number, inode.generation));
        Ok(Loaded { number, file_type, block: place, xattrs: body_xattrs(bytes).to_vec(), seed, inode })
    }

    /// The descriptor of a group that exists.
    fn descriptor(&self, group: u32) -> Result<GroupDescriptor, Error> {
        let bytes = self.superblock.descriptor_bytes();
        let size = u64::try_from(bytes).unwrap_or(u64::MAX);
        let per_block = self.block_size().checked_div(size).unwrap_or(1).max(1);
        let table_block = u64::from(group).checked_div(per_block).unwrap_or(0);
        let within = u64::from(group).checked_rem(per_block).unwrap_or(0);
        let place = self.descriptor_block(table_block, per_block);
        let block = self.blocks.get(place, None)?;
        let start = usize::try_from(within.saturating_mul(size)).unwrap_or(usize::MAX);
        let found = block.get(start..).and_then(|rest| rest.get(..bytes)).unwrap_or(&[]);
        GroupDescriptor::decode(self.seed, group, found).map_err(|source| Error::Block {
            block: place,
            inode: None,
            source,
        })
    }

    /// Where block `table_block` of the descriptor table stands, each of which holds `per_block` descriptors: all after
    /// the superblock, or with `meta_bg` from some on in the first of the groups that they describe.
    fn descriptor_block(&self, table_block: u64, per_block: u64) -> u64 {
        let superblock = &self.superblock;
        let is_meta =
            superblock.feature_incompat & incompat::META_BG != 0 && table_block >= superblock.first_meta_group.into();
        if !is_meta {
            let after = SUPERBLOCK_OFFSET.checked_div(self.block_size()).unwrap_or(0).saturating_add(1);
            return after.saturating_add(table_block);
        }
        let group = table_block.saturating_mul(per_block);
        let begin =
            group.saturating_mul(superblock.blocks_per_group.into()).saturating_add(superblock.first_data_block.into());
        let number = u32::try_from(group).unwrap_or(u32::MAX);
        let has_superblock = if superblock.feature_compat & compat::SPARSE_SUPER2 != 0 {
            group == 0 || superblock.backup_groups.contains(&number)
        } else {
            superblock.feature_ro_compat & ro_compat::SPARSE_SUPER == 0 || has_backup(number)
        };
        begin.saturating_add(u64::from(has_superblock))
    }
}
