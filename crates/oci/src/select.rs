//! From the entries of an index to the one image that is wanted.
//!
//! The rules, which are containerd's but for what [`crate::platform`] says of architectures:
//! - entries that only say something about others (attestations), and entries that are neither an image nor an
//!   index, are passed over;
//! - indexes inside are searched, to [`INDEX_NESTING`] levels, unless their own entry names another platform;
//! - of the images that name a platform the one that fits best is taken;
//! - only where none fits, images that name none are opened, and their configs decide;
//! - otherwise the error lists the platforms that exist.
//!
//! A manifest that was named directly, instead of being chosen from an index, is for the platform that it is for: the
//! host's platform is not held against it, and an image for another architecture can be made into a disk anywhere.
//! Only where a platform was asked for, it must fit.

use crate::blob::{Blobs, document};
use crate::config::Config;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result, document_name};
use crate::image::Warning;
use crate::index::Index;
use crate::limits::{CONFIG_BYTES, INDEX_NESTING, MANIFEST_BYTES, SELECTION_DOCUMENTS};
use crate::manifest::Manifest;
use crate::media_type::{DocumentClass, document_class};
use crate::platform::Platform;

/// The platform that is wanted, and how firmly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The platform to look for in an index.
    pub platform: Platform,
    /// Whether the user named it, so that it must fit even where there is no choice.
    pub explicit: bool,
}

impl Wanted {
    /// The platform that was asked for, or else the host's.
    pub fn new(asked: Option<Platform>) -> Self {
        let explicit = asked.is_some();
        Wanted { platform: asked.unwrap_or_else(Platform::host), explicit }
    }
}

/// The image that was chosen, with its documents read and checked.
#[derive(Debug)]
pub struct Selected {
    /// Digest, size and media type of the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The config.
    pub config: Config,
    /// The platform: the config's, or else that of the index's entry.
    pub platform: Option<Platform>,
    /// What was noticed on the way.
    pub warnings: Vec<Warning>,
}

/// Finds the image behind a descriptor, which names a manifest or an index. `level` is how many indexes have been
/// opened already.
///
/// # Errors
/// Documents are missing, damaged, malformed or over a limit; there is no image for the platform.
pub fn resolve(blobs: &dyn Blobs, descriptor: &Descriptor, level: usize, wanted: &Wanted) -> Result<Selected> {
    match document_class(&descriptor.media_type) {
        DocumentClass::Index => {
            let mut search = Search::new(blobs, wanted);
            search.index(descriptor, level)?;
            search.choose(&document_name("index", &descriptor.digest))
        }
        DocumentClass::Manifest => {
            let selected = open(blobs, descriptor)?;
            if wanted.explicit
                && let Some(found) = &selected.platform
                && !wanted.platform.accepts(found)
            {
                return Err(Error::NoPlatform {
                    what: document_name("manifest", &descriptor.digest),
                    wanted: wanted.platform.clone(),
                    available: vec![found.clone()],
                });
            }
            Ok(selected)
        }
        DocumentClass::Schema1 => Err(Error::unsupported(
            document_name("manifest", &descriptor.digest),
            "it is of Docker's schema 1, which ended in 2019; push the image again with a current tool",
        )),
        DocumentClass::Other => {
            let media_type = crate::digest::shorten(descriptor.media_type.as_ref());
            Err(Error::unsupported(
                format!("{} in {}", descriptor.digest, blobs.place()),
                format!("it is of type {media_type:?}, neither an image nor an index"),
            ))
        }
    }
}

/// Finds the image among entries that stand side by side, as those of an index. `what` names their document, `level`
/// counts the indexes opened already, this one included.
///
/// # Errors
/// As [`resolve`].
pub fn choose(
    blobs: &dyn Blobs,
    entries: &[Descriptor],
    what: &str,
    level: usize,
    wanted: &Wanted,
) -> Result<Selected> {
    let mut search = Search::new(blobs, wanted);
    search.entries(entries, level)?;
    search.choose(what)
}

/// Finds the entry with a digest among these and in the indexes below them. The level of the index that it is an
/// entry of is given with it.
///
/// # Errors
/// An index on the way is missing, damaged, malformed or over a limit.
pub(crate) fn find(
    blobs: &dyn Blobs,
    entries: &[Descriptor],
    digest: &crate::digest::Digest,
    level: usize,
) -> Result<Option<(Descriptor, usize)>> {
    let mut budget = SELECTION_DOCUMENTS;
    find_within(blobs, entries, digest, level, &mut budget)
}

fn find_within(
    blobs: &dyn Blobs,
    entries: &[Descriptor],
    digest: &crate::digest::Digest,
    level: usize,
    budget: &mut usize,
) -> Result<Option<(Descriptor, usize)>> {
    if let Some(entry) = entries.iter().find(|entry| entry.digest == *digest) {
        return Ok(Some((entry.clone(), level)));
    }
    for entry in entries {
        if document_class(&entry.media_type) == DocumentClass::Index {
            spend(budget, &blobs.place())?;
            let index = read_index(blobs, entry, level)?;
            let below = level.saturating_add(1);
            if let Some(found) = find_within(blobs, &index.entries, digest, below, budget)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// Collects what an index holds, then chooses.
struct Search<'a> {
    blobs: &'a dyn Blobs,
    wanted: &'a Wanted,
    /// Images that name a platform, in the order found.
    named: Vec<(Descriptor, Platform)>,
    /// Images that do not.
    unnamed: Vec<Descriptor>,
    /// How many more documents may be opened.
    budget: usize,
}

impl<'a> Search<'a> {
    fn new(blobs: &'a dyn Blobs, wanted: &'a Wanted) -> Self {
        Search { blobs, wanted, named: Vec::new(), unnamed: Vec::new(), budget: SELECTION_DOCUMENTS }
    }

    fn index(&mut self, descriptor: &Descriptor, level: usize) -> Result<()> {
        spend(&mut self.budget, &self.blobs.place())?;
        let index = read_index(self.blobs, descriptor, level)?;
        self.entries(&index.entries, level.saturating_add(1))
    }

    fn entries(&mut self, entries: &[Descriptor], level: usize) -> Result<()> {
        for entry in entries.iter().filter(|entry| !entry.is_attestation()) {
            match (document_class(&entry.media_type), &entry.platform) {
                (DocumentClass::Manifest, Some(platform)) => self.named.push((entry.clone(), platform.clone())),
                (DocumentClass::Manifest, None) => self.unnamed.push(entry.clone()),
                (DocumentClass::Index, Some(platform)) if !self.wanted.platform.accepts(platform) => {}
                (DocumentClass::Index, _) => self.index(entry, level)?,
                (DocumentClass::Schema1 | DocumentClass::Other, _) => {}
            }
        }
        Ok(())
    }

    fn choose(mut self, what: &str) -> Result<Selected> {
        let platform = &self.wanted.platform;
        let best = self
            .named
            .iter()
            .filter_map(|(entry, offered)| Some((platform.rank(offered)?, entry)))
            .min_by(|(one, _), (other, _)| one.cmp(other));
        if let Some((_, entry)) = best {
            return open(self.blobs, entry);
        }
        let mut available: Vec<Platform> = self.named.iter().map(|(_, offered)| offered.clone()).collect();
        for entry in std::mem::take(&mut self.unnamed) {
            // Two documents: the manifest and its config.
            spend(&mut self.budget, &self.blobs.place())?;
            spend(&mut self.budget, &self.blobs.place())?;
            let selected = open(self.blobs, &entry)?;
            match selected.platform {
                Some(offered) if !platform.accepts(&offered) => available.push(offered),
                _ => return Ok(selected),
            }
        }
        available.sort();
        available.dedup();
        Err(Error::NoPlatform {
            what: format!("{what} in {}", self.blobs.place()),
            wanted: platform.clone(),
            available,
        })
    }
}

fn spend(budget: &mut usize, place: &str) -> Result<()> {
    *budget = budget.checked_sub(1).ok_or_else(|| {
        let reason = format!("more than {SELECTION_DOCUMENTS} documents would have to be read to choose an image");
        Error::malformed(place, reason)
    })?;
    Ok(())
}

/// Reads an index; `level` counts the indexes around it.
fn read_index(blobs: &dyn Blobs, descriptor: &Descriptor, level: usize) -> Result<Index> {
    let what = document_name("index", &descriptor.digest);
    if level >= INDEX_NESTING {
        let reason = format!("it lies inside more than {} other indexes", INDEX_NESTING.saturating_sub(1));
        return Err(Error::malformed(what, reason));
    }
    let bytes = document(blobs, descriptor, MANIFEST_BYTES, &what)?;
    Index::parse(&bytes, &what, Some(&descriptor.media_type))
}

/// Reads a manifest and its config.
fn open(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Selected> {
    let what = document_name("manifest", &descriptor.digest);
    let bytes = document(blobs, descriptor, MANIFEST_BYTES, &what)?;
    let manifest = Manifest::parse(&bytes, &what, Some(&descriptor.media_type))?;
    let config_name = document_name("config", &manifest.config.digest);
    let bytes = document(blobs, &manifest.config, CONFIG_BYTES, &config_name)?;
    let (config, warnings) = Config::parse(bytes, &config_name)?;
    if manifest.layers.len() != config.diff_ids().len() {
        return Err(Error::DiffIds { what, layers: manifest.layers.len(), diff_ids: config.diff_ids().len() });
    }
    let platform = config.platform().or(descriptor.platform.as_ref()).cloned();
    Ok(Selected { descriptor: descriptor.clone(), manifest, config, platform, warnings })
}
