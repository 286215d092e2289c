//! What a finished build has to say.

use std::path::PathBuf;

use banger_oci::Digest;
use banger_protocol::boot::Boot;
use serde::Serialize;

/// The result of a build, as `banger build --json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The image file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Bytes that it occupies on the host's disk.
    pub allocated: u64,
    /// Names in the image, the root included.
    pub entries: u64,
    /// Digest of the manifest that it was built from; none for `tar:`.
    #[serde(serialize_with = "as_text")]
    pub manifest_digest: Option<Digest>,
    /// Digest of everything that the bytes depend on: equal ids mean equal bytes.
    pub content_id: String,
    /// Digest of the finished file, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// How the image boots, and why; none without the guest layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The kernel whose modules were put in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<String>,
    /// The image's layers, the lowest first. Not part of what is printed.
    #[serde(skip)]
    pub layers: Vec<LayerReport>,
    /// Wall time by stage.
    pub seconds: Seconds,
}

/// A layer that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReport {
    /// Digest of the decompressed archive.
    pub diff_id: String,
    /// Bytes of the compressed blob, where the source says how many.
    pub size: Option<u64>,
    /// Bytes of the decompressed archive.
    pub unpacked: u64,
}

/// Wall time of each stage, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// Finding the image and reading its manifest and config.
    pub resolve: f64,
    /// Reading, verifying and merging the layers and writing their content.
    pub layers: f64,
    /// Planning and writing the metadata of the file system.
    pub metadata: f64,
    /// Bringing the image to the disk and publishing it.
    pub sync: f64,
    /// Computing the checksum of the file.
    pub checksum: f64,
    /// All of it.
    pub total: f64,
}

fn as_text<S: serde::Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => serializer.collect_str(digest),
        None => serializer.serialize_none(),
    }
}
