//! How large things may be, and how much is done at once.

/// Bytes of a virtual disk: its first table takes 1 MiB then.
pub(crate) const DISK_BYTES: u64 = 64 << 40;
/// Bytes that are copied at once: between two pieces it is asked whether to go on.
pub(crate) const PIECE_BYTES: usize = 4 << 20;
/// Bytes of a file that are read at once. Reading more is not faster; buffers of this size stay in the processor's cache.
pub(crate) const READ_BYTES: usize = 256 << 10;
/// Bytes of holes that an archive has as zeros. The files of an image can be any number of times as large as the image: a
/// `lastlog` of some 300 GB without a block of data is known from real ones.
pub(crate) const HOLE_BYTES: u64 = 64 << 30;
/// Pieces of data that an archive has a map of for one sparse file: at some 25 bytes each, 2.5 MB. Of what is in more pieces, the
/// smallest holes are stored as zeros.
pub(crate) const SPARSE_RUNS: usize = 100_000;
