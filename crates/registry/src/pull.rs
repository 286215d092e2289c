//! What is done with registries: an image is opened to be read while it arrives, fetched into the cache, or looked at.

use std::sync::{Arc, Mutex, OnceLock};

use banger_oci::cache::Cache;
use banger_oci::select::{self, Selected, Wanted};
use banger_oci::{Blobs, Descriptor, Digest, Error, Image, Index, Platform, Reference, Result};

use crate::client::{Client, Found};
use crate::download::Purpose;
use crate::progress::Progress;
use crate::repository::{Repository, Tally};

/// Indexes that have been opened when the document behind a reference is looked at.
const LEVEL: usize = 0;

/// When a registry is asked for an image that the cache may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// What the reference means now is always asked; what the cache has need not be fetched again.
    Always,
    /// What the cache has by that name is taken without asking.
    #[default]
    Missing,
    /// Nothing is ever asked.
    Never,
}

/// Which images behind a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platforms {
    /// The one for this platform, or for the host's.
    One(Option<Platform>),
    /// All of them, and what else belongs to them.
    All,
}

/// What a fetch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Digest of what is named in the cache: an index, or a manifest.
    pub digest: Digest,
    /// Digest of the manifest for the platform, where one was chosen.
    pub manifest: Option<Digest>,
    /// What was fetched, and what was there.
    pub tally: Tally,
}

/// What a reference means.
#[derive(Debug)]
pub struct Resolved {
    /// Digest, size and media type of what the registry has by that name.
    pub descriptor: Descriptor,
    /// The platforms that it exists for, with the manifest of each; of an image without an index, the image itself.
    pub platforms: Vec<Descriptor>,
    /// The image for the platform that was asked for.
    pub image: Option<Selected>,
}

/// Registries, through a cache.
#[derive(Debug)]
pub struct Registry {
    client: Arc<Client>,
    cache: Cache,
    pull: Pull,
    progress: Arc<dyn Progress>,
}

impl Registry {
    /// Registries as `client` reaches them.
    pub fn new(client: Arc<Client>, cache: Cache, pull: Pull, progress: Arc<dyn Progress>) -> Self {
        Self { client, cache, pull, progress }
    }

    /// Opens an image. Its layers are fetched in the order in which they are read, into the cache, and can be read while they
    /// arrive. When the image is dropped after all of them have been read, the cache has it by its name.
    ///
    /// # Errors
    /// Those of finding it and of reading its documents. Those of fetching a layer come from the layer's reader.
    pub fn open(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Image> {
        let (repository, descriptor) = self.find(reference, &reference.to_string())?;
        let wanted = Wanted::new(platform.cloned());
        let selected = select::resolve(&repository, &descriptor, LEVEL, &wanted)?;
        repository.begin(&selected.manifest.layers, Purpose::Stream)?;
        let blobs: Arc<dyn Blobs> = Arc::new(repository);
        Ok(Image::from_selected(&blobs, selected, &wanted))
    }

    /// Fetches an image into the cache, and names it there.
    ///
    /// # Errors
    /// Whatever keeps it from being complete there. What is complete of it stays, and the next fetch goes on from there.
    pub fn fetch(&self, reference: &Reference, platforms: &Platforms, name: &str) -> Result<Fetched> {
        let (repository, descriptor) = self.find(reference, name)?;
        let mut fetched = Fetched { digest: descriptor.digest, manifest: None, tally: Tally::default() };
        let blobs = match platforms {
            Platforms::One(platform) => {
                let selected = select::resolve(&repository, &descriptor, LEVEL, &Wanted::new(platform.clone()))?;
                fetched.manifest = Some(selected.descriptor.digest);
                selected.manifest.layers
            }
            Platforms::All => repository.everything(&descriptor)?,
        };
        repository.begin(&blobs, Purpose::Keep)?;
        repository.finish()?;
        fetched.tally = repository.tally();
        Ok(fetched)
    }

    /// Says what a reference means. Nothing is put into the cache.
    ///
    /// # Errors
    /// Those of finding it and of reading its documents. That there is no image for the platform is none, unless one was asked
    /// for.
    pub fn resolve(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Resolved> {
        self.resolve_with(reference, platform, false)
    }

    /// The same, for who is going to open it: its documents are in the cache then, and need not be asked for again. Its name is
    /// not.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve).
    pub fn prepare(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Resolved> {
        self.resolve_with(reference, platform, true)
    }

    fn resolve_with(&self, reference: &Reference, platform: Option<&Platform>, keep: bool) -> Result<Resolved> {
        let (mut repository, descriptor) = self.find(reference, &reference.to_string())?;
        repository.keep = keep;
        repository.name = Mutex::default();
        let image = match select::resolve(&repository, &descriptor, LEVEL, &Wanted::new(platform.cloned())) {
            Ok(image) => Some(image),
            Err(Error::NoPlatform { .. }) if platform.is_none() => None,
            Err(error) => return Err(error),
        };
        let platforms = match &image {
            Some(image) if image.descriptor.digest == descriptor.digest => {
                vec![Descriptor { platform: image.platform.clone(), ..descriptor.clone() }]
            }
            _ => {
                let bytes = repository.document(&descriptor)?;
                let index =
                    Index::parse(&bytes, &format!("index {}", descriptor.digest), Some(&descriptor.media_type))?;
                index.entries.into_iter().filter(|entry| entry.artifact().is_none()).collect()
            }
        };
        Ok(Resolved { descriptor, platforms, image })
    }

    /// Finds what a reference means: in the cache where that is allowed, or else in the registry.
    fn find(&self, reference: &Reference, name: &str) -> Result<(Repository, Descriptor)> {
        let in_use = self.cache.lock_shared()?;
        // What a digest means does not change.
        let may_be_old = self.pull != Pull::Always || reference.digest().is_some();
        // Another name may mean another image.
        let known = if may_be_old && name == reference.to_string() { self.cache.image(name)? } else { None };
        let descriptor = match known {
            Some(descriptor) => descriptor,
            None if self.pull == Pull::Never => return Err(self.not_cached(reference)?),
            None => self.client.head(reference).map(descriptor)?,
        };
        let may_ask = self.pull != Pull::Never;
        let repository = Repository {
            reference: reference.clone(),
            client: may_ask.then(|| Arc::clone(&self.client)),
            cache: self.cache.clone(),
            progress: Arc::clone(&self.progress),
            keep: true,
            name: Mutex::new(may_ask.then(|| (name.to_owned(), descriptor.clone()))),
            tally: Mutex::default(),
            layers: OnceLock::new(),
            downloads: Mutex::default(),
            _in_use: in_use,
        };
        Ok((repository, descriptor))
    }

    fn not_cached(&self, reference: &Reference) -> Result<Error> {
        let images = self.cache.images()?;
        Ok(Error::NoImage {
            what: format!("the cache {}", self.cache.path().display()),
            wanted: reference.to_string(),
            images: images.iter().filter_map(|image| image.ref_name()).map(str::to_owned).collect(),
        })
    }
}

/// What a registry has under a name, as an index would refer to it.
fn descriptor(found: Found) -> Descriptor {
    let Found { digest, media_type, size } = found;
    Descriptor::new(media_type, digest, size)
}
