//! How much of everything is accepted, in one place, each with its reason.
//!
//! The limits keep a hostile layer from using memory or time out of proportion; real images stay far below them.
//! They are generous on purpose: whoever hits one gets an error that names it and the entry.

/// Bytes in one component of a path: what ext4 (and every other Linux file system) can store.
pub const NAME_BYTES: usize = 255;

/// Bytes in the path of an entry or in the target of a hardlink.
///
/// The kernel takes 4,096 at once, but longer paths exist (they are reached directory by directory) and other
/// tools write them into archives. Sixteen times as much still fits in 16 bits.
pub const PATH_BYTES: usize = 65_535;

/// Bytes in the target of a symlink: the kernel's `PATH_MAX`, less its terminating NUL. ext4 stores one block at most.
pub const SYMLINK_BYTES: usize = 4_095;

/// Entries of one layer.
///
/// Eight times the largest image known to us; at about 110 bytes an entry it bounds a list to half a gigabyte.
pub const LAYER_ENTRIES: usize = 4_000_000;

/// Bytes of all paths, link targets and extended attributes of one layer together: 64 for each entry at the limit.
pub const LAYER_TEXT_BYTES: usize = 256 << 20;

/// Bytes of an image's `etc/passwd` or `etc/group` that are read for the names in ACLs: a hundred thousand users.
pub const NAMES_BYTES: usize = 8 << 20;

/// Distinct sets of extended attributes of one layer, or of the tree: every entry may have its own.
pub const XATTR_SETS: usize = LAYER_ENTRIES;

/// Layers of one image. Container engines stop at 127.
pub const LAYERS: usize = 4_096;

/// Names in the tree, all layers merged. An ext4 image as large as we write has more inodes; memory is the reason here.
pub const TREE_NAMES: usize = 8_000_000;

/// Bytes of all names and symlink targets that ever were in the tree.
pub const TREE_TEXT_BYTES: usize = 1 << 30;

/// Directories above an entry, the root not counted.
///
/// The kernel's `PATH_MAX` allows 2,048; a path of [`PATH_BYTES`] may have 32,768.
pub const TREE_DEPTH: u32 = 32_768;

/// Names of one inode that is not a directory: ext4's `EXT4_LINK_MAX`.
pub const LINKS: u32 = 65_000;

/// Symlinks followed for one path, as in the kernel (`MAXSYMLINKS`). The forty-first is an error.
pub const SYMLINK_HOPS: u32 = 40;

/// Components walked to find the places of one layer's entries: 16 for each entry at the limit.
///
/// The way to a directory is walked once for all entries in a row that are in it. What gets here are long symlinks as
/// parents of very many entries, which would take minutes.
pub const LAYER_STEPS: u64 = 16 * LAYER_ENTRIES as u64;

/// Bytes of one layer, decompressed.
///
/// Ten times the largest layers that registries take. Bytes beyond what the input is worth are limited by
/// [`EXPANSION`] before that.
pub const LAYER_BYTES: u64 = 256 << 30;

/// Decompressed by compressed bytes, beyond [`EXPANSION_FREE_BYTES`].
///
/// DEFLATE cannot exceed 1,032, so this lets through whatever gzip makes and holds zstd, which can reach 32,000 and
/// more, to the same.
pub const EXPANSION: u64 = 1_100;

/// Bytes that a layer may have whatever its compressed size: a file of zeros of this size passes in every form.
pub const EXPANSION_FREE_BYTES: u64 = 2 << 30;

/// Bytes of the largest window of a zstd frame, unless another limit is set: what the decoder of containerd and podman
/// takes. The window is memory, so the layers that are read at once share this much
/// ([`WindowBudget`](crate::decompress::WindowBudget)).
pub const ZSTD_WINDOW: u64 = 512 << 20;

/// The largest limit of a window that can be set: what libzstd can decode.
pub const ZSTD_WINDOW_MAX: u64 = 2 << 30;

/// Bytes of a window that each decoder may have: `zstd -19` and all levels below it stay within.
pub const SMALL_ZSTD_WINDOW: u64 = 8 << 20;

/// Bytes of the extended headers of one archive entry: a PAX header, a GNU long name or link name.
///
/// ext4 keeps a block of extended attributes, paths are limited by [`PATH_BYTES`]; what needs room here are PAX
/// maps of sparse files, some 30 bytes a run.
pub const EXTENDED_HEADER_BYTES: u64 = 4 << 20;

/// Runs of data in one sparse file: 16 MiB of memory.
pub const SPARSE_RUNS: usize = 1 << 20;
