//! One header block: what its fields say, before any extended header is taken into account.
//!
//! The layout is `tar-core`'s. Its numbers are not used: they are unsigned, and lose the upper bits of large ones.

use tar_core::Header;

use super::{Block, Field, Problem, number};
use crate::entry::Time;

/// Offset and length of the checksum field, which counts as spaces in the sum.
const CHECKSUM_FIELD: (usize, usize) = (148, 8);

/// What star writes into the last bytes of a header, whose prefix is then shorter.
const STAR_TRAILER: &[u8] = b"tar\0";

/// Bytes of the prefix in a header of star; access and change times come after it.
const STAR_PREFIX_BYTES: usize = 131;

/// Largest major number of a device, as in the kernel's `MINORBITS` and ext4's: 12 bits.
const MAJOR_MAX: u64 = 0xfff;

/// Largest minor number: 20 bits.
const MINOR_MAX: u64 = 0xf_ffff;

/// Which fields a header has behind the link name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Magic {
    /// None (Unix V7).
    Old,
    /// POSIX, with a prefix for the name.
    Posix,
    /// GNU, with other fields in the prefix's place.
    Gnu,
}

fn magic(header: &Header) -> Magic {
    match &header.as_ustar().magic {
        b"ustar\0" => Magic::Posix,
        b"ustar " => Magic::Gnu,
        _ => Magic::Old,
    }
}

/// Whether a block is all zeros, which no header is.
pub(super) fn is_zero(block: &Block) -> bool {
    block.iter().all(|&byte| byte == 0)
}

/// Checks the checksum. Some old writers summed signed bytes: both sums are right.
pub(super) fn verify(block: &Block) -> Result<(), Problem> {
    let (start, length) = CHECKSUM_FIELD;
    let field = block.get(start..start + length).unwrap_or_default();
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    let computed = sum(block) - sum(field) + length as u32 * u32::from(b' ');
    let stored = number::header(field, Field::Checksum)?;
    if stored == i128::from(computed) {
        return Ok(());
    }
    let high = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte >= 0x80).count() as i128;
    let signed = i128::from(computed) - 0x100 * (high(block) - high(field));
    if stored == signed {
        return Ok(());
    }
    Err(Problem::Checksum { stored, computed })
}

/// Puts the name into `path`: the name field, and before it the prefix of a POSIX header.
pub(super) fn path(header: &Header, path: &mut Vec<u8>) {
    path.clear();
    let prefix = match magic(header) {
        Magic::Posix => posix_prefix(header),
        Magic::Gnu if is_old_go(header) => up_to_nul(&header.as_ustar().prefix),
        Magic::Gnu | Magic::Old => &[],
    };
    if !prefix.is_empty() {
        path.extend(prefix);
        path.push(b'/');
    }
    path.extend(header.path_bytes());
}

fn posix_prefix(header: &Header) -> &[u8] {
    let prefix = &header.as_ustar().prefix;
    let field = if header.as_bytes().ends_with(STAR_TRAILER) {
        prefix.get(..STAR_PREFIX_BYTES).unwrap_or_default()
    } else {
        prefix
    };
    up_to_nul(field)
}

/// Whether a GNU header has a prefix after all. Go before 1.8, and so the Docker of that time, wrote one where GNU
/// has two times: then these are no numbers, but a piece of a path.
fn is_old_go(header: &Header) -> bool {
    let gnu = header.as_gnu();
    let is_no_number = |bytes| number::header(bytes, Field::Mtime).is_err();
    gnu.atime.first() != Some(&0)
        && up_to_nul(&header.as_ustar().prefix).is_ascii()
        && (is_no_number(&gnu.atime) || is_no_number(&gnu.ctime))
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Permissions, setuid, setgid and sticky; writers leave all kinds of other bits in the field.
pub(super) fn mode(header: &Header) -> Result<u16, Problem> {
    let mode = number::header(&header.as_ustar().mode, Field::Mode)?;
    Ok((mode & 0o7777) as u16)
}

pub(super) fn uid(header: &Header) -> Result<u32, Problem> {
    owner(&header.as_ustar().uid, Field::Uid)
}

pub(super) fn gid(header: &Header) -> Result<u32, Problem> {
    owner(&header.as_ustar().gid, Field::Gid)
}

fn owner(bytes: &[u8], field: Field) -> Result<u32, Problem> {
    number::header_within(bytes, field, u32::MAX.into()).map(|id| id as u32)
}

/// Bytes of data behind the header; a file offset, so 63 bits.
pub(super) fn size(header: &Header) -> Result<u64, Problem> {
    number::header_within(&header.as_ustar().size, Field::Size, i64::MAX as u64)
}

pub(super) fn mtime(header: &Header) -> Result<Time, Problem> {
    number::header_time(&header.as_ustar().mtime)
}

/// Logical size of the file of an old GNU sparse header.
pub(super) fn gnu_real_size(header: &Header) -> Result<u64, Problem> {
    number::header_within(&header.as_gnu().realsize, Field::SparseSize, i64::MAX as u64)
}

/// Major and minor number of a device.
pub(super) fn device(header: &Header) -> Result<(u32, u32), Problem> {
    if magic(header) == Magic::Old {
        return Ok((0, 0));
    }
    let fields = header.as_ustar();
    let major = number::header_within(&fields.dev_major, Field::DeviceMajor, MAJOR_MAX)?;
    let minor = number::header_within(&fields.dev_minor, Field::DeviceMinor, MINOR_MAX)?;
    Ok((major as u32, minor as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(magic: &[u8], prefix: &[u8], name: &[u8]) -> Header {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[257..257 + magic.len()].copy_from_slice(magic);
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        *Header::from_bytes(&block)
    }

    #[test]
    fn names_have_a_prefix_where_the_format_has_one() {
        let long = [b'p'; 155];
        let star = [&long[..131], b"00000000000 "].concat();
        let mut star = named(b"ustar\x0000", &star, b"name");
        star.as_mut_bytes()[508..].copy_from_slice(b"tar\0");
        let table: [(Header, Vec<u8>); 8] = [
            (named(b"ustar\x0000", b"", b"name"), b"name".to_vec()),
            (named(b"ustar\x0000", b"dir", b"name"), b"dir/name".to_vec()),
            (named(b"ustar\x0000", &long, &[b'n'; 100]), [&long[..], b"/", &[b'n'; 100]].concat()),
            (star, [&long[..131], b"/name"].concat()),
            (named(b"ustar  \0", b"14524770400\x0014524770400\0", b"name"), b"name".to_vec()),
            (named(b"ustar  \0", b"usr/share/doc", b"name"), b"usr/share/doc/name".to_vec()),
            (named(b"ustar  \0", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"name"), b"name".to_vec()),
            (named(b"", b"dir", b"name"), b"name".to_vec()),
        ];
        let mut found = b"left over".to_vec();
        for (header, expected) in table {
            path(&header, &mut found);
            assert_eq!(found, expected, "{header:?}");
        }
    }

    #[test]
    fn checksums_of_signed_bytes_are_right_too() {
        let mut block = [0; 512];
        block[..4].copy_from_slice(b"\xff\xfe\x80a");
        let plain: i32 = 0xff + 0xfe + 0x80 + i32::from(b'a') + 8 * 0x20;
        for (sum, right) in [(plain, true), (plain - 3 * 0x100, true), (plain - 0x100, false), (plain + 1, false)] {
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(verify(&block).is_ok(), right, "{sum}");
        }
        assert!(verify(&[0xff; 512]).is_err());
    }
}
