//! The checksums of `metadata_csum`: crc32c over a structure, begun with what the structure belongs to.
//!
//! ext4 takes crc32c without its final inversion, and feeds the result of one piece as the start of the next. A
//! structure's checksum begins with the file system's UUID, and those that belong to an inode with the inode's
//! number and generation too, so that a block found in the wrong place is told from one in its own.
//! <https://docs.kernel.org/filesystems/ext4/overview.html#checksums>

use super::bytes::low16;

/// Offset of `s_checksum` in the superblock.
const SUPERBLOCK_AT: usize = 0x3FC;
/// Offset of `bg_checksum` in a group descriptor.
const DESCRIPTOR_AT: usize = 0x1E;
/// Offset of `i_checksum_lo` in an inode.
const INODE_LOW_AT: usize = 0x7C;
/// Offset of `i_checksum_hi` in an inode.
const INODE_HIGH_AT: usize = 0x82;
/// Offset of `h_checksum` in an xattr block.
const XATTR_AT: usize = 0x10;
/// Offset of `s_checksum` in the journal's superblock.
const JOURNAL_AT: usize = 0xFC;

/// What a checksum starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u32);

impl Seed {
    /// The seed of structures that belong to the file system: its UUID.
    #[must_use]
    pub fn filesystem(uuid: &[u8; 16]) -> Self {
        Self(crc(u32::MAX, uuid))
    }

    /// The seed as `s_checksum_seed` holds it, with the feature `metadata_csum_seed`.
    #[must_use]
    pub const fn from_raw(seed: u32) -> Self {
        Self(seed)
    }

    /// The seed of structures that belong to inode `number`, from that of the file system.
    /// `generation` is the inode's `i_generation`.
    #[must_use]
    pub fn inode(self, number: u32, generation: u32) -> Self {
        Self(crc(crc(self.0, &number.to_le_bytes()), &generation.to_le_bytes()))
    }

    /// The checksum of `bytes` from this seed.
    #[must_use]
    pub fn checksum(self, bytes: &[u8]) -> u32 {
        crc(self.0, bytes)
    }
}

/// crc32c as ext4 takes it: no inversion before or after.
fn crc(start: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!start, bytes)
}

/// The checksum of `bytes` with `len` bytes at `at` taken as zero.
fn crc_without(start: u32, bytes: &[u8], at: usize, len: usize) -> u32 {
    const ZEROS: [u8; 4] = [0; 4];
    let before = bytes.get(..at).unwrap_or(bytes);
    let after = bytes.get(at.saturating_add(len)..).unwrap_or(&[]);
    crc(crc(crc(start, before), ZEROS.get(..len).unwrap_or(&ZEROS)), after)
}

/// `s_checksum`: of the superblock's first 1020 bytes. It has no seed, as it holds the UUID.
#[must_use]
pub fn superblock(bytes: &[u8]) -> u32 {
    crc(u32::MAX, bytes.get(..SUPERBLOCK_AT).unwrap_or(bytes))
}

/// `bg_checksum` of the descriptor of group `group`, of its full length, whatever stands in the field now.
#[must_use]
pub fn descriptor(seed: Seed, group: u32, bytes: &[u8]) -> u16 {
    low16(crc_without(crc(seed.0, &group.to_le_bytes()), bytes, DESCRIPTOR_AT, 2))
}

/// `bg_block_bitmap_csum` or `bg_inode_bitmap_csum`. The bytes are those that stand for something:
/// `s_clusters_per_group / 8` of a block bitmap, `s_inodes_per_group / 8` of an inode bitmap.
/// (A descriptor of 32 bytes keeps the low 16 bits.)
#[must_use]
pub fn bitmap(seed: Seed, bytes: &[u8]) -> u32 {
    crc(seed.0, bytes)
}

/// `i_checksum_lo` and `i_checksum_hi` of an inode of full length, whatever stands in the fields now.
/// `seed` is the inode's. An inode without `i_checksum_hi` keeps the low 16 bits.
#[must_use]
pub fn inode(seed: Seed, bytes: &[u8]) -> u32 {
    let (base, rest) = bytes.split_at_checked(super::INODE_BASE_BYTES).unwrap_or((bytes, &[]));
    let start = crc_without(seed.0, base, INODE_LOW_AT, 2);
    if rest.is_empty() {
        return start;
    }
    if inode_has_high(bytes) {
        crc_without(start, rest, INODE_HIGH_AT.saturating_sub(super::INODE_BASE_BYTES), 2)
    } else {
        crc(start, rest)
    }
}

/// Whether the inode's extra fields reach `i_checksum_hi`.
#[must_use]
pub fn inode_has_high(bytes: &[u8]) -> bool {
    const NEEDED: u16 = 4;
    bytes.len() > super::INODE_BASE_BYTES && super::bytes::get16(bytes, super::INODE_BASE_BYTES) >= NEEDED
}

/// `et_checksum` of a block of the extent tree: of all that stands before it. `seed` is the inode's.
#[must_use]
pub fn extent_block(seed: Seed, before_tail: &[u8]) -> u32 {
    crc(seed.0, before_tail)
}

/// `det_checksum` of a linear directory block: of all that stands before its 12-byte tail. `seed` is the inode's.
#[must_use]
pub fn directory_block(seed: Seed, before_tail: &[u8]) -> u32 {
    crc(seed.0, before_tail)
}

/// `dt_checksum` of a hash tree block: of the block as far as its entries in use go, then of the tail (8 bytes)
/// with the checksum taken as zero. `seed` is the inode's.
#[must_use]
pub fn hash_block(seed: Seed, used: &[u8], tail_reserved: u32) -> u32 {
    crc(crc(crc(seed.0, used), &tail_reserved.to_le_bytes()), &[0; 4])
}

/// `h_checksum` of an xattr block that stands at block `number`, whatever stands in the field now.
#[must_use]
pub fn xattr_block(seed: Seed, number: u64, block: &[u8]) -> u32 {
    crc_without(crc(seed.0, &number.to_le_bytes()), block, XATTR_AT, 4)
}

/// `s_checksum` of the journal's superblock (1024 bytes), whatever stands in the field now. It has no seed.
#[must_use]
pub fn journal_superblock(bytes: &[u8]) -> u32 {
    crc_without(u32::MAX, bytes.get(..super::SUPERBLOCK_BYTES).unwrap_or(bytes), JOURNAL_AT, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_not_inverted() {
        // The check value of crc32c is e3069283 for "123456789"; ext4's is its complement.
        assert_eq!(crc(u32::MAX, b"123456789"), !0xE306_9283);
    }

    #[test]
    fn pieces_chain() {
        let seed = Seed::filesystem(&[7; 16]);
        let whole: Vec<u8> = [&[7_u8; 16][..], &12_u32.to_le_bytes(), &5_u32.to_le_bytes(), b"abc"].concat();
        assert_eq!(seed.inode(12, 5).checksum(b"abc"), crc(u32::MAX, &whole));
    }

    #[test]
    fn own_field_does_not_count() {
        let seed = Seed::from_raw(1);
        let mut descriptor_bytes = [3_u8; 64];
        let first = descriptor(seed, 9, &descriptor_bytes);
        descriptor_bytes[DESCRIPTOR_AT] = 99;
        assert_eq!(descriptor(seed, 9, &descriptor_bytes), first);
        descriptor_bytes[DESCRIPTOR_AT + 2] = 99;
        assert_ne!(descriptor(seed, 9, &descriptor_bytes), first);
        assert_ne!(descriptor(seed, 8, &[3; 64]), first);

        let mut inode_bytes = [4_u8; 256];
        let first = inode(seed, &inode_bytes);
        inode_bytes[INODE_LOW_AT] = 1;
        inode_bytes[INODE_HIGH_AT + 1] = 1;
        assert_eq!(inode(seed, &inode_bytes), first);
    }
}
