//! What an OCI layout says about its first image.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;

/// One layer, and what its bytes must be.
pub(crate) struct Layer {
    pub(crate) path: PathBuf,
    /// Compressed bytes.
    pub(crate) size: u64,
    /// Of the compressed bytes.
    pub(crate) digest: String,
    /// Of the uncompressed bytes.
    pub(crate) diff_id: String,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The layers in order, the lowest first.
pub(crate) fn layers(layout: &Path) -> Result<Vec<Layer>> {
    let index: Index = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let image = index.manifests.first().ok_or("no image in the index")?;
    let manifest: Manifest = serde_json::from_slice(&fs::read(blob(layout, image)?)?)?;
    let config: Config = serde_json::from_slice(&fs::read(blob(layout, &manifest.config)?)?)?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err("not one diff ID for each layer".into());
    }
    let layer = |(descriptor, diff_id): (Descriptor, String)| {
        let path = blob(layout, &descriptor)?;
        Ok(Layer { path, size: descriptor.size, digest: descriptor.digest, diff_id })
    };
    manifest.layers.into_iter().zip(config.rootfs.diff_ids).map(layer).collect()
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Result<PathBuf> {
    let hex = descriptor.digest.strip_prefix("sha256:").ok_or("a digest other than sha256")?;
    Ok(layout.join("blobs/sha256").join(hex))
}
