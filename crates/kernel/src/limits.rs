//! How much is accepted, in one place, each with its reason.

/// Bytes of a kernel: one that was not stripped of its debugging information has 1 GiB.
pub const KERNEL_BYTES: u64 = 4 << 30;
/// Bytes of an initial RAM disk: those with all modules and firmware have some 500 MiB.
pub const INITRD_BYTES: u64 = 4 << 30;
/// Bytes of all files of one kernel. A distribution's largest, modules not compressed, have some 600 MiB.
pub const TOTAL_BYTES: u64 = 8 << 30;
/// Files of one kernel: a distribution's largest has some 6,000.
pub const FILES: usize = 100_000;
/// Directories inside of one another: a kernel's own have nine.
pub const DEPTH: usize = 32;
/// Bytes of a file's path below the directory of modules: what the kernel takes, less room for what is before it.
pub const PATH_BYTES: usize = 2048;
/// Bytes of a file that are searched for the version of a kernel: it stands among the constants, before any debugging
/// information.
pub const SEARCH_BYTES: u64 = 256 << 20;
/// Bytes at the front of a file that are looked at to say what it is: nothing comes out of zstd before a whole block is there, which
/// may have 128 KiB (RFC 8878, 3.1.1.2.4); all else stands before that.
pub const HEAD_BYTES: usize = 160 << 10;
/// Segments of an ELF file that are looked at: a kernel has five.
pub const SEGMENTS: u16 = 128;
/// Bytes of a package's control archive, decompressed, and of the file `control` in it: real ones have some 10 KiB, and the
/// list of a large package's checksums beside them.
pub const CONTROL_BYTES: u64 = 16 << 20;
/// Entries of a package or an archive, of whatever kind: a kernel's files, their directories, and what else may be in a package.
pub const ENTRIES: usize = 2 * FILES;
/// Members of a package before the one with the files: there are two, and what others add begins with `_`.
pub const PACKAGE_MEMBERS: usize = 16;
/// Packages of one kernel: Debian's come in four, and metapackages may be named with them.
pub const KERNEL_PACKAGES: usize = 16;
/// Memory that the decompressor for xz may use, in KiB: `xz -9` needs 64 MiB.
pub const XZ_MEMORY_KIB: u32 = 128 << 10;
/// Names in a directory in which a kernel is sought: `/boot` has some twenty.
pub const NAMES: usize = 10_000;
