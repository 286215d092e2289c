//! The header: the first cluster of an image, as far as it says something.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{CLUSTER, CLUSTER_BITS, L1_SPAN, SECTOR, l1_entries};
use crate::error::{Error, Result};
use crate::limits::DISK_BYTES;

/// `QFI\xfb`
const MAGIC: u32 = 0x5146_49fb;
const VERSION: u32 = 3;
/// Bytes of the header without extensions (`header_length`).
const HEADER: u32 = 104;
/// The header extension with the name of the backing file's format.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// Log₂ of the bits of a refcount.
const REFCOUNT_ORDER: u32 = 4;
/// Bytes of the backing file's name (`backing_file_size`).
const NAME_LIMIT: usize = 1023;

/// What differs between images.
pub(super) struct Header<'a> {
    /// Bytes of the disk.
    pub(super) size: u64,
    /// The raw image below, an absolute path.
    pub(super) backing: Option<&'a Path>,
    /// The first cluster of the L1 table.
    pub(super) l1_table: u64,
    /// The first cluster of the refcount table, and how many it has.
    pub(super) refcount_table: u64,
    pub(super) refcount_table_clusters: u64,
}

/// Bytes of the disk that holds `size` bytes.
///
/// # Errors
/// It is too large.
pub(super) fn disk_size(size: u64) -> Result<u64> {
    if size > DISK_BYTES {
        return Err(Error::TooLarge { what: "the disk", size });
    }
    Ok(size.next_multiple_of(SECTOR))
}

impl Header<'_> {
    /// The header's bytes: less than a cluster.
    ///
    /// # Errors
    /// The path does not fit into the format.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let name = self.backing.map_or(&b""[..], |path| path.as_os_str().as_bytes());
        if name.len() > NAME_LIMIT {
            return Err(Error::TooLarge { what: "the path of the image", size: name.len() as u64 });
        }
        let mut extensions = Vec::new();
        if self.backing.is_some() {
            extensions = [&BACKING_FORMAT.to_be_bytes()[..], &3_u32.to_be_bytes(), b"raw\0\0\0\0\0"].concat();
        }
        // The extensions end with one of type 0.
        extensions.extend_from_slice(&[0; 8]);
        let name_at = if self.backing.is_some() { u64::from(HEADER) + extensions.len() as u64 } else { 0 };

        let mut image = Vec::new();
        let mut number = |value: u32| image.extend_from_slice(&value.to_be_bytes());
        // `DISK_BYTES` keeps all of these far from overflowing.
        let high = |value: u64| u32::try_from(value >> 32).unwrap_or(u32::MAX);
        let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
        for value in [MAGIC, VERSION, high(name_at), low(name_at), low(name.len() as u64), CLUSTER_BITS] {
            number(value);
        }
        let l1_size = l1_entries(self.size);
        for value in [self.size, l1_size, self.l1_table * CLUSTER, self.refcount_table * CLUSTER] {
            // `crypt_method` and `l1_size` share these eight bytes: there is no encryption.
            number(high(value));
            number(low(value));
        }
        // No snapshots, no features.
        for value in [low(self.refcount_table_clusters), 0, 0, 0, 0, 0, 0, 0, 0, 0, REFCOUNT_ORDER, HEADER] {
            number(value);
        }
        image.extend_from_slice(&extensions);
        image.extend_from_slice(name);
        debug_assert!((image.len() as u64) < CLUSTER && l1_size <= DISK_BYTES / L1_SPAN);
        Ok(image)
    }
}
