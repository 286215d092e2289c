//! The superblock: what the file system is and how large its parts are.
//!
//! <https://docs.kernel.org/filesystems/ext4/globals.html#super-block>. It stands 1024 bytes into the file system,
//! and as a backup at the first block of the groups that [`super::group::has_backup`] names.

use super::bytes::{get_array, get_split, get8, get16, get32, high32, join, low32, put, put_split, put8, put16, put32};
use super::{
    DESCRIPTOR_BYTES, DESCRIPTOR_BYTES_32, INODE_BASE_BYTES, SUPERBLOCK_BYTES, Seed, SpecError, at_least, checksum,
    incompat, inode_number, ro_compat, verify,
};

const NAME: &str = "superblock";

/// `s_magic`.
pub const MAGIC: u16 = 0xEF53;
/// `s_state`: cleanly unmounted, `EXT4_VALID_FS`.
pub const STATE_CLEAN: u16 = 1;
/// `s_state`: errors were found, `EXT4_ERROR_FS`.
pub const STATE_ERRORS: u16 = 2;
/// `s_errors`: go on after an error, `EXT4_ERRORS_CONTINUE`.
pub const ERRORS_CONTINUE: u16 = 1;
/// `s_rev_level` with inodes of any size, `EXT4_DYNAMIC_REV`.
pub const REVISION_DYNAMIC: u32 = 1;
/// `s_checksum_type`: crc32c, the only one.
pub const CHECKSUM_CRC32C: u8 = 1;
/// `s_flags`: directory hashes take bytes as signed, `EXT2_FLAGS_SIGNED_HASH`.
pub const FLAG_SIGNED_HASH: u32 = 1;
/// `s_flags`: directory hashes take bytes as unsigned, `EXT2_FLAGS_UNSIGNED_HASH`.
pub const FLAG_UNSIGNED_HASH: u32 = 2;
/// `s_jnl_backup_type`: `s_jnl_blocks` holds a copy of the journal inode's `i_block` and size.
pub const JOURNAL_BACKUP_BLOCKS: u8 = 1;
/// `s_default_mount_opts`: `EXT4_DEFM_XATTR_USER`.
pub const MOUNT_XATTR_USER: u32 = 0x4;
/// `s_default_mount_opts`: `EXT4_DEFM_ACL`.
pub const MOUNT_ACL: u32 = 0x8;

/// Block sizes are `1024 << s_log_block_size`.
const LOG_BLOCK_BASE: u32 = 10;
/// The largest block size is 64 KiB.
const LOG_BLOCK_MAX: u32 = 6;
/// Bits in a byte, of a bitmap.
const BITS: u32 = 8;

/// A superblock.
///
/// [`Default`] gives zeros but for what has one possible value. Fields that nobody here sets or reads (prealloc, RAID,
/// quota, snapshots, error history, encryption) are not kept: encoding writes them as zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// `s_inodes_count`, 0x0.
    pub inodes_count: u32,
    /// `s_blocks_count_lo`, 0x4, and `_hi`, 0x150.
    pub blocks_count: u64,
    /// `s_r_blocks_count_lo`, 0x8, and `_hi`, 0x154: blocks kept for root.
    pub reserved_blocks_count: u64,
    /// `s_free_blocks_count_lo`, 0xC, and `_hi`, 0x158.
    pub free_blocks_count: u64,
    /// `s_free_inodes_count`, 0x10.
    pub free_inodes_count: u32,
    /// `s_first_data_block`, 0x14: 1 with blocks of 1024 bytes, else 0.
    pub first_data_block: u32,
    /// `s_log_block_size`, 0x18: blocks are `1024 << log_block_size` bytes.
    pub log_block_size: u32,
    /// `s_log_cluster_size`, 0x1C: as `log_block_size`, without bigalloc.
    pub log_cluster_size: u32,
    /// `s_blocks_per_group`, 0x20.
    pub blocks_per_group: u32,
    /// `s_clusters_per_group`, 0x24.
    pub clusters_per_group: u32,
    /// `s_inodes_per_group`, 0x28.
    pub inodes_per_group: u32,
    /// `s_mtime`, 0x2C, and `_hi`, 0x275: last mount, seconds.
    pub mount_time: u64,
    /// `s_wtime`, 0x30, and `_hi`, 0x274: last write, seconds.
    pub write_time: u64,
    /// `s_mnt_count`, 0x34: mounts since the last check.
    pub mount_count: u16,
    /// `s_max_mnt_count`, 0x36: mounts before a check is due; 0xFFFF for never.
    pub max_mount_count: u16,
    /// `s_state`, 0x3A.
    pub state: u16,
    /// `s_errors`, 0x3C: what to do after an error.
    pub errors: u16,
    /// `s_lastcheck`, 0x40, and `_hi`, 0x277: last check, seconds.
    pub last_check: u64,
    /// `s_checkinterval`, 0x44: seconds between checks; 0 for never.
    pub check_interval: u32,
    /// `s_creator_os`, 0x48: 0 is Linux.
    pub creator_os: u32,
    /// `s_rev_level`, 0x4C.
    pub revision: u32,
    /// `s_first_ino`, 0x54: the first inode that is not reserved.
    pub first_inode: u32,
    /// `s_inode_size`, 0x58, in bytes.
    pub inode_size: u16,
    /// `s_block_group_nr`, 0x5A: the group that this copy stands in.
    pub block_group: u16,
    /// `s_feature_compat`, 0x5C: [`super::compat`].
    pub feature_compat: u32,
    /// `s_feature_incompat`, 0x60: [`super::incompat`].
    pub feature_incompat: u32,
    /// `s_feature_ro_compat`, 0x64: [`super::ro_compat`].
    pub feature_ro_compat: u32,
    /// `s_uuid`, 0x68.
    pub uuid: [u8; 16],
    /// `s_volume_name`, 0x78: the label, padded with NUL.
    pub volume_name: [u8; 16],
    /// `s_last_mounted`, 0x88: the path of the last mount, padded with NUL.
    pub last_mounted: [u8; 64],
    /// `s_reserved_gdt_blocks`, 0xCE: blocks after the descriptors for more of them.
    pub reserved_gdt_blocks: u16,
    /// `s_journal_uuid`, 0xD0: of a journal on another device.
    pub journal_uuid: [u8; 16],
    /// `s_journal_inum`, 0xE0.
    pub journal_inode: u32,
    /// `s_last_orphan`, 0xE8: first of the inodes to be deleted on mount.
    pub last_orphan: u32,
    /// `s_hash_seed`, 0xEC: the bytes as they stand, four little-endian words.
    pub hash_seed: [u8; 16],
    /// `s_def_hash_version`, 0xFC: [`super::htree::HashVersion`].
    pub default_hash_version: u8,
    /// `s_jnl_backup_type`, 0xFD.
    pub journal_backup_type: u8,
    /// `s_desc_size`, 0xFE: bytes of a group descriptor with `64bit`.
    pub descriptor_size: u16,
    /// `s_default_mount_opts`, 0x100.
    pub default_mount_options: u32,
    /// `s_first_meta_bg`, 0x104.
    pub first_meta_group: u32,
    /// `s_mkfs_time`, 0x108, and `_hi`, 0x276: seconds.
    pub creation_time: u64,
    /// `s_jnl_blocks`, 0x10C: the journal inode's `i_block`, then high and low half of its size.
    pub journal_blocks: [u32; 17],
    /// `s_min_extra_isize`, 0x15C.
    pub min_extra_isize: u16,
    /// `s_want_extra_isize`, 0x15E.
    pub want_extra_isize: u16,
    /// `s_flags`, 0x160.
    pub flags: u32,
    /// `s_log_groups_per_flex`, 0x174.
    pub log_groups_per_flex: u8,
    /// `s_checksum_type`, 0x175.
    pub checksum_type: u8,
    /// `s_kbytes_written`, 0x178: KiB ever written.
    pub kbytes_written: u64,
    /// `s_overhead_clusters`, 0x248: blocks of metadata; 0 has the kernel count them.
    pub overhead_blocks: u32,
    /// `s_backup_bgs`, 0x24C: with `sparse_super2`, the two groups of the backups.
    pub backup_groups: [u32; 2],
    /// `s_lpf_ino`, 0x268: `lost+found`, 0 if not said.
    pub lost_found_inode: u32,
    /// `s_checksum_seed`, 0x270: with `metadata_csum_seed`.
    pub checksum_seed: u32,
}

impl Default for Superblock {
    fn default() -> Self {
        Self {
            inodes_count: 0,
            blocks_count: 0,
            reserved_blocks_count: 0,
            free_blocks_count: 0,
            free_inodes_count: 0,
            first_data_block: 0,
            log_block_size: 2,
            log_cluster_size: 2,
            blocks_per_group: 32768,
            clusters_per_group: 32768,
            inodes_per_group: 0,
            mount_time: 0,
            write_time: 0,
            mount_count: 0,
            max_mount_count: u16::MAX,
            state: STATE_CLEAN,
            errors: ERRORS_CONTINUE,
            last_check: 0,
            check_interval: 0,
            creator_os: 0,
            revision: REVISION_DYNAMIC,
            first_inode: inode_number::FIRST,
            inode_size: 256,
            block_group: 0,
            feature_compat: 0,
            feature_incompat: 0,
            feature_ro_compat: 0,
            uuid: [0; 16],
            volume_name: [0; 16],
            last_mounted: [0; 64],
            reserved_gdt_blocks: 0,
            journal_uuid: [0; 16],
            journal_inode: 0,
            last_orphan: 0,
            hash_seed: [0; 16],
            default_hash_version: 1,
            journal_backup_type: 0,
            descriptor_size: 64,
            default_mount_options: 0,
            first_meta_group: 0,
            creation_time: 0,
            journal_blocks: [0; 17],
            min_extra_isize: super::INODE_EXTRA_BYTES,
            want_extra_isize: super::INODE_EXTRA_BYTES,
            flags: 0,
            log_groups_per_flex: 0,
            checksum_type: CHECKSUM_CRC32C,
            kbytes_written: 0,
            overhead_blocks: 0,
            backup_groups: [0; 2],
            lost_found_inode: 0,
            checksum_seed: 0,
        }
    }
}

impl Superblock {
    /// Writes the superblock over all of `out`, with its checksum where `metadata_csum` is set.
    ///
    /// Times beyond 40 bits of seconds lose their high bits.
    pub fn encode(&self, out: &mut [u8; SUPERBLOCK_BYTES]) {
        out.fill(0);
        put32(out, 0x0, self.inodes_count);
        put_split(out, 0x4, 0x150, self.blocks_count);
        put_split(out, 0x8, 0x154, self.reserved_blocks_count);
        put_split(out, 0xC, 0x158, self.free_blocks_count);
        put32(out, 0x10, self.free_inodes_count);
        put32(out, 0x14, self.first_data_block);
        put32(out, 0x18, self.log_block_size);
        put32(out, 0x1C, self.log_cluster_size);
        put32(out, 0x20, self.blocks_per_group);
        put32(out, 0x24, self.clusters_per_group);
        put32(out, 0x28, self.inodes_per_group);
        put_time(out, 0x2C, 0x275, self.mount_time);
        put_time(out, 0x30, 0x274, self.write_time);
        put16(out, 0x34, self.mount_count);
        put16(out, 0x36, self.max_mount_count);
        put16(out, 0x38, MAGIC);
        put16(out, 0x3A, self.state);
        put16(out, 0x3C, self.errors);
        put_time(out, 0x40, 0x277, self.last_check);
        put32(out, 0x44, self.check_interval);
        put32(out, 0x48, self.creator_os);
        put32(out, 0x4C, self.revision);
        put32(out, 0x54, self.first_inode);
        put16(out, 0x58, self.inode_size);
        put16(out, 0x5A, self.block_group);
        put32(out, 0x5C, self.feature_compat);
        put32(out, 0x60, self.feature_incompat);
        put32(out, 0x64, self.feature_ro_compat);
        put(out, 0x68, &self.uuid);
        put(out, 0x78, &self.volume_name);
        put(out, 0x88, &self.last_mounted);
        put16(out, 0xCE, self.reserved_gdt_blocks);
        put(out, 0xD0, &self.journal_uuid);
        put32(out, 0xE0, self.journal_inode);
        put32(out, 0xE8, self.last_orphan);
        put(out, 0xEC, &self.hash_seed);
        put8(out, 0xFC, self.default_hash_version);
        put8(out, 0xFD, self.journal_backup_type);
        put16(out, 0xFE, self.descriptor_size);
        put32(out, 0x100, self.default_mount_options);
        put32(out, 0x104, self.first_meta_group);
        put_time(out, 0x108, 0x276, self.creation_time);
        for (at, word) in (0x10C..).step_by(4).zip(self.journal_blocks) {
            put32(out, at, word);
        }
        put16(out, 0x15C, self.min_extra_isize);
        put16(out, 0x15E, self.want_extra_isize);
        put32(out, 0x160, self.flags);
        put8(out, 0x174, self.log_groups_per_flex);
        put8(out, 0x175, self.checksum_type);
        put_split(out, 0x178, 0x17C, self.kbytes_written);
        put32(out, 0x248, self.overhead_blocks);
        for (at, group) in (0x24C..).step_by(4).zip(self.backup_groups) {
            put32(out, at, group);
        }
        put32(out, 0x268, self.lost_found_inode);
        put32(out, 0x270, self.checksum_seed);
        if self.has_checksums() {
            let sum = checksum::superblock(out);
            put32(out, 0x3FC, sum);
        }
    }

    /// Reads a superblock from its 1024 bytes.
    ///
    /// What it returns describes a geometry that holds together: the methods below cannot divide by zero, and the
    /// number of groups fits the number of blocks and inodes.
    ///
    /// # Errors
    /// [`SpecError`] for a wrong magic number, a wrong checksum (with `metadata_csum`), and for sizes that no
    /// ext2, ext3 or ext4 file system has.
    pub fn decode(bytes: &[u8]) -> Result<Self, SpecError> {
        let bytes = at_least(NAME, bytes, SUPERBLOCK_BYTES)?;
        let magic = get16(bytes, 0x38);
        if magic != MAGIC {
            return Err(SpecError::Magic { structure: NAME, found: magic.into() });
        }
        let dynamic = get32(bytes, 0x4C) >= REVISION_DYNAMIC;
        let feature_incompat = get32(bytes, 0x60);
        let high = |at: usize| {
            if feature_incompat & incompat::SIXTY_FOUR_BIT != 0 { get32(bytes, at) } else { 0 }
        };
        let mut journal_blocks = [0; 17];
        for (at, word) in (0x10C..).step_by(4).zip(&mut journal_blocks) {
            *word = get32(bytes, at);
        }
        let superblock = Self {
            inodes_count: get32(bytes, 0x0),
            blocks_count: join(get32(bytes, 0x4), high(0x150)),
            reserved_blocks_count: join(get32(bytes, 0x8), high(0x154)),
            free_blocks_count: join(get32(bytes, 0xC), high(0x158)),
            free_inodes_count: get32(bytes, 0x10),
            first_data_block: get32(bytes, 0x14),
            log_block_size: get32(bytes, 0x18),
            log_cluster_size: get32(bytes, 0x1C),
            blocks_per_group: get32(bytes, 0x20),
            clusters_per_group: get32(bytes, 0x24),
            inodes_per_group: get32(bytes, 0x28),
            mount_time: get_time(bytes, 0x2C, 0x275),
            write_time: get_time(bytes, 0x30, 0x274),
            mount_count: get16(bytes, 0x34),
            max_mount_count: get16(bytes, 0x36),
            state: get16(bytes, 0x3A),
            errors: get16(bytes, 0x3C),
            last_check: get_time(bytes, 0x40, 0x277),
            check_interval: get32(bytes, 0x44),
            creator_os: get32(bytes, 0x48),
            revision: get32(bytes, 0x4C),
            first_inode: if dynamic { get32(bytes, 0x54) } else { inode_number::FIRST },
            inode_size: if dynamic { get16(bytes, 0x58) } else { 128 },
            block_group: get16(bytes, 0x5A),
            feature_compat: get32(bytes, 0x5C),
            feature_incompat,
            feature_ro_compat: get32(bytes, 0x64),
            uuid: get_array(bytes, 0x68),
            volume_name: get_array(bytes, 0x78),
            last_mounted: get_array(bytes, 0x88),
            reserved_gdt_blocks: get16(bytes, 0xCE),
            journal_uuid: get_array(bytes, 0xD0),
            journal_inode: get32(bytes, 0xE0),
            last_orphan: get32(bytes, 0xE8),
            hash_seed: get_array(bytes, 0xEC),
            default_hash_version: get8(bytes, 0xFC),
            journal_backup_type: get8(bytes, 0xFD),
            descriptor_size: get16(bytes, 0xFE),
            default_mount_options: get32(bytes, 0x100),
            first_meta_group: get32(bytes, 0x104),
            creation_time: get_time(bytes, 0x108, 0x276),
            journal_blocks,
            min_extra_isize: get16(bytes, 0x15C),
            want_extra_isize: get16(bytes, 0x15E),
            flags: get32(bytes, 0x160),
            log_groups_per_flex: get8(bytes, 0x174),
            checksum_type: get8(bytes, 0x175),
            kbytes_written: get_split(bytes, 0x178, 0x17C),
            overhead_blocks: get32(bytes, 0x248),
            backup_groups: [get32(bytes, 0x24C), get32(bytes, 0x250)],
            lost_found_inode: get32(bytes, 0x268),
            checksum_seed: get32(bytes, 0x270),
        };
        if superblock.has_checksums() {
            verify(NAME, get32(bytes, 0x3FC), checksum::superblock(bytes))?;
        }
        superblock.check_geometry()?;
        Ok(superblock)
    }

    /// Refuses sizes that do not fit each other.
    fn check_geometry(&self) -> Result<(), SpecError> {
        let bad = |field, value: u64, rule| Err(SpecError::Value { structure: NAME, field, value, rule });
        if self.log_block_size > LOG_BLOCK_MAX {
            return bad("s_log_block_size", self.log_block_size.into(), "more than 64 KiB");
        }
        let first = u32::from(self.log_block_size == 0);
        if self.first_data_block > first {
            return bad("s_first_data_block", self.first_data_block.into(), "neither 0 nor 1 as the block size wants");
        }
        let bits = self.block_size().saturating_mul(BITS);
        if self.clusters_per_group == 0 || self.clusters_per_group > bits {
            return bad("s_clusters_per_group", self.clusters_per_group.into(), "not what one bitmap block holds");
        }
        let clustered = self.feature_ro_compat & ro_compat::BIGALLOC != 0;
        if self.blocks_per_group == 0 || (!clustered && self.blocks_per_group > bits) {
            return bad("s_blocks_per_group", self.blocks_per_group.into(), "not what one bitmap block holds");
        }
        if self.inodes_per_group == 0 || self.inodes_per_group > bits {
            return bad("s_inodes_per_group", self.inodes_per_group.into(), "not what one bitmap block holds");
        }
        let size = u32::from(self.inode_size);
        if !size.is_power_of_two() || self.inode_bytes() < INODE_BASE_BYTES || size > self.block_size() {
            return bad("s_inode_size", size.into(), "no power of two between 128 and the block size");
        }
        if self.is_64bit() {
            let wide = usize::from(self.descriptor_size);
            if !wide.is_power_of_two() || !(DESCRIPTOR_BYTES..=SUPERBLOCK_BYTES).contains(&wide) {
                return bad("s_desc_size", self.descriptor_size.into(), "no power of two between 64 and 1024");
            }
        }
        if self.blocks_count <= u64::from(self.first_data_block) {
            return bad("s_blocks_count", self.blocks_count, "not a single group");
        }
        let groups = u64::from(self.inodes_count).div_ceil(u64::from(self.inodes_per_group));
        if groups != self.group_count() {
            return bad("s_inodes_count", self.inodes_count.into(), "not as many groups of inodes as of blocks");
        }
        Ok(())
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        1_u32 << self.log_block_size.min(LOG_BLOCK_MAX).saturating_add(LOG_BLOCK_BASE)
    }

    /// Bytes of an inode.
    #[must_use]
    pub fn inode_bytes(&self) -> usize {
        usize::from(self.inode_size)
    }

    /// Bytes of a group descriptor.
    #[must_use]
    pub fn descriptor_bytes(&self) -> usize {
        if self.is_64bit() { usize::from(self.descriptor_size) } else { DESCRIPTOR_BYTES_32 }
    }

    /// Number of block groups, the last of which may be short.
    #[must_use]
    pub fn group_count(&self) -> u64 {
        let blocks = self.blocks_count.saturating_sub(self.first_data_block.into());
        blocks.div_ceil(u64::from(self.blocks_per_group.max(1)))
    }

    /// Whether block numbers have 64 bits and descriptors more than 32 bytes.
    #[must_use]
    pub fn is_64bit(&self) -> bool {
        self.feature_incompat & incompat::SIXTY_FOUR_BIT != 0
    }

    /// Whether all metadata carries crc32c checksums.
    #[must_use]
    pub fn has_checksums(&self) -> bool {
        self.feature_ro_compat & ro_compat::METADATA_CSUM != 0
    }

    /// What the checksums of this file system start from.
    #[must_use]
    pub fn seed(&self) -> Seed {
        if self.feature_incompat & incompat::CSUM_SEED != 0 {
            Seed::from_raw(self.checksum_seed)
        } else {
            Seed::filesystem(&self.uuid)
        }
    }

    /// The label, without its padding.
    #[must_use]
    pub fn label(&self) -> &[u8] {
        self.volume_name.split(|&byte| byte == 0).next().unwrap_or(&[])
    }
}

/// Seconds, 32 bits at `low` and 8 more at `high`.
fn put_time(out: &mut [u8], low: usize, high: usize, seconds: u64) {
    put32(out, low, low32(seconds));
    put8(out, high, (high32(seconds) & 0xFF) as u8);
}

fn get_time(bytes: &[u8], low: usize, high: usize) -> u64 {
    join(get32(bytes, low), get8(bytes, high).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Superblock {
        Superblock {
            inodes_count: 16 * 1024,
            blocks_count: 2 * 32768,
            reserved_blocks_count: 5,
            free_blocks_count: 1000,
            free_inodes_count: 77,
            inodes_per_group: 8192,
            mount_time: 0x12_3456_789A,
            write_time: 1,
            creation_time: 0xFF_FFFF_FFFF,
            last_check: 3,
            feature_compat: 0x3C,
            feature_incompat: incompat::SIXTY_FOUR_BIT | incompat::EXTENTS,
            feature_ro_compat: ro_compat::METADATA_CSUM,
            uuid: *b"0123456789abcdef",
            volume_name: *b"label\0\0\0\0\0\0\0\0\0\0\0",
            hash_seed: [9; 16],
            journal_blocks: std::array::from_fn(|i| i as u32),
            kbytes_written: 1 << 40,
            backup_groups: [1, 2],
            lost_found_inode: 11,
            ..Superblock::default()
        }
    }

    #[test]
    fn survives_encoding() {
        let mut bytes = [0xAA; SUPERBLOCK_BYTES];
        sample().encode(&mut bytes);
        assert_eq!(Superblock::decode(&bytes).unwrap(), sample());
        assert_eq!(sample().label(), b"label");
        assert_eq!(sample().group_count(), 2);
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        sample().encode(&mut bytes);
        for at in 0..SUPERBLOCK_BYTES {
            let mut broken = bytes;
            broken[at] ^= 0x40;
            // Byte 0x65 holds the very bit that says that there is a checksum.
            if at != 0x65 {
                assert!(Superblock::decode(&broken).is_err(), "byte {at:#x}");
            }
        }
    }

    #[test]
    fn impossible_geometry_is_refused() {
        type Case = (&'static str, fn(&mut Superblock));
        let cases: [Case; 10] = [
            ("s_log_block_size", |s| s.log_block_size = 40),
            ("s_first_data_block", |s| s.first_data_block = 1),
            ("s_blocks_per_group", |s| s.blocks_per_group = 0),
            ("s_blocks_per_group", |s| s.blocks_per_group = 32769),
            ("s_clusters_per_group", |s| s.clusters_per_group = 0),
            ("s_inodes_per_group", |s| s.inodes_per_group = 0),
            ("s_inode_size", |s| s.inode_size = 255),
            ("s_desc_size", |s| s.descriptor_size = 32),
            ("s_blocks_count", |s| s.blocks_count = 0),
            ("s_inodes_count", |s| s.inodes_count = 1),
        ];
        for (want, change) in cases {
            let mut superblock = sample();
            change(&mut superblock);
            let mut bytes = [0; SUPERBLOCK_BYTES];
            superblock.encode(&mut bytes);
            match Superblock::decode(&bytes) {
                Err(SpecError::Value { field, .. }) => assert_eq!(field, want),
                other => panic!("{want}: {other:?}"),
            }
        }
    }

    #[test]
    fn shorter_than_a_superblock() {
        assert!(matches!(Superblock::decode(&[0; 1023]), Err(SpecError::Short { .. })));
        assert!(matches!(Superblock::decode(&[0; 1024]), Err(SpecError::Magic { .. })));
    }
}
