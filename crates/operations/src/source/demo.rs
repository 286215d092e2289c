//! `demo:`, an image that is a part of this program: its documents and its layer are made in memory.

use std::io::Cursor;
use std::sync::Arc;

use banger_guest::demo;
use banger_oci::select::{self, Wanted};
use banger_oci::{BlobReader, Blobs, Descriptor, Digest, Error, Image, MediaType, Platform, Result};

use super::DEMO;

/// The blobs of the image, each with its digest.
#[derive(Debug)]
struct Memory(Vec<(Digest, Arc<[u8]>)>);

impl Memory {
    /// Adds a blob and describes it.
    fn add(&mut self, media_type: MediaType, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::sha256(&bytes);
        let size = bytes.len() as u64;
        self.0.push((digest, bytes.into()));
        Descriptor::new(media_type, digest, size)
    }
}

impl Blobs for Memory {
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        let blob = self.0.iter().find(|(digest, _)| *digest == descriptor.digest);
        let (_, bytes) =
            blob.ok_or_else(|| Error::Missing { what: descriptor.digest.to_string(), place: self.place() })?;
        Ok(BlobReader::stream(Cursor::new(Arc::clone(bytes))))
    }

    fn place(&self) -> String {
        DEMO.to_owned()
    }
}

/// Opens the image.
pub(super) fn open(platform: Option<&Platform>) -> Result<Image> {
    let mut blobs = Memory(Vec::new());
    let layer = blobs.add(MediaType::ImageLayer, demo::layer());
    let config = blobs.add(MediaType::ImageConfig, demo::config(&layer.digest.to_string()));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest,
        "config": described(&config),
        "layers": [described(&layer)],
    });
    let manifest = blobs.add(MediaType::ImageManifest, manifest.to_string().into_bytes());
    let wanted = Wanted::new(platform.cloned());
    let selected = select::resolve(&blobs, &manifest, 0, &wanted)?;
    let blobs: Arc<dyn Blobs> = Arc::new(blobs);
    Ok(Image::from_selected(&blobs, selected, &wanted))
}

fn described(blob: &Descriptor) -> serde_json::Value {
    serde_json::json!({
        "mediaType": blob.media_type,
        "digest": blob.digest.to_string(),
        "size": blob.size,
    })
}
