//! How much of everything is accepted, in one place, each with its reason.

/// Bytes of a catalog: 4 MiB, some ten thousand entries with long descriptions.
pub const CATALOG_BYTES: u64 = 4 << 20;

/// Entries of one catalog, images and kernels together.
pub const ENTRIES: usize = 10_000;

/// Bytes of an address: what servers and proxies take without being told to.
pub const URL_BYTES: usize = 2_048;

/// Bytes of every other text of an entry.
pub const TEXT_BYTES: usize = 1_024;

/// Bytes of a name.
pub const NAME_BYTES: usize = 127;

/// Bytes of a signature: minisign's comments have 8 KiB at most.
pub const SIGNATURE_BYTES: u64 = 16 << 10;

/// Bytes of a copy of a catalog that is kept: the catalog and its signature, with every character escaped.
pub const KEPT_BYTES: u64 = 6 * (CATALOG_BYTES + SIGNATURE_BYTES) + URL_BYTES as u64 + 1_024;

/// Bytes of a file that a catalog offers: 256 GiB, far more than anybody downloads for one image.
pub const FILE_BYTES: u64 = 256 << 30;

/// How often a download is asked for again without a single byte more having come.
pub const TRIES: u32 = 4;

/// How often a download is asked for in all. Who sends a little each time is not asked for ever.
pub const ATTEMPTS: u32 = 200;

/// Bytes of a bundle's `manifest.json`: the config of an image, which may have 8 MiB, and little else.
pub const MANIFEST_BYTES: u64 = 9 << 20;

/// Bytes of a bundle's root file system, holes included: 1 TiB. Holes cost no space, but they are hashed like all else.
pub const ROOTFS_BYTES: u64 = 1 << 40;

/// Bytes of a bundle, decompressed: a root file system without holes, the manifest, headers and the map of the holes.
pub const ARCHIVE_BYTES: u64 = ROOTFS_BYTES + (64 << 20);

/// Runs of data in the map of a bundle that is written here: the map has some 700 KiB then.
///
/// A root file system with more has the smallest of its holes filled with zeros in the archive, which compress to nothing and are
/// holes again when it is read here.
pub const RUNS: usize = 32_768;
