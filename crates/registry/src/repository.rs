//! One image of a registry, as a place that blobs are opened in. Documents come from the cache or are fetched at once; layers
//! come from the cache or stream.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};

use banger_oci::cache::{Cache, Guard, Ingest};
use banger_oci::limits::{CONFIG_BYTES, MANIFEST_BYTES};
use banger_oci::media_type::{is_document, is_image_config};
use banger_oci::{BlobReader, Blobs, Descriptor, Digest, Error, Reference, Result, Verifier, manifest};

use crate::client::Client;
use crate::download::{Downloads, Purpose, Route};
use crate::lock::lock;
use crate::progress::{BlobSummary, Event, Progress};

/// Blobs of an image for all its platforms: those of the largest official images are some hundreds.
const MIRRORED: usize = 10_000;

/// A repository, seen through the cache.
///
/// When it is dropped and all that was to be fetched has arrived, the image is complete in the cache, and is named there.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) reference: Reference,
    /// The way to the registry; none when it must not be asked.
    pub(crate) client: Option<Arc<Client>>,
    pub(crate) cache: Cache,
    pub(crate) progress: Arc<dyn Progress>,
    /// Whether documents go into the cache.
    pub(crate) keep: bool,
    /// The name that the cache is to have for the image, and what it means.
    pub(crate) name: Mutex<Option<(String, Descriptor)>>,
    pub(crate) tally: Mutex<Tally>,
    /// Which blobs stream; known when the documents have been read.
    pub(crate) layers: OnceLock<HashSet<Digest>>,
    pub(crate) downloads: Mutex<Option<Downloads>>,
    /// As long as it lives, nobody removes from the cache what this image needs.
    pub(crate) _in_use: Guard,
}

/// What was fetched, and what was in the cache already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What came from the registry.
    pub fetched: Amount,
    /// What was in the cache.
    pub cached: Amount,
}

/// Some blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, blob: &Descriptor) {
        self.blobs = self.blobs.saturating_add(1);
        self.bytes = self.bytes.saturating_add(blob.size);
    }
}

impl Repository {
    /// A manifest, an index or a config, checked.
    pub(crate) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (sort, limit) =
            if is_document(&descriptor.media_type) { ("manifest", MANIFEST_BYTES) } else { ("config", CONFIG_BYTES) };
        let what = format!("{sort} {}", descriptor.digest);
        if let Some(bytes) = self.cache.document(descriptor, limit, &what)? {
            lock(&self.tally).cached.add(descriptor);
            return Ok(bytes);
        }
        if descriptor.size > limit {
            return Err(Error::Limit { what, actual: descriptor.size, limit, unit: "bytes" });
        }
        let client = self.client(&what)?;
        if !self.keep {
            let bytes = self.fetch(client, descriptor, limit, &what)?;
            lock(&self.tally).fetched.add(descriptor);
            return Ok(bytes);
        }
        // Whoever else wants it waits until it is there, and takes it.
        match self.cache.ingest_while(descriptor, &mut || {}, &|| !client.is_cancelled())? {
            Ingest::Begin(mut partial) => {
                let bytes = self.fetch(client, descriptor, limit, &what)?;
                // What was left of an earlier attempt is too little to ask for the rest of it.
                partial.restart()?;
                partial.append(&bytes)?;
                partial.publish()?;
                lock(&self.tally).fetched.add(descriptor);
                Ok(bytes)
            }
            Ingest::Present(_) => {
                let gone = || Error::Missing { what: what.clone(), place: self.cache_name() };
                let bytes = self.cache.document(descriptor, limit, &what)?.ok_or_else(gone)?;
                lock(&self.tally).cached.add(descriptor);
                Ok(bytes)
            }
        }
    }

    /// Fetches a document into memory.
    fn fetch(&self, client: &Client, descriptor: &Descriptor, limit: u64, what: &str) -> Result<Vec<u8>> {
        if is_document(&descriptor.media_type) {
            Ok(client.manifest(&self.reference, &descriptor.digest, limit)?.bytes)
        } else {
            self.small_blob(client, descriptor, what)
        }
    }

    /// Fetches a blob into memory.
    fn small_blob(&self, client: &Client, descriptor: &Descriptor, what: &str) -> Result<Vec<u8>> {
        let mut attempts = client.attempts();
        loop {
            let mut bytes = Vec::new();
            let body = client.blob(&self.reference, descriptor, 0)?;
            let host = body.host().to_owned();
            let mut body = body.take(descriptor.size.saturating_add(1));
            match body.read_to_end(&mut bytes) {
                Ok(_) => {
                    let mut verifier = Verifier::new(descriptor.digest.algorithm());
                    verifier.update(&bytes);
                    let Err(source) = verifier.finish(&descriptor.digest, Some(descriptor.size)) else {
                        return Ok(bytes);
                    };
                    // Where it was a mirror, somebody else can be asked.
                    if !client.distrust(&self.reference, &host) {
                        return Err(Error::Integrity { what: format!("{what} of {host}"), source });
                    }
                }
                Err(error) => attempts.wait(body.into_inner().broken(error), false)?,
            }
        }
    }

    /// Has the layers of an image come, the lowest first.
    pub(crate) fn begin(&self, blobs: &[Descriptor], purpose: Purpose) -> Result<()> {
        let mut seen = HashSet::new();
        let (mut summaries, mut missing) = (Vec::new(), Vec::new());
        for blob in blobs.iter().filter(|blob| seen.insert(blob.digest)) {
            let cached = self.cache.contains(blob);
            summaries.push(BlobSummary { digest: blob.digest, size: blob.size, cached });
            let mut tally = lock(&self.tally);
            if cached {
                tally.cached.add(blob);
            } else {
                tally.fetched.add(blob);
                missing.push(blob.clone());
            }
        }
        let _ = self.layers.set(seen);
        self.progress.event(Event::Layers { layers: &summaries });
        if let Some(blob) = missing.first() {
            let client = Arc::clone(self.client(&format!("blob {}", blob.digest))?);
            let jobs = client.jobs(&self.reference);
            *lock(&self.downloads) = Some(self.download(client, missing, jobs, purpose));
        }
        Ok(())
    }

    /// What was fetched so far, or is being fetched.
    pub(crate) fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    /// Waits until all that was begun is in the cache, and names the image there.
    pub(crate) fn finish(&self) -> Result<()> {
        // They stay where they are: an image of which a blob has not come is not named when this is dropped.
        if let Some(downloads) = lock(&self.downloads).as_mut() {
            downloads.finish()?;
        }
        match lock(&self.name).take() {
            Some((name, descriptor)) => self.cache.name_image(&name, &descriptor),
            None => Ok(()),
        }
    }

    /// Every layer that a document refers to, directly or through other documents. Configs of images are fetched on the
    /// way, like the documents: they are no layers.
    pub(crate) fn everything(&self, top: &Descriptor) -> Result<Vec<Descriptor>> {
        let mut blobs = Vec::new();
        let mut documents = vec![top.clone()];
        let mut seen = HashSet::from([top.digest]);
        while let Some(document) = documents.pop() {
            let what = format!("manifest {}", document.digest);
            let bytes = self.document(&document)?;
            for found in manifest::references(&bytes, &what, Some(&document.media_type))? {
                if !seen.insert(found.digest) {
                    continue;
                }
                if seen.len() > MIRRORED {
                    return Err(Error::Limit {
                        what,
                        actual: seen.len() as u64,
                        limit: MIRRORED as u64,
                        unit: "blobs",
                    });
                }
                if is_document(&found.media_type) {
                    documents.push(found);
                } else if is_image_config(&found.media_type) && found.size <= CONFIG_BYTES {
                    self.document(&found)?;
                } else {
                    blobs.push(found);
                }
            }
        }
        Ok(blobs)
    }

    fn download(&self, client: Arc<Client>, blobs: Vec<Descriptor>, jobs: NonZeroUsize, purpose: Purpose) -> Downloads {
        let route = Route {
            reference: self.reference.clone(),
            client,
            cache: self.cache.clone(),
            progress: Arc::clone(&self.progress),
        };
        Downloads::start(route, blobs, jobs, purpose)
    }

    fn client(&self, what: &str) -> Result<&Arc<Client>> {
        let missing = || Error::Missing { what: what.to_owned(), place: self.cache_name() };
        self.client.as_ref().ok_or_else(missing)
    }

    fn cache_name(&self) -> String {
        format!("the cache {}", self.cache.path().display())
    }
}

impl Blobs for Repository {
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader> {
        let arriving = lock(&self.downloads).as_ref().and_then(|downloads| downloads.reader(&descriptor.digest));
        if let Some(reader) = arriving {
            return Ok(reader);
        }
        if !self.layers.get().is_some_and(|layers| layers.contains(&descriptor.digest)) {
            return Ok(BlobReader::stream(Cursor::new(self.document(descriptor)?)));
        }
        if let Some(reader) = self.cache.blob(descriptor)? {
            return Ok(reader);
        }
        // It was there a moment ago.
        let client = Arc::clone(self.client(&format!("blob {}", descriptor.digest))?);
        self.download(client, vec![descriptor.clone()], NonZeroUsize::MIN, Purpose::Keep).finish()?;
        let gone = || Error::Missing { what: format!("blob {}", descriptor.digest), place: self.cache_name() };
        self.cache.blob(descriptor)?.ok_or_else(gone)
    }

    fn place(&self) -> String {
        self.reference.to_string()
    }

    fn discard(&self, descriptor: &Descriptor) -> Result<bool> {
        let fetched =
            lock(&self.downloads).as_ref().and_then(|downloads| downloads.is_worth_another(&descriptor.digest));
        match fetched {
            Some(is_worth_another) => Ok(is_worth_another),
            None => Ok(self.cache.discard(&descriptor.digest)? && self.client.is_some()),
        }
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let have_arrived = || lock(&self.downloads).as_ref().is_none_or(Downloads::have_arrived);
        if self.layers.get().is_some()
            && have_arrived()
            && let Err(error) = self.finish()
        {
            self.progress.event(Event::Warning(format!("the image is not in the cache: {error}")));
        }
    }
}
