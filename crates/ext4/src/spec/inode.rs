//! The inode: everything about a file but its name.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#index-nodes>. The writer's inodes have 256 bytes: 128 that
//! every ext2 inode has, 32 of extra fields, and 96 for xattrs. Older forms are read too.

use super::bytes::{get_array, get16, get32, high16, high32, join, low16, low32, put, put_split, put16, put32};
use super::{FileType, INODE_BASE_BYTES, INODE_BYTES, INODE_EXTRA_BYTES, Seed, SpecError, at_least, checksum, verify};

const NAME: &str = "inode";

/// Bytes of `i_block`: the root of the extent tree, a short symlink's target, or a device's number.
pub const I_BLOCK_BYTES: usize = 60;
/// Where the xattrs of an inode begin that the writer wrote.
pub const BODY_XATTR_OFFSET: usize = INODE_BASE_BYTES + INODE_EXTRA_BYTES as usize;
/// Bytes there are for them.
pub const BODY_XATTR_BYTES: usize = INODE_BYTES - BODY_XATTR_OFFSET;

/// Bits of `i_flags`.
pub mod flags {
    /// `EXT4_IMMUTABLE_FL`.
    pub const IMMUTABLE: u32 = 0x10;
    /// `EXT4_APPEND_FL`.
    pub const APPEND: u32 = 0x20;
    /// `EXT4_ENCRYPT_FL`.
    pub const ENCRYPT: u32 = 0x800;
    /// `EXT4_INDEX_FL`: the directory is hashed.
    pub const INDEX: u32 = 0x1000;
    /// `EXT4_HUGE_FILE_FL`: `i_blocks` counts blocks, not sectors.
    pub const HUGE_FILE: u32 = 0x4_0000;
    /// `EXT4_EXTENTS_FL`: `i_block` is the root of an extent tree.
    pub const EXTENTS: u32 = 0x8_0000;
    /// `EXT4_VERITY_FL`.
    pub const VERITY: u32 = 0x10_0000;
    /// `EXT4_EA_INODE_FL`: the inode holds an xattr's value.
    pub const EA_INODE: u32 = 0x20_0000;
    /// `EXT4_INLINE_DATA_FL`: the content stands in the inode.
    pub const INLINE_DATA: u32 = 0x1000_0000;
    /// `EXT4_CASEFOLD_FL`: names in the directory are found in upper and lower case.
    pub const CASEFOLD: u32 = 0x4000_0000;
}

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC. An inode holds [`Timestamp::MIN_SECONDS`] to [`Timestamp::MAX_SECONDS`].
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// Bits of an extra time field that extend the seconds.
const EPOCH_BITS: u32 = 2;
const EPOCH_MASK: u32 = 0b11;

impl Timestamp {
    /// The earliest second that an inode can hold (1901).
    pub const MIN_SECONDS: i64 = i32::MIN as i64;
    /// The last second that an inode can hold (2446).
    pub const MAX_SECONDS: i64 = i32::MAX as i64 + (3 << 32);

    /// The nearest time that an inode can hold.
    #[must_use]
    pub fn clamped(self) -> Self {
        if self.seconds < Self::MIN_SECONDS {
            Self { seconds: Self::MIN_SECONDS, nanoseconds: 0 }
        } else if self.seconds > Self::MAX_SECONDS {
            Self { seconds: Self::MAX_SECONDS, nanoseconds: 999_999_999 }
        } else {
            Self { seconds: self.seconds, nanoseconds: self.nanoseconds.min(999_999_999) }
        }
    }

    /// The 32-bit field and the extra field. Times out of range are [clamped](Self::clamped).
    fn to_fields(self) -> (u32, u32) {
        let time = self.clamped();
        let base = low32(time.seconds as u64);
        // The field is signed: a base above 2^31 stands for a time 2^32 seconds earlier, and the epoch makes up for it.
        let rest = time.seconds.wrapping_sub(i64::from(base as i32)) as u64;
        (base, (time.nanoseconds << EPOCH_BITS) | (high32(rest) & EPOCH_MASK))
    }

    fn from_fields(base: u32, extra: u32) -> Self {
        let epoch = i64::from(extra & EPOCH_MASK) << 32;
        Self { seconds: i64::from(base as i32).saturating_add(epoch), nanoseconds: extra >> EPOCH_BITS }
    }
}

/// An inode, without its xattrs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// `i_mode`, 0x0: [`FileType::mode_bits`] and the permissions, [`super::mode`].
    pub mode: u16,
    /// `i_uid`, 0x2, and `l_i_uid_high`, 0x78.
    pub uid: u32,
    /// `i_gid`, 0x18, and `l_i_gid_high`, 0x7A.
    pub gid: u32,
    /// `i_size_lo`, 0x4, and `i_size_high`, 0x6C, in bytes.
    pub size: u64,
    /// `i_atime`, 0x8, and `i_atime_extra`, 0x8C.
    pub atime: Timestamp,
    /// `i_ctime`, 0xC, and `i_ctime_extra`, 0x84.
    pub ctime: Timestamp,
    /// `i_mtime`, 0x10, and `i_mtime_extra`, 0x88.
    pub mtime: Timestamp,
    /// `i_crtime`, 0x90, and `i_crtime_extra`, 0x94. Zero in inodes of 128 bytes.
    pub crtime: Timestamp,
    /// `i_dtime`, 0x14: when the inode was deleted, 0 if it was not.
    pub dtime: u32,
    /// `i_links_count`, 0x1A.
    pub links: u16,
    /// `i_blocks_lo`, 0x1C, and `l_i_blocks_high`, 0x74: 48 bits, of 512 bytes each, unless [`flags::HUGE_FILE`]
    /// says that they are blocks.
    pub blocks: u64,
    /// `i_flags`, 0x20: [`flags`].
    pub flags: u32,
    /// `i_block`, 0x28.
    pub block: [u8; I_BLOCK_BYTES],
    /// `i_generation`, 0x64.
    pub generation: u32,
    /// `i_file_acl_lo`, 0x68, and `l_i_file_acl_high`, 0x76: 48 bits, the xattr block or 0.
    pub file_acl: u64,
    /// `i_extra_isize`, 0x80: bytes of the fields from there on; 0 in inodes of 128 bytes.
    pub extra_isize: u16,
    /// `i_projid`, 0x9C.
    pub project: u32,
}

impl Default for Inode {
    /// A free inode, as the writer would write it: all zeros but `i_extra_isize`.
    fn default() -> Self {
        Self {
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            atime: Timestamp::default(),
            ctime: Timestamp::default(),
            mtime: Timestamp::default(),
            crtime: Timestamp::default(),
            dtime: 0,
            links: 0,
            blocks: 0,
            flags: 0,
            block: [0; I_BLOCK_BYTES],
            generation: 0,
            file_acl: 0,
            extra_isize: INODE_EXTRA_BYTES,
            project: 0,
        }
    }
}

impl Inode {
    /// Writes the inode over all of `out`, with its checksum.
    ///
    /// `seed` is the inode's own, from [`Seed::inode`] with the same generation. `body_xattrs` are the at most
    /// [`BODY_XATTR_BYTES`] bytes that [`super::xattr::encode_body`] made, or none. `extra_isize` is written as
    /// [`INODE_EXTRA_BYTES`]. Times are clamped, `blocks` and `file_acl` have 48 bits.
    pub fn encode(&self, seed: Seed, body_xattrs: &[u8], out: &mut [u8; INODE_BYTES]) {
        out.fill(0);
        put16(out, 0x0, self.mode);
        put16(out, 0x2, low16(self.uid));
        put16(out, 0x78, high16(self.uid));
        put16(out, 0x18, low16(self.gid));
        put16(out, 0x7A, high16(self.gid));
        put_split(out, 0x4, 0x6C, self.size);
        put_time(out, 0x8, 0x8C, self.atime);
        put_time(out, 0xC, 0x84, self.ctime);
        put_time(out, 0x10, 0x88, self.mtime);
        put_time(out, 0x90, 0x94, self.crtime);
        put32(out, 0x14, self.dtime);
        put16(out, 0x1A, self.links);
        put32(out, 0x1C, low32(self.blocks));
        put16(out, 0x74, low16(high32(self.blocks)));
        put32(out, 0x20, self.flags);
        put(out, 0x28, &self.block);
        put32(out, 0x64, self.generation);
        put32(out, 0x68, low32(self.file_acl));
        put16(out, 0x76, low16(high32(self.file_acl)));
        put16(out, 0x80, INODE_EXTRA_BYTES);
        put32(out, 0x9C, self.project);
        put(out, BODY_XATTR_OFFSET, body_xattrs);
        let sum = checksum::inode(seed, out);
        put16(out, 0x7C, low16(sum));
        put16(out, 0x82, high16(sum));
    }

    /// Reads an inode from all the bytes that it has. `seed` and `number` are for the checksum: the file system's
    /// seed, given where it has `metadata_csum`, and the inode's number.
    ///
    /// # Errors
    /// [`SpecError`] if there are less than 128 bytes, the checksum does not fit, or the extra fields do not fit in
    /// the inode.
    pub fn decode(seed: Option<Seed>, number: u32, bytes: &[u8]) -> Result<Self, SpecError> {
        at_least(NAME, bytes, INODE_BASE_BYTES)?;
        let generation = get32(bytes, 0x64);
        if let Some(seed) = seed {
            let computed = checksum::inode(seed.inode(number, generation), bytes);
            let low = get16(bytes, 0x7C);
            if checksum::inode_has_high(bytes) {
                verify(NAME, (u32::from(get16(bytes, 0x82)) << 16) | u32::from(low), computed)?;
            } else {
                verify(NAME, low.into(), low16(computed).into())?;
            }
        }
        let extra_isize = get16(bytes, 0x80);
        let extra_end = usize::from(extra_isize).saturating_add(INODE_BASE_BYTES);
        if bytes.len() > INODE_BASE_BYTES && (extra_end > bytes.len() || !extra_isize.is_multiple_of(4)) {
            return Err(SpecError::value(NAME, "i_extra_isize", extra_isize, "not a size that the inode has"));
        }
        // What is beyond the extra fields are xattrs: it must not be taken for fields.
        let fields = bytes.get(..extra_end).unwrap_or(bytes);
        let time = |base, extra| Timestamp::from_fields(get32(fields, base), get32(fields, extra));
        Ok(Self {
            mode: get16(fields, 0x0),
            uid: (u32::from(get16(fields, 0x78)) << 16) | u32::from(get16(fields, 0x2)),
            gid: (u32::from(get16(fields, 0x7A)) << 16) | u32::from(get16(fields, 0x18)),
            size: join(get32(fields, 0x4), get32(fields, 0x6C)),
            atime: time(0x8, 0x8C),
            ctime: time(0xC, 0x84),
            mtime: time(0x10, 0x88),
            crtime: time(0x90, 0x94),
            dtime: get32(fields, 0x14),
            links: get16(fields, 0x1A),
            blocks: join(get32(fields, 0x1C), get16(fields, 0x74).into()),
            flags: get32(fields, 0x20),
            block: get_array(fields, 0x28),
            generation,
            file_acl: join(get32(fields, 0x68), get16(fields, 0x76).into()),
            extra_isize,
            project: get32(fields, 0x9C),
        })
    }

    /// What the inode is; `None` if it is free or `i_mode` makes no sense.
    #[must_use]
    pub fn file_type(&self) -> Option<FileType> {
        FileType::from_mode(self.mode)
    }
}

/// The part of an inode's bytes that holds xattrs, from the magic number on: empty in inodes of 128 bytes.
#[must_use]
pub fn body_xattrs(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= INODE_BASE_BYTES {
        return &[];
    }
    let start = usize::from(get16(bytes, 0x80)).saturating_add(INODE_BASE_BYTES);
    bytes.get(start..).unwrap_or(&[])
}

fn put_time(out: &mut [u8], base: usize, extra: usize, time: Timestamp) {
    let (low, high) = time.to_fields();
    put32(out, base, low);
    put32(out, extra, high);
}

/// The highest major number that an inode can hold.
pub const MAJOR_MAX: u32 = 0xFFF;
/// The highest minor number that an inode can hold.
pub const MINOR_MAX: u32 = 0xF_FFFF;

/// The `i_block` of a device: the old 16-bit form in the first word where the numbers fit, else the new form in the
/// second. `None` beyond [`MAJOR_MAX`] or [`MINOR_MAX`].
#[must_use]
pub fn encode_device(major: u32, minor: u32) -> Option<[u8; I_BLOCK_BYTES]> {
    if major > MAJOR_MAX || minor > MINOR_MAX {
        return None;
    }
    let mut block = [0; I_BLOCK_BYTES];
    if major <= 0xFF && minor <= 0xFF {
        put32(&mut block, 0, (major << 8) | minor);
    } else {
        put32(&mut block, 4, (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12));
    }
    Some(block)
}

/// Major and minor number from the `i_block` of a device.
#[must_use]
pub fn decode_device(block: &[u8; I_BLOCK_BYTES]) -> (u32, u32) {
    let old = get32(block, 0);
    if old != 0 {
        return ((old >> 8) & 0xFF, old & 0xFF);
    }
    let new = get32(block, 4);
    ((new >> 8) & MAJOR_MAX, (new & 0xFF) | ((new >> 12) & 0xF_FF00))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Inode {
        Inode {
            mode: 0o100_755,
            uid: 0x1234_5678,
            gid: 0x9ABC_DEF0,
            size: 0x12_3456_789A,
            atime: Timestamp { seconds: -1, nanoseconds: 999_999_999 },
            ctime: Timestamp { seconds: 1 << 31, nanoseconds: 1 },
            mtime: Timestamp { seconds: Timestamp::MAX_SECONDS, nanoseconds: 2 },
            crtime: Timestamp { seconds: Timestamp::MIN_SECONDS, nanoseconds: 3 },
            dtime: 4,
            links: 65_000,
            blocks: 0x1234_5678_9ABC,
            flags: flags::EXTENTS,
            block: std::array::from_fn(|i| i as u8),
            generation: 77,
            file_acl: 0x4321_0000_0001,
            extra_isize: 32,
            project: 5,
        }
    }

    #[test]
    fn survives_encoding() {
        let seed = Seed::filesystem(&[1; 16]);
        let mut bytes = [0xAA; INODE_BYTES];
        sample().encode(seed.inode(12, 77), b"xattrs", &mut bytes);
        assert_eq!(Inode::decode(Some(seed), 12, &bytes).unwrap(), sample());
        assert_eq!(&body_xattrs(&bytes)[..8], b"xattrs\0\0");
        assert_eq!(body_xattrs(&bytes).len(), BODY_XATTR_BYTES);
        for at in 0..INODE_BYTES {
            let mut broken = bytes;
            broken[at] ^= 1;
            assert!(Inode::decode(Some(seed), 12, &broken).is_err(), "byte {at:#x}");
        }
        assert!(Inode::decode(Some(seed), 13, &bytes).is_err());
    }

    #[test]
    fn small_inodes_have_no_extra_fields() {
        let mut bytes = [0; INODE_BYTES];
        sample().encode(Seed::from_raw(0), &[], &mut bytes);
        let small = Inode::decode(None, 12, &bytes[..128]).unwrap();
        assert_eq!(small.extra_isize, 0);
        assert_eq!(small.crtime, Timestamp::default());
        assert_eq!(small.ctime, Timestamp { seconds: i32::MIN.into(), nanoseconds: 0 });
        assert!(body_xattrs(&bytes[..128]).is_empty());
        assert!(Inode::decode(None, 12, &bytes[..127]).is_err());
    }

    #[test]
    fn extra_fields_stay_in_the_inode() {
        let mut bytes = [0; INODE_BYTES];
        sample().encode(Seed::from_raw(0), &[], &mut bytes);
        bytes[0x80] = 130;
        assert!(matches!(Inode::decode(None, 12, &bytes), Err(SpecError::Value { field: "i_extra_isize", .. })));
        bytes[0x80] = 4;
        let inode = Inode::decode(None, 12, &bytes).unwrap();
        assert_eq!(inode.mtime.nanoseconds, 0);
    }

    #[test]
    fn times_follow_the_kernel_s_table() {
        // The table in the kernel's documentation: extra bits, sign of the base, first second of the range.
        let table: [(i64, u32, u32); 8] = [
            (-0x8000_0000, 0x8000_0000, 0),
            (0, 0, 0),
            (0x8000_0000, 0x8000_0000, 1),
            (0x1_0000_0000, 0, 1),
            (0x1_8000_0000, 0x8000_0000, 2),
            (0x2_0000_0000, 0, 2),
            (0x2_8000_0000, 0x8000_0000, 3),
            (0x3_7FFF_FFFF, 0x7FFF_FFFF, 3),
        ];
        for (seconds, base, epoch) in table {
            let time = Timestamp { seconds, nanoseconds: 5 };
            assert_eq!(time.to_fields(), (base, (5 << 2) | epoch), "{seconds:#x}");
            assert_eq!(Timestamp::from_fields(base, (5 << 2) | epoch), time);
        }
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        let early = Timestamp { seconds: i64::MIN, nanoseconds: 7 }.clamped();
        assert_eq!(early, Timestamp { seconds: Timestamp::MIN_SECONDS, nanoseconds: 0 });
        let late = Timestamp { seconds: i64::MAX, nanoseconds: 7 };
        let (base, extra) = late.to_fields();
        assert_eq!(Timestamp::from_fields(base, extra), late.clamped());
    }

    #[test]
    fn device_numbers() {
        let cases = [(0, 0), (5, 1), (255, 255), (256, 0), (0, 256), (8, 0x12345), (MAJOR_MAX, MINOR_MAX)];
        for (major, minor) in cases {
            assert_eq!(decode_device(&encode_device(major, minor).unwrap()), (major, minor));
        }
        assert_eq!(&encode_device(5, 1).unwrap()[..8], &[1, 5, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&encode_device(8, 0x12345).unwrap()[..8], &[0, 0, 0, 0, 0x45, 8, 0x30, 0x12]);
        assert_eq!(encode_device(MAJOR_MAX + 1, 0), None);
        assert_eq!(encode_device(0, MINOR_MAX + 1), None);
    }
}
