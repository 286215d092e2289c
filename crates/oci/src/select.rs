//! From the entries of an index to the one image that is wanted.
//!
//! The rules, which are containerd's but for what [`crate::platform`] says of architectures:
//! - entries that only say something about others (attestations), and entries that are neither an image nor an
//!   index, are passed over;
//! - indexes inside are searched, to [`INDEX_NESTING`] levels, unless their own entry names another platform;
//! - the images that name a platform are tried, the one that fits best first;
//! - then, images that name none are opened, and their configs decide;
//! - what turns out to be no image when it is opened (a signature with an image's platform) is passed over. One that
//!   is an image but calls itself an artifact, or belongs to another manifest, is taken only where there is no other;
//! - otherwise the error lists the platforms that exist, or what is there instead of images.
//!
//! Where the index and the config name different platforms, the index counts, as it does for Docker and containerd:
//! a wrong config is what a build on a wrong base leaves.
//!
//! A manifest that was named directly, instead of being chosen from an index, is for the platform that it is for: the
//! host's platform is not held against it, and an image for another architecture can be made into a disk anywhere.
//! Only where a platform was asked for, it must fit.

use crate::artifact::{self, Artifact};
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
    /// The platform: that of the index's entry, or else the config's.
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
            let own = std::iter::once(descriptor.media_type.as_ref());
            Err(Error::Artifact {
                what: format!("{} in {}", descriptor.digest, blobs.place()),
                artifact: artifact::describe(descriptor.artifact_type.as_deref().into_iter().chain(own)),
            })
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

/// Sorts out which entries are images, or indexes with images among them, and says what the others are. What cannot be
/// looked at, or is too much to be looked at, counts as an image: opening it says more.
///
/// # Errors
/// A document is damaged, or cannot be read.
pub(crate) fn images<'a>(
    blobs: &dyn Blobs,
    entries: &[&'a Descriptor],
    level: usize,
) -> Result<(Vec<&'a Descriptor>, Vec<Artifact>)> {
    let mut budget = SELECTION_DOCUMENTS;
    let (mut images, mut artifacts) = (Vec::new(), Vec::new());
    for entry in entries {
        match contents(blobs, entry, level, &mut budget)? {
            None => images.push(*entry),
            Some(found) => artifacts.extend(found),
        }
    }
    Ok((images, artifacts))
}

/// What an entry holds instead of images; `None` where it is an image or holds one.
fn contents(blobs: &dyn Blobs, entry: &Descriptor, level: usize, budget: &mut usize) -> Result<Option<Vec<Artifact>>> {
    let class = document_class(&entry.media_type);
    if entry.is_attestation() || class == DocumentClass::Other {
        return Ok(Some(entry.artifact().into_iter().collect()));
    }
    let Some(left) = budget.checked_sub(1) else { return Ok(None) };
    *budget = left;
    if class == DocumentClass::Index {
        let index = match read_index(blobs, entry, level) {
            Err(Error::Missing { .. }) => return Ok(None),
            index => index?,
        };
        let mut artifacts = Vec::new();
        for inner in &index.entries {
            match contents(blobs, inner, level.saturating_add(1), budget)? {
                None => return Ok(None),
                Some(found) => artifacts.extend(found),
            }
        }
        return Ok(Some(artifacts));
    }
    let what = document_name("manifest", &entry.digest);
    let bytes = match document(blobs, entry, MANIFEST_BYTES, &what) {
        Err(Error::Missing { .. }) => return Ok(None),
        bytes => bytes?,
    };
    Ok(match Manifest::parse(&bytes, &what, Some(&entry.media_type)) {
        Err(Error::Artifact { artifact, .. }) => Some(vec![artifact]),
        _ => None,
    })
}

/// Collects what an index holds, then chooses.
struct Search<'a> {
    blobs: &'a dyn Blobs,
    wanted: &'a Wanted,
    /// Images that name a platform, in the order found.
    named: Vec<(Descriptor, Platform)>,
    /// Images that do not.
    unnamed: Vec<Descriptor>,
    /// Platforms of indexes inside that are not looked into.
    foreign: Vec<Platform>,
    /// What is there that is no image.
    artifacts: Vec<Artifact>,
    /// How many more documents may be opened.
    budget: usize,
}

impl<'a> Search<'a> {
    fn new(blobs: &'a dyn Blobs, wanted: &'a Wanted) -> Self {
        let (named, unnamed, foreign, artifacts) = Default::default();
        Search { blobs, wanted, named, unnamed, foreign, artifacts, budget: SELECTION_DOCUMENTS }
    }

    fn index(&mut self, descriptor: &Descriptor, level: usize) -> Result<()> {
        spend(&mut self.budget, &self.blobs.place())?;
        let index = read_index(self.blobs, descriptor, level)?;
        self.entries(&index.entries, level.saturating_add(1))
    }

    fn entries(&mut self, entries: &[Descriptor], level: usize) -> Result<()> {
        for entry in entries {
            let class = document_class(&entry.media_type);
            match (class, &entry.platform) {
                _ if entry.is_attestation() => self.artifacts.extend(entry.artifact()),
                (DocumentClass::Manifest, Some(platform)) => self.named.push((entry.clone(), platform.clone())),
                (DocumentClass::Manifest, None) => self.unnamed.push(entry.clone()),
                (DocumentClass::Index, Some(platform)) if !self.wanted.platform.accepts(platform) => {
                    self.foreign.push(platform.clone());
                }
                (DocumentClass::Index, _) if entry.artifact_type.is_some() => self.artifacts.extend(entry.artifact()),
                (DocumentClass::Index, _) => self.index(entry, level)?,
                (DocumentClass::Schema1, _) => {}
                (DocumentClass::Other, _) => self.artifacts.extend(entry.artifact()),
            }
        }
        Ok(())
    }

    fn choose(mut self, what: &str) -> Result<Selected> {
        let platform = &self.wanted.platform;
        // Where two fit equally well, the first one counts: the sort is stable.
        let mut fitting: Vec<_> = self
            .named
            .iter()
            .filter_map(|(entry, offered)| Some(((entry.artifact_type.is_some(), platform.rank(offered)?), entry)))
            .collect();
        fitting.sort_by(|(one, _), (other, _)| one.cmp(other));
        let fitting: Vec<Descriptor> = fitting.into_iter().map(|(_, entry)| entry.clone()).collect();
        self.unnamed.sort_by_key(|entry| entry.artifact_type.is_some());
        let mut available: Vec<Platform> = Vec::new();
        // The first that is an image, but says that it is something else besides.
        let mut second = None;
        let mut refused = Vec::new();
        for entry in fitting.into_iter().chain(std::mem::take(&mut self.unnamed)) {
            if second.is_some() && entry.artifact_type.is_some() {
                continue;
            }
            // Two documents: the manifest and its config.
            spend(&mut self.budget, &self.blobs.place())?;
            spend(&mut self.budget, &self.blobs.place())?;
            match open(self.blobs, &entry) {
                Ok(Selected { platform: Some(offered), .. }) if !platform.accepts(&offered) => available.push(offered),
                Ok(selected) if selected.manifest.is_only_image() => return Ok(selected),
                Ok(selected) => second = second.or(Some(selected)),
                Err(error) if is_passed_over(&error) => refused.push(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(selected) = second {
            return Ok(selected);
        }
        let named = self.named.iter().filter(|(entry, _)| entry.artifact_type.is_none());
        available.extend(named.map(|(_, offered)| offered.clone()).filter(|offered| !platform.accepts(offered)));
        available.extend(self.foreign);
        available.sort();
        available.dedup();
        let foreign = self.named.iter().filter(|(_, offered)| !platform.accepts(offered));
        let others: Vec<Artifact> = foreign.filter_map(|(entry, _)| entry.artifact()).collect();
        let (what, wanted) = (format!("{what} in {}", self.blobs.place()), platform.clone());
        let is_only = refused.len() == 1 && others.is_empty();
        self.artifacts.extend(others);
        for error in refused {
            match error {
                // Of a single one, and of an image that cannot be read, its own error says most.
                error if available.is_empty() && (is_only || !matches!(error, Error::Artifact { .. })) => {
                    return Err(error);
                }
                Error::Artifact { artifact, .. } => self.artifacts.push(artifact),
                _ => {}
            }
        }
        if available.is_empty() && !self.artifacts.is_empty() {
            self.artifacts.dedup();
            return Err(Error::Empty { what, artifacts: self.artifacts });
        }
        Err(Error::NoPlatform { what, wanted, available })
    }
}

/// Whether an entry that cannot be opened for this reason leaves the choice to the others: it is no image, or one that
/// nothing here reads.
fn is_passed_over(error: &Error) -> bool {
    match error {
        Error::Artifact { .. } | Error::Unsupported { .. } => true,
        // Layers without a single diff ID: a config of an artifact that has the type of an image's.
        Error::DiffIds { diff_ids, .. } => *diff_ids == 0,
        _ => false,
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
    let (config, mut warnings) = Config::parse(bytes, &config_name)?;
    if manifest.layers.len() != config.diff_ids().len() {
        return Err(Error::DiffIds { what, layers: manifest.layers.len(), diff_ids: config.diff_ids().len() });
    }
    if let (Some(index), Some(own)) = (&descriptor.platform, config.platform())
        && index.contradicts(own)
    {
        warnings.push(Warning::Disagreement { index: index.clone(), config: own.clone() });
    }
    let platform = descriptor.platform.as_ref().or(config.platform()).cloned();
    Ok(Selected { descriptor: descriptor.clone(), manifest, config, platform, warnings })
}
