//! An image, ready to be read.

use crate::blob::{BlobReader, Blobs};
use crate::config::Config;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::media_type::{Compression, LayerClass, MediaType, layer_class};
use crate::platform::Platform;
use crate::select::{Selected, Wanted};
use crate::timestamp::Timestamp;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// An image: its config and its layers.
#[derive(Debug)]
pub struct Image {
    pub(crate) source: String,
    pub(crate) name: Option<String>,
    pub(crate) manifest_digest: Option<Digest>,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) config: Option<Config>,
    pub(crate) platform: Option<Platform>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) warnings: Vec<Warning>,
}

impl Image {
    /// Makes an image of a manifest that was selected. No layer is opened yet.
    pub fn from_selected(blobs: &Arc<dyn Blobs>, selected: Selected, wanted: &Wanted) -> Self {
        let Selected { descriptor, manifest, config, platform, mut warnings } = selected;
        let layers = manifest.layers.iter().zip(config.diff_ids()).map(|(layer, diff_id)| Layer {
            media_type: Some(layer.media_type.clone()),
            size: Some(layer.size),
            digest: Some(layer.digest),
            diff_id: Some(*diff_id),
            opener: Opener::Blob(blobs.clone(), Box::new(layer.clone())),
        });
        let layers = layers.collect();
        if let Some(found) = &platform
            && !wanted.platform.accepts(found)
        {
            warnings.push(Warning::Platform { found: found.clone(), wanted: wanted.platform.clone() });
        }
        Image {
            source: blobs.place(),
            name: descriptor.ref_name().map(str::to_owned),
            manifest_digest: Some(descriptor.digest),
            manifest: Some(manifest),
            config: Some(config),
            platform,
            layers,
            warnings,
        }
    }

    /// Opens every layer once, to learn early that one is missing or has another size, and warns where the first
    /// bytes of one are not what its media type says. For sources where opening costs next to nothing.
    ///
    /// # Errors
    /// Those of [`Layer::open`].
    pub(crate) fn probe(&mut self) -> Result<()> {
        for (number, layer) in self.layers.iter().enumerate() {
            self.warnings.extend(layer.probe(number)?);
        }
        Ok(())
    }

    /// Where the image comes from, as messages name it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name under which the source holds the image.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The digest of the image's manifest, the one for its platform.
    ///
    /// A docker archive has no manifest with a digest. Its images have the sha256 digest of the text
    /// `docker-archive\n`, the config's digest and a newline, and each layer's diff ID and a newline: equal for
    /// equal images, whatever compression and order of members the archive has. A flat archive has none: the digest
    /// of its only layer, once read, says as much.
    pub fn manifest_digest(&self) -> Option<&Digest> {
        self.manifest_digest.as_ref()
    }

    /// The image's manifest. Docker archives and flat ones have none.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The image's config. A flat archive has none.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// When the image was made, by its own account.
    pub fn created(&self) -> Option<Timestamp> {
        self.config.as_ref().and_then(Config::created)
    }

    /// The platform that the image is for, where that is known.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The layers, the lowest first. Equal layers may occur more than once.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What is odd about the image, but no reason to refuse it.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// A layer: what is promised of it, and how to read it.
pub struct Layer {
    pub(crate) media_type: Option<MediaType>,
    pub(crate) size: Option<u64>,
    pub(crate) digest: Option<Digest>,
    pub(crate) diff_id: Option<Digest>,
    pub(crate) opener: Opener,
}

/// How a layer's bytes are reached.
pub(crate) enum Opener {
    Blob(Arc<dyn Blobs>, Box<Descriptor>),
    /// A part of a file: where it begins.
    Range(Arc<File>, u64),
    /// A pipe, which can be read only once.
    Stream(Mutex<Option<File>>),
}

impl Layer {
    /// The media type that the manifest gives. Archives other than layouts give none.
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// The compression that the media type stands for, where there is one. What counts are the bytes.
    pub fn declared_compression(&self) -> Option<Compression> {
        match layer_class(self.media_type.as_ref()?) {
            LayerClass::Layer(compression) => Some(compression),
            _ => None,
        }
    }

    /// Bytes of the layer as it is kept, compressed or not. `None` only for a pipe.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The digest of those bytes. `None` where the source gives none: in a flat archive, and in docker archives
    /// whose members are not named by their digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The digest of the unpacked bytes. `None` only for a flat archive.
    pub fn diff_id(&self) -> Option<&Digest> {
        self.diff_id.as_ref()
    }

    /// The best name that the layer has, for messages: its digest, or else its diff ID.
    pub fn name(&self) -> String {
        match self.digest.or(self.diff_id) {
            Some(digest) => digest.to_string(),
            None => "the archive".to_owned(),
        }
    }

    /// Opens the layer for reading from its beginning, from any thread and as often as wanted; a pipe only once.
    ///
    /// The bytes come as they are kept. Whoever reads them checks them against [`Layer::digest`], [`Layer::size`]
    /// and, unpacked, [`Layer::diff_id`].
    ///
    /// # Errors
    /// The blob has disappeared, has another size than promised, or is a pipe that was opened before.
    pub fn open(&self) -> Result<BlobReader> {
        match &self.opener {
            Opener::Blob(blobs, descriptor) => blobs.open(descriptor),
            Opener::Range(file, offset) => Ok(BlobReader::range(file.clone(), *offset, self.size.unwrap_or_default())),
            Opener::Stream(stream) => {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                stream
                    .map(BlobReader::stream)
                    .ok_or_else(|| Error::unsupported("standard input", "it is a pipe, which can be read only once"))
            }
        }
    }

    /// To be called when what was read of the layer was not the blob promised. Whether to read the image again makes sense:
    /// the blob has been removed from where it was kept, and can be had anew.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn discard(&self) -> Result<bool> {
        match &self.opener {
            Opener::Blob(blobs, descriptor) => blobs.discard(descriptor),
            Opener::Range(..) | Opener::Stream(_) => Ok(false),
        }
    }

    fn probe(&self, number: usize) -> Result<Option<Warning>> {
        let mut head = Vec::with_capacity(Compression::MAGIC_BYTES);
        self.open()?
            .take(Compression::MAGIC_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(Error::io("read", format!("layer {}", self.name())))?;
        let (Some(declared), found) = (self.declared_compression(), Compression::detect(&head)) else {
            return Ok(None);
        };
        Ok((declared != found).then_some(Warning::MediaType { layer: number, declared, found }))
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("media_type", &self.media_type)
            .field("size", &self.size)
            .field("digest", &self.digest)
            .field("diff_id", &self.diff_id)
            .finish_non_exhaustive()
    }
}

/// Something odd that does not stand in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// A layer's bytes are packed otherwise than its media type says. The bytes count.
    #[error("layer {} is called {} by its media type, but it is {}", layer.saturating_add(1), declared.name(), found.name())]
    MediaType {
        /// The layer's place, from 0.
        layer: usize,
        /// What the media type says.
        declared: Compression,
        /// What the bytes say.
        found: Compression,
    },
    /// The image is for another platform than the host's, and there was nothing to choose from.
    #[error("the image is for {found}, not for {wanted}")]
    Platform {
        /// The image's platform.
        found: Platform,
        /// The platform that was looked for.
        wanted: Platform,
    },
    /// The index and the config name different platforms. The index counts.
    #[error("the index says that the image is for {index}, its config says {config}; the index counts")]
    Disagreement {
        /// The platform in the index.
        index: Platform,
        /// The platform in the config.
        config: Platform,
    },
    /// The config's time of creation cannot be read.
    #[error("the image's time of creation cannot be understood: {text:?}")]
    Created {
        /// What the config has.
        text: String,
    },
    /// The config's part on how to run a container cannot be read.
    #[error("the config's command and environment cannot be understood: {reason}")]
    Runtime {
        /// Why.
        reason: String,
    },
}
