//! A qcow2 image that has no data of its own yet: all that is read of it comes from a raw image below, all that is written stays in
//! it. It can be larger than what is below: the rest reads as zeros.
//!
//! Version 3 of the format (QEMU's `docs/interop/qcow2.txt`): the header with the extension that names the backing file's format, the
//! refcount table with its block, and an L1 table of zeros.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::DISK_BYTES;

/// `QFI\xfb`
const MAGIC: u32 = 0x5146_49fb;
const VERSION: u32 = 3;
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Bytes of the header without extensions (`header_length`).
const HEADER: u32 = 104;
/// The header extension with the name of the backing file's format.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// Log₂ of the bits of a refcount.
const REFCOUNT_ORDER: u32 = 4;
/// Bytes of the backing file's name (`backing_file_size`).
const NAME_LIMIT: usize = 1023;
/// Bytes that an entry of the L1 table stands for: a cluster of L2 entries, each a cluster.
const L1_SPAN: u64 = CLUSTER / 8 * CLUSTER;
/// A virtual disk consists of sectors.
const SECTOR: u64 = 512;

/// Where the tables begin, in clusters. What has no entry in this list comes behind.
const REFCOUNT_TABLE: u64 = 1;
const REFCOUNT_BLOCK: u64 = 2;
const L1_TABLE: u64 = 3;

/// The bytes of an overlay of `size` bytes, at least, over the raw image `backing`, an absolute path.
///
/// # Errors
/// The size or the path does not fit into the format.
pub fn overlay(backing: &Path, size: u64) -> Result<Vec<u8>> {
    if size > DISK_BYTES {
        return Err(Error::TooLarge { what: "the disk", size });
    }
    let name = backing.as_os_str().as_bytes();
    if name.len() > NAME_LIMIT {
        return Err(Error::TooLarge { what: "the path of the image", size: name.len() as u64 });
    }
    // The limits above keep all of this far from overflowing.
    let size = size.next_multiple_of(SECTOR);
    let entries = size.div_ceil(L1_SPAN).max(1);
    let clusters = L1_TABLE + (entries * 8).div_ceil(CLUSTER);
    let extension = [&BACKING_FORMAT.to_be_bytes()[..], &3u32.to_be_bytes(), b"raw\0\0\0\0\0", &[0; 8]].concat();
    let name_at = u64::from(HEADER) + extension.len() as u64;

    let mut image = Vec::new();
    let mut number = |value: u32| image.extend_from_slice(&value.to_be_bytes());
    let high = |value: u64| u32::try_from(value >> 32).unwrap_or(u32::MAX);
    let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
    for value in [MAGIC, VERSION, high(name_at), low(name_at), low(name.len() as u64), CLUSTER_BITS] {
        number(value);
    }
    for value in [size, low(entries).into(), L1_TABLE * CLUSTER, REFCOUNT_TABLE * CLUSTER] {
        // `crypt_method` and `l1_size` share these eight bytes: there is no encryption.
        number(high(value));
        number(low(value));
    }
    // One cluster of refcount table; no snapshots; no features.
    for value in [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, REFCOUNT_ORDER, HEADER] {
        number(value);
    }
    image.extend_from_slice(&extension);
    image.extend_from_slice(name);

    pad(&mut image, REFCOUNT_TABLE);
    image.extend_from_slice(&(REFCOUNT_BLOCK * CLUSTER).to_be_bytes());
    pad(&mut image, REFCOUNT_BLOCK);
    for _ in 0..clusters {
        image.extend_from_slice(&1u16.to_be_bytes());
    }
    pad(&mut image, clusters);
    Ok(image)
}

/// Zeros up to a cluster.
fn pad(image: &mut Vec<u8>, cluster: u64) {
    image.resize(usize::try_from(cluster * CLUSTER).unwrap_or(usize::MAX), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_format_has_them() {
        let image = overlay(Path::new("/a/b"), (1 << 30) + 1).unwrap();
        let at = |at: usize| u64::from_be_bytes(image[at..at + 8].try_into().unwrap());
        assert_eq!(image.len() as u64, 4 * CLUSTER);
        assert_eq!(&image[..8], b"QFI\xfb\0\0\0\x03");
        assert_eq!(at(24), (1 << 30) + 512, "rounded up to sectors");
        assert_eq!(at(32), 3, "no encryption, three entries");
        assert_eq!(at(40), 3 * CLUSTER);
        assert_eq!(at(48), CLUSTER);
        let name = at(8) as usize;
        assert_eq!(&image[name..name + 4], b"/a/b");
        assert_eq!(&image[name - 8..name], [0; 8], "the extensions end");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(overlay(Path::new("/a"), u64::MAX).is_err());
        assert!(overlay(Path::new(&"/a".repeat(600)), 1 << 30).is_err());
        assert!(overlay(Path::new("/a"), DISK_BYTES).is_ok());
    }
}
