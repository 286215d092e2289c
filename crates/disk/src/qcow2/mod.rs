//! qcow2 images, version 3 of the format (QEMU's `docs/interop/qcow2.txt`): [`overlay`](fn@overlay) has no data of its own yet,
//! [`write`](fn@write) puts a whole disk into a file.
//!
//! A disk is cut into clusters of 64 KiB. An L1 table says where the L2 tables are, one for each 512 MiB; these say where each
//! cluster stands. Every cluster of the file has a reference count, in blocks that the refcount table leads to. All numbers are
//! big-endian.

mod header;
mod image;
mod overlay;

pub use image::write;
pub use overlay::overlay;

/// `cluster_bits`
const CLUSTER_BITS: u32 = 16;
/// Bytes of a cluster.
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Bytes of an entry of the L1, L2 and refcount tables.
const ENTRY: u64 = 8;
/// Bytes of a disk that one entry of the L1 table stands for: a cluster of L2 entries, each a cluster.
const L1_SPAN: u64 = CLUSTER / ENTRY * CLUSTER;
/// Bytes of a refcount, which has 2⁴ bits.
const REFCOUNT: u64 = 2;
/// A virtual disk consists of sectors.
const SECTOR: u64 = 512;

/// Entries of the L1 table of a disk. QEMU makes one of at least one entry.
fn l1_entries(size: u64) -> u64 {
    size.div_ceil(L1_SPAN).max(1)
}
