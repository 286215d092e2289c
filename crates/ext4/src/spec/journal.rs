//! The journal's superblock, the one block of a new journal that has content.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#super-block>. Its numbers are big endian. A journal that
//! holds nothing to replay has `s_start` 0; all of its other blocks may be anything.

use super::bytes::{get_array, get8, get32_be, put, put8, put32_be};
use super::{SUPERBLOCK_BYTES, SpecError, at_least, checksum, verify};

const NAME: &str = "journal superblock";

/// `h_magic`, of every block that the journal describes itself with.
pub const MAGIC: u32 = 0xC03B_3998;
/// `h_blocktype` of a superblock of the second version.
const SUPERBLOCK_V2: u32 = 4;
/// The fewest blocks that a journal has, `JBD2_MIN_JOURNAL_BLOCKS`.
pub const BLOCKS_MIN: u32 = 1024;
/// `s_feature_incompat`: checksums of every block, as kernels use them with `metadata_csum`.
pub const INCOMPAT_CSUM_V3: u32 = 0x10;
/// `s_feature_incompat`: the older form of them.
const INCOMPAT_CSUM_V2: u32 = 0x8;
/// `s_checksum_type`: crc32c.
const CHECKSUM_CRC32C: u8 = 4;

/// The superblock of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSuperblock {
    /// `s_blocksize`, 0xC: bytes of a block, as in the file system.
    pub block_size: u32,
    /// `s_maxlen`, 0x10: blocks of the journal, with this one.
    pub blocks: u32,
    /// `s_first`, 0x14: the first block for the log, counted in the journal.
    pub first: u32,
    /// `s_sequence`, 0x18: number of the first transaction to come.
    pub sequence: u32,
    /// `s_start`, 0x1C: where replay begins; 0 if there is nothing to replay.
    pub start: u32,
    /// `s_errno`, 0x20.
    pub error: u32,
    /// `s_feature_compat`, 0x24.
    pub feature_compat: u32,
    /// `s_feature_incompat`, 0x28. The kernel adds what it uses when it mounts.
    pub feature_incompat: u32,
    /// `s_feature_ro_compat`, 0x2C.
    pub feature_ro_compat: u32,
    /// `s_uuid`, 0x30: of the file system.
    pub uuid: [u8; 16],
    /// `s_nr_users`, 0x40: file systems that use the journal.
    pub users: u32,
    /// `s_head`, 0x58: where the log goes on, of an empty journal of a kernel that says it; else 0.
    pub head: u32,
}

impl JournalSuperblock {
    /// The superblock of an empty journal of `blocks` blocks of `block_size` bytes.
    #[must_use]
    pub fn empty(block_size: u32, blocks: u32, uuid: [u8; 16]) -> Self {
        Self {
            block_size,
            blocks,
            first: 1,
            sequence: 1,
            start: 0,
            error: 0,
            feature_compat: 0,
            feature_incompat: 0,
            feature_ro_compat: 0,
            uuid,
            users: 1,
            head: 0,
        }
    }

    fn has_checksum(&self) -> bool {
        self.feature_incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3) != 0
    }

    /// Writes the superblock over all of `out`, with its checksum if its features say that it has one.
    pub fn encode(&self, out: &mut [u8; SUPERBLOCK_BYTES]) {
        out.fill(0);
        put32_be(out, 0x0, MAGIC);
        put32_be(out, 0x4, SUPERBLOCK_V2);
        put32_be(out, 0xC, self.block_size);
        put32_be(out, 0x10, self.blocks);
        put32_be(out, 0x14, self.first);
        put32_be(out, 0x18, self.sequence);
        put32_be(out, 0x1C, self.start);
        put32_be(out, 0x20, self.error);
        put32_be(out, 0x24, self.feature_compat);
        put32_be(out, 0x28, self.feature_incompat);
        put32_be(out, 0x2C, self.feature_ro_compat);
        put(out, 0x30, &self.uuid);
        put32_be(out, 0x40, self.users);
        put32_be(out, 0x58, self.head);
        if self.has_checksum() {
            put8(out, 0x50, CHECKSUM_CRC32C);
            let sum = checksum::journal_superblock(out);
            put32_be(out, 0xFC, sum);
        }
    }

    /// Reads a superblock from its 1024 bytes.
    ///
    /// # Errors
    /// [`SpecError`] for a wrong magic number, version or checksum.
    pub fn decode(bytes: &[u8]) -> Result<Self, SpecError> {
        let bytes = at_least(NAME, bytes, SUPERBLOCK_BYTES)?;
        let magic = get32_be(bytes, 0x0);
        if magic != MAGIC {
            return Err(SpecError::Magic { structure: NAME, found: magic });
        }
        let kind = get32_be(bytes, 0x4);
        if kind != SUPERBLOCK_V2 {
            return Err(SpecError::value(NAME, "h_blocktype", kind, "not a superblock of version 2"));
        }
        let superblock = Self {
            block_size: get32_be(bytes, 0xC),
            blocks: get32_be(bytes, 0x10),
            first: get32_be(bytes, 0x14),
            sequence: get32_be(bytes, 0x18),
            start: get32_be(bytes, 0x1C),
            error: get32_be(bytes, 0x20),
            feature_compat: get32_be(bytes, 0x24),
            feature_incompat: get32_be(bytes, 0x28),
            feature_ro_compat: get32_be(bytes, 0x2C),
            uuid: get_array(bytes, 0x30),
            users: get32_be(bytes, 0x40),
            head: get32_be(bytes, 0x58),
        };
        if superblock.has_checksum() {
            let kind = get8(bytes, 0x50);
            if kind != CHECKSUM_CRC32C {
                return Err(SpecError::value(NAME, "s_checksum_type", kind, "not crc32c"));
            }
            verify(NAME, get32_be(bytes, 0xFC), checksum::journal_superblock(bytes))?;
        }
        Ok(superblock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_encoding() {
        let plain = JournalSuperblock::empty(4096, 1024, [9; 16]);
        let summed = JournalSuperblock { feature_incompat: INCOMPAT_CSUM_V3, ..plain.clone() };
        for superblock in [plain, summed] {
            let mut bytes = [0xAA; SUPERBLOCK_BYTES];
            superblock.encode(&mut bytes);
            assert_eq!(JournalSuperblock::decode(&bytes).unwrap(), superblock);
            bytes[0] ^= 1;
            assert!(JournalSuperblock::decode(&bytes).is_err());
        }
    }

    #[test]
    fn checksum_is_checked_where_there_is_one() {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        let superblock = JournalSuperblock::empty(4096, 1024, [9; 16]);
        JournalSuperblock { feature_incompat: INCOMPAT_CSUM_V3, ..superblock }.encode(&mut bytes);
        bytes[0x10] ^= 1;
        assert!(matches!(JournalSuperblock::decode(&bytes), Err(SpecError::Checksum { .. })));
        assert!(JournalSuperblock::decode(&bytes[..1023]).is_err());
    }
}
