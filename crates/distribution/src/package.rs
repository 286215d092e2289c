//! An image that is ready to be sent: its documents, and the files that are its layers.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use banger_oci::{Descriptor, Digest, MediaType, Platform, Reference};
use banger_registry::{Client, Sent};

use crate::document;
use crate::error::{Error, Result};

/// What an image is, besides its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub platform: Platform,
}

/// An image that is ready to be sent.
#[derive(Debug)]
pub struct Package {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layers: Vec<Layer>,
}

/// A layer, and the file that it is.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: Digest,
    /// What it is, for the history.
    pub(crate) what: &'static str,
    pub(crate) file: File,
}

/// What was put into a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes of all blobs.
    pub size: u64,
    /// Bytes of the blobs that had to be sent: the rest was there.
    pub sent: u64,
}

impl Package {
    pub(crate) fn new(artifact_type: Option<&str>, facts: &Facts, layers: Vec<Layer>) -> Result<Self> {
        let documented: Vec<_> = layers
            .iter()
            .map(|layer| document::Layer { descriptor: &layer.descriptor, diff_id: layer.diff_id, what: layer.what })
            .collect();
        let (config, manifest) = document::write(artifact_type, &facts.name, &facts.platform, &documented)?;
        Ok(Self { manifest, config, layers })
    }

    /// The manifest, as it is sent.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// Digest of the manifest.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.manifest)
    }

    /// Bytes of all blobs.
    pub fn size(&self) -> u64 {
        let layers = self.layers.iter().map(|layer| layer.descriptor.size);
        layers.fold(self.config.len() as u64, u64::saturating_add)
    }

    /// The layers, the lowest first: those whose sending takes time.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.layers.iter().map(|layer| &layer.descriptor)
    }

    /// Sends to a registry what it does not have, the manifest last. How far that is the client's progress is told.
    ///
    /// # Errors
    /// The registry does not take something, cannot be reached, or makes no sense; a file cannot be read, or is another one now.
    pub fn push(&self, client: &Client, reference: &Reference) -> Result<Pushed> {
        let mut sent = 0_u64;
        for layer in &self.layers {
            let open = |offset| {
                let file = layer.file.try_clone()?;
                Ok(Box::new(From { file, offset }) as Box<dyn Read + Send>)
            };
            if client.push_blob(reference, &layer.descriptor, None, &open)? == Sent::Uploaded {
                sent = sent.saturating_add(layer.descriptor.size);
            }
        }
        let digest = Digest::sha256(&self.config);
        let config = Descriptor::new(MediaType::ImageConfig, digest, self.config.len() as u64);
        let open = |offset: u64| {
            let mut bytes = Cursor::new(self.config.clone());
            bytes.set_position(offset);
            Ok(Box::new(bytes) as Box<dyn Read + Send>)
        };
        if client.push_blob(reference, &config, None, &open)? == Sent::Uploaded {
            sent = sent.saturating_add(config.size);
        }
        let digest = client.push_manifest(reference, &MediaType::ImageManifest, &self.manifest)?;
        Ok(Pushed { digest, size: self.size(), sent })
    }
}

impl Layer {
    /// The length of a file that is to be a layer.
    pub(crate) fn length(file: &File, path: &Path) -> Result<u64> {
        Ok(file.metadata().map_err(Error::io("read the size of", path))?.len())
    }
}

/// Reads a file from a place on, without moving the place where others read it.
struct From {
    file: File,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}
