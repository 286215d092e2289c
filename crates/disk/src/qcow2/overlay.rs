//! An image that has no data of its own yet: all that is read of it comes from a raw image below, all that is written stays in
//! it. It can be larger than what is below: the rest reads as zeros.
//!
//! It consists of the header with the extension that names the backing file's format, the refcount table with its block, and an L1
//! table of zeros.

use std::path::Path;

use super::header::{Header, disk_size};
use super::{CLUSTER, ENTRY, l1_entries};
use crate::error::Result;

/// Where the tables begin, in clusters. What has no entry in this list comes behind.
const REFCOUNT_TABLE: u64 = 1;
const REFCOUNT_BLOCK: u64 = 2;
const L1_TABLE: u64 = 3;

/// The bytes of an overlay of `size` bytes, at least, over the raw image `backing`, an absolute path.
///
/// # Errors
/// The size or the path does not fit into the format.
pub fn overlay(backing: &Path, size: u64) -> Result<Vec<u8>> {
    let size = disk_size(size)?;
    let clusters = L1_TABLE + (l1_entries(size) * ENTRY).div_ceil(CLUSTER);
    let header = Header {
        size,
        backing: Some(backing),
        l1_table: L1_TABLE,
        refcount_table: REFCOUNT_TABLE,
        refcount_table_clusters: 1,
    };
    let mut image = header.encode()?;
    pad(&mut image, REFCOUNT_TABLE);
    image.extend_from_slice(&(REFCOUNT_BLOCK * CLUSTER).to_be_bytes());
    pad(&mut image, REFCOUNT_BLOCK);
    for _ in 0..clusters {
        image.extend_from_slice(&1_u16.to_be_bytes());
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
    use crate::limits::DISK_BYTES;

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
