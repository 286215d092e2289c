//! Every limit on what is read from an image, in one place, with its reason.

/// Bytes of a manifest, an index or an `index.json`: 4 MiB, what registries agree to store.
pub const MANIFEST_BYTES: u64 = 4 << 20;

/// Bytes of an image config: as much as a guest reads of it.
pub const CONFIG_BYTES: u64 = banger_protocol::limits::IMAGE_CONFIG_BYTES;

/// Bytes of the `oci-layout` marker file, which holds one version number.
pub const LAYOUT_MARKER_BYTES: u64 = 4 << 10;

/// Bytes of a docker archive's `manifest.json`, which lists the images of the archive.
pub const ARCHIVE_MANIFEST_BYTES: u64 = 4 << 20;

/// Layers of one image. Docker stops at 127, other builders a little later.
pub const LAYERS: usize = 512;

/// Indexes inside indexes, the outermost counted: a layout's `index.json` naming an index that names an index is 3.
pub const INDEX_NESTING: usize = 3;

/// Entries of one index. A multi-platform image has some twenty, half of them attestations; the `index.json` of a
/// layout that serves as a cache has one for each image.
pub const INDEX_ENTRIES: usize = 10_000;

/// Documents (indexes, and manifests and configs of entries that name no platform) read to choose one image, so
/// that a document of many tiny entries cannot cost thousands of reads.
pub const SELECTION_DOCUMENTS: usize = 64;

/// Members of an archive. Old docker archives have four for each layer; a layout has one for each blob.
pub const ARCHIVE_MEMBERS: usize = 100_000;

/// Bytes of all member names and link targets of an archive together: what its index may cost in memory.
pub const ARCHIVE_NAME_BYTES: usize = 16 << 20;

/// Bytes of extension headers (PAX, GNU long names) before one member of an archive.
pub const ARCHIVE_HEADER_BYTES: u32 = 1 << 20;

/// Links followed to find the content of an archive member.
pub const ARCHIVE_LINK_HOPS: usize = 16;

/// Bytes written to a temporary file for an archive that is compressed or cannot be read at offsets: 256 GiB, so
/// that a decompression bomb or an endless pipe stops before it has filled any disk.
pub const SPOOL_BYTES: u64 = 256 << 30;

/// Bytes of the window that a zstd frame around an archive may ask for, as a power of two: 512 MiB, as for layers.
/// One archive is read at a time.
pub const ZSTD_WINDOW_LOG: u32 = 29;

/// Characters of a reference's name (domain and path), as the distribution specification has it.
pub const REFERENCE_NAME: usize = 255;

/// Characters of a tag.
pub const REFERENCE_TAG: usize = 128;
