//! How much is taken of a directory of modules.

/// Bytes of a module, compressed or not: the largest have some 20 MiB, and ten times that with debugging information.
pub(crate) const MODULE_BYTES: u64 = 512 << 20;
/// Memory that a decompressor may use, in KiB.
pub(crate) const XZ_MEMORY_KIB: u32 = 128 << 10;
/// Bytes of a list that comes with modules: Debian's longest has 1 MiB.
pub(crate) const LIST_BYTES: u64 = 64 << 20;
/// Files and links: a distribution's largest kernel has some 6,000.
pub(crate) const MEMBERS: usize = 100_000;
/// Directories inside of one another: a kernel's own have nine.
pub(crate) const DEPTH: usize = 32;
/// Bytes of a key of an index: it is as deep as the trie can be.
pub(crate) const KEY_BYTES: usize = 1024;
