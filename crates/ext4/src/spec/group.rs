//! Group descriptors, and which groups hold backups.
//!
//! <https://docs.kernel.org/filesystems/ext4/globals.html#block-group-descriptors>

use super::bytes::{get16, get32, high16, join, low16, put_split, put16};
use super::{DESCRIPTOR_BYTES, DESCRIPTOR_BYTES_32, Seed, SpecError, at_least, checksum, verify};

const NAME: &str = "group descriptor";

/// `bg_flags`: no inode of the group is in use and the inode bitmap is not written, `EXT4_BG_INODE_UNINIT`.
pub const INODE_UNINIT: u16 = 1;
/// `bg_flags`: only metadata of the group itself is in use and the block bitmap is not written, `EXT4_BG_BLOCK_UNINIT`.
pub const BLOCK_UNINIT: u16 = 2;
/// `bg_flags`: the unused part of the inode table is zero already, `EXT4_BG_INODE_ZEROED`.
pub const INODE_ZEROED: u16 = 4;

/// Offset of `bg_checksum`.
const CHECKSUM_AT: usize = 0x1E;

/// A group descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescriptor {
    /// `bg_block_bitmap_lo`, 0x0, and `_hi`, 0x20: block of the block bitmap.
    pub block_bitmap: u64,
    /// `bg_inode_bitmap_lo`, 0x4, and `_hi`, 0x24: block of the inode bitmap.
    pub inode_bitmap: u64,
    /// `bg_inode_table_lo`, 0x8, and `_hi`, 0x28: first block of the inode table.
    pub inode_table: u64,
    /// `bg_free_blocks_count_lo`, 0xC, and `_hi`, 0x2C.
    pub free_blocks: u32,
    /// `bg_free_inodes_count_lo`, 0xE, and `_hi`, 0x2E.
    pub free_inodes: u32,
    /// `bg_used_dirs_count_lo`, 0x10, and `_hi`, 0x30.
    pub used_directories: u32,
    /// `bg_flags`, 0x12.
    pub flags: u16,
    /// `bg_block_bitmap_csum_lo`, 0x18, and `_hi`, 0x38: [`checksum::bitmap`].
    pub block_bitmap_checksum: u32,
    /// `bg_inode_bitmap_csum_lo`, 0x1A, and `_hi`, 0x3A: [`checksum::bitmap`].
    pub inode_bitmap_checksum: u32,
    /// `bg_itable_unused_lo`, 0x1C, and `_hi`, 0x32: inodes at the table's end that were never used.
    pub unused_inodes: u32,
}

impl GroupDescriptor {
    /// Writes the descriptor of group `group` over all of `out`, with its checksum.
    pub fn encode(&self, seed: Seed, group: u32, out: &mut [u8; DESCRIPTOR_BYTES]) {
        out.fill(0);
        put_split(out, 0x0, 0x20, self.block_bitmap);
        put_split(out, 0x4, 0x24, self.inode_bitmap);
        put_split(out, 0x8, 0x28, self.inode_table);
        let mut halves = |low, high, value| {
            put16(out, low, low16(value));
            put16(out, high, high16(value));
        };
        halves(0xC, 0x2C, self.free_blocks);
        halves(0xE, 0x2E, self.free_inodes);
        halves(0x10, 0x30, self.used_directories);
        halves(0x18, 0x38, self.block_bitmap_checksum);
        halves(0x1A, 0x3A, self.inode_bitmap_checksum);
        halves(0x1C, 0x32, self.unused_inodes);
        put16(out, 0x12, self.flags);
        let sum = checksum::descriptor(seed, group, out);
        put16(out, CHECKSUM_AT, sum);
    }

    /// Reads the descriptor of group `group` from all the bytes that it has: 32, or with `64bit` 64 or more.
    /// `seed` is given where the file system has `metadata_csum`.
    ///
    /// # Errors
    /// [`SpecError`] if there are less than 32 bytes or the checksum does not fit.
    pub fn decode(seed: Option<Seed>, group: u32, bytes: &[u8]) -> Result<Self, SpecError> {
        at_least(NAME, bytes, DESCRIPTOR_BYTES_32)?;
        if let Some(seed) = seed {
            let computed = checksum::descriptor(seed, group, bytes);
            verify(NAME, get16(bytes, CHECKSUM_AT).into(), computed.into())?;
        }
        // In a descriptor of 32 bytes the high halves read as zero.
        let wide = |low, high| join(get32(bytes, low), get32(bytes, high));
        let halves = |low, high| (u32::from(get16(bytes, high)) << 16) | u32::from(get16(bytes, low));
        Ok(Self {
            block_bitmap: wide(0x0, 0x20),
            inode_bitmap: wide(0x4, 0x24),
            inode_table: wide(0x8, 0x28),
            free_blocks: halves(0xC, 0x2C),
            free_inodes: halves(0xE, 0x2E),
            used_directories: halves(0x10, 0x30),
            flags: get16(bytes, 0x12),
            block_bitmap_checksum: halves(0x18, 0x38),
            inode_bitmap_checksum: halves(0x1A, 0x3A),
            unused_inodes: halves(0x1C, 0x32),
        })
    }
}

/// Whether group `group` begins with a superblock and descriptors: group 0, and with `sparse_super`, of the others
/// only 1 and the powers of 3, 5 and 7.
#[must_use]
pub fn has_backup(group: u32) -> bool {
    group <= 1 || [3, 5, 7].into_iter().any(|base| is_power_of(base, group))
}

fn is_power_of(base: u64, value: u32) -> bool {
    let mut power = base;
    while power < u64::from(value) {
        power = power.saturating_mul(base);
    }
    power == u64::from(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> GroupDescriptor {
        GroupDescriptor {
            block_bitmap: 0x1_0000_0001,
            inode_bitmap: 0x2_0000_0002,
            inode_table: 0x3_0000_0003,
            free_blocks: 0x1_0004,
            free_inodes: 0x2_0005,
            used_directories: 0x3_0006,
            flags: INODE_ZEROED,
            block_bitmap_checksum: 0x1234_5678,
            inode_bitmap_checksum: 0x8765_4321,
            unused_inodes: 0x4_0007,
        }
    }

    #[test]
    fn survives_encoding() {
        let seed = Seed::filesystem(&[1; 16]);
        let mut bytes = [0xAA; DESCRIPTOR_BYTES];
        sample().encode(seed, 3, &mut bytes);
        assert_eq!(GroupDescriptor::decode(Some(seed), 3, &bytes).unwrap(), sample());
        assert!(matches!(GroupDescriptor::decode(Some(seed), 4, &bytes), Err(SpecError::Checksum { .. })));
    }

    #[test]
    fn short_form_has_no_high_halves() {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        sample().encode(Seed::from_raw(0), 0, &mut bytes);
        let short = GroupDescriptor::decode(None, 0, &bytes[..32]).unwrap();
        assert_eq!((short.inode_table, short.free_blocks), (3, 4));
        assert!(GroupDescriptor::decode(None, 0, &bytes[..31]).is_err());
    }

    #[test]
    fn backups_stand_where_sparse_super_says() {
        let with: Vec<u32> = (0..400).filter(|&group| has_backup(group)).collect();
        assert_eq!(with, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
        assert!(!has_backup(u32::MAX));
    }
}
