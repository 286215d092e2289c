//! What the cache holds, what it costs, and how to have less of it.
//!
//! Sizes are what the files take up on the disk, each counted once. What is said to become free is what does.
//!
//! Names go before blobs, so that a kill in between leaves blobs without a name, which [`Cache::prune`] finds, and never
//! a name without blobs. What is removed here is not wanted by anybody else: the exclusive lock waits for all who hold
//! the shared one, from their first look at a blob until the image has a name.

use super::files::{disk_bytes, freed_bytes, remove, shown};
use super::names::Names;
use super::reach::{Reach, Walk};
use super::{ALGORITHMS, Cache};
use crate::descriptor::Descriptor;
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::layout::{INDEX, MARKER};
use crate::reference::Reference;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A number of files, and what they take up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many files.
    pub count: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What the cache holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The entries of `index.json`, in their order.
    pub images: Vec<ImageUsage>,
    /// All blobs.
    pub blobs: Amount,
    /// Those of them that no image needs.
    pub unneeded: Amount,
    /// Blobs that are not complete.
    pub partials: Amount,
}

/// What one image of the cache costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image's name. Others than banger may have put one there without.
    pub name: Option<String>,
    /// The digest of its index or manifest.
    pub digest: Digest,
    /// Bytes on the disk of all its blobs that are there.
    pub size: u64,
    /// Bytes of those that other images need too, also the same image by another name.
    pub shared: u64,
    /// Bytes that become free when the image alone is removed.
    pub unique: u64,
    /// Whether it can be read: of an image for several platforms, those that were fetched.
    pub complete: bool,
}

/// What of the cache is one image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The image's name, or its digest where it has none.
    pub image: String,
    /// When its index or manifest came here.
    pub modified: Option<SystemTime>,
    /// Bytes that become free with it when all images are removed: a blob that several need is the first one's.
    pub bytes: u64,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Images, by their names, or by their digests where they have none.
    pub images: Vec<String>,
    /// How many blobs.
    pub blobs: u64,
    /// How many blobs that were not complete.
    pub partials: u64,
    /// Bytes on the disk that are free now.
    pub bytes: u64,
}

impl Cache {
    /// What the cache holds. Nothing is changed, and nobody is waited for.
    ///
    /// # Errors
    /// `index.json` or a directory cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let names = self.read_names()?;
        let stored = self.stored()?;
        let mut walk = Walk::new(self);
        let mut reached: Vec<(&Descriptor, Reach)> = Vec::new();
        for entry in names.descriptors() {
            reached.push((entry, walk.reach(entry)?));
        }
        let mut users: HashMap<Digest, usize> = HashMap::new();
        for digest in reached.iter().flat_map(|(_, reach)| &reach.blobs) {
            let count = users.entry(*digest).or_default();
            *count = count.saturating_add(1);
        }

        let mut usage = Usage::default();
        for (entry, reach) in &reached {
            let mut image = ImageUsage {
                name: entry.ref_name().map(str::to_owned),
                digest: entry.digest,
                size: 0,
                shared: 0,
                unique: 0,
                complete: reach.complete,
            };
            for (digest, blob) in reach.blobs.iter().filter_map(|digest| Some((digest, stored.get(digest)?))) {
                image.size = image.size.saturating_add(disk_bytes(&blob.metadata));
                if users.get(digest).is_some_and(|users| *users > 1) {
                    image.shared = image.shared.saturating_add(disk_bytes(&blob.metadata));
                } else {
                    image.unique = image.unique.saturating_add(freed_bytes(&blob.metadata));
                }
            }
            usage.images.push(image);
        }
        for (digest, blob) in &stored {
            usage.blobs.add(disk_bytes(&blob.metadata));
            if !users.contains_key(digest) {
                usage.unneeded.add(disk_bytes(&blob.metadata));
            }
        }
        for partial in self.partials()?.values() {
            usage.partials.add(disk_bytes(&partial.metadata));
        }
        Ok(usage)
    }

    /// Removes images, and the blobs that only they need. An image is named as `index.json` has it; or else by the same name
    /// written otherwise (`debian` for `docker.io/library/debian:latest`), or by its digest.
    ///
    /// With `dry_run`, nothing is changed or waited for, and it is told what would be removed. Otherwise `waiting` is called,
    /// once, when the cache is in use, and it is waited for.
    ///
    /// # Errors
    /// There is no image of one of the names, in which case none is removed; or something cannot be read or removed.
    pub fn remove(&self, names: &[impl AsRef<str>], dry_run: bool, waiting: &mut dyn FnMut()) -> Result<Removed> {
        let _lock = if dry_run { None } else { Some(self.lock_exclusive(waiting)?) };
        let select = |index: &mut Names| {
            let mut wanted = BTreeSet::new();
            for name in names {
                wanted.extend(self.find(index, name.as_ref())?);
            }
            let mut place = 0_usize..;
            let removed = index.retain(|_| !place.next().is_some_and(|place| wanted.contains(&place)));
            let mut walk = Walk::new(self);
            let needed = walk.reach_all(index.descriptors())?;
            let mut unneeded = walk.reach_all(&removed)?;
            unneeded.retain(|digest| !needed.contains(digest));
            Ok((removed, unneeded))
        };
        let (images, blobs) = if dry_run { select(&mut self.read_names()?)? } else { self.update_names(select)? };

        let mut removed = Removed { images: images.iter().map(name_of).collect(), ..Removed::default() };
        let mut stored = self.stored()?;
        stored.retain(|digest, _| blobs.contains(digest));
        removed.remove_blobs(&stored, dry_run)?;
        Ok(removed)
    }

    /// Removes what no image needs: blobs, and what is left of attempts to write one that nobody goes on with. With `all`,
    /// removes the images too. `dry_run` and `waiting` are as for [`remove`](Self::remove).
    ///
    /// # Errors
    /// Something cannot be read or removed.
    pub fn prune(&self, all: bool, dry_run: bool, waiting: &mut dyn FnMut()) -> Result<Removed> {
        let _lock = if dry_run { None } else { Some(self.lock_exclusive(waiting)?) };
        let select = |index: &mut Names| {
            let removed = if all { index.retain(|_| false) } else { Vec::new() };
            Ok((removed, Walk::new(self).reach_all(index.descriptors())?))
        };
        let (images, needed) = if dry_run { select(&mut self.read_names()?)? } else { self.update_names(select)? };

        let mut removed = Removed { images: images.iter().map(name_of).collect(), ..Removed::default() };
        let mut stored = self.stored()?;
        stored.retain(|digest, _| !needed.contains(digest));
        removed.remove_blobs(&stored, dry_run)?;
        for (digest, partial) in self.partials()? {
            let Some(_lock) = self.try_lock_partial(&digest)? else { continue };
            if dry_run || remove(&partial.path)? {
                removed.partials = removed.partials.saturating_add(1);
                removed.bytes = removed.bytes.saturating_add(freed_bytes(&partial.metadata));
            }
        }
        removed.bytes = removed.bytes.saturating_add(self.remove_half_written(dry_run)?);
        Ok(removed)
    }

    /// Removes what a kill leaves when the marker or `index.json` is being replaced. The bytes that become free.
    fn remove_half_written(&self, dry_run: bool) -> Result<u64> {
        let _lock = if dry_run { None } else { Some(self.lock_index()?) };
        let mut bytes = 0_u64;
        for name in [MARKER, INDEX] {
            let Some(left) = Stored::look_at(self.ingest_directory().join(name)) else { continue };
            if dry_run || remove(&left.path)? {
                bytes = bytes.saturating_add(freed_bytes(&left.metadata));
            }
        }
        Ok(bytes)
    }

    /// What is whose, in the order of `index.json`. Nothing is changed, and no other process is waited for.
    ///
    /// # Errors
    /// `index.json` or a directory cannot be read.
    pub fn shares(&self) -> Result<Vec<Share>> {
        let names = self.read_names()?;
        let mut stored = self.stored()?;
        let mut walk = Walk::new(self);
        let mut shares = Vec::new();
        for entry in names.descriptors() {
            let modified = stored.get(&entry.digest).and_then(|blob| blob.metadata.modified().ok());
            let own = walk.reach(entry)?.blobs.into_iter().filter_map(|digest| stored.remove(&digest));
            let bytes = own.map(|blob| freed_bytes(&blob.metadata)).fold(0, u64::saturating_add);
            shares.push(Share { image: name_of(entry), modified, bytes });
        }
        Ok(shares)
    }

    /// The places of the entries that a name means.
    fn find(&self, names: &Names, wanted: &str) -> Result<Vec<usize>> {
        let places = |is_meant: &dyn Fn(&Descriptor) -> bool| -> Vec<usize> {
            names.descriptors().enumerate().filter(|(_, entry)| is_meant(entry)).map(|(place, _)| place).collect()
        };
        let exactly = places(&|entry| entry.ref_name() == Some(wanted));
        if !exactly.is_empty() {
            return Ok(exactly);
        }
        let found = if let Ok(digest) = wanted.parse::<Digest>() {
            places(&|entry| entry.digest == digest)
        } else if let Ok(reference) = Reference::parse(wanted) {
            let parsed = |entry: &Descriptor| Reference::parse(entry.ref_name()?).ok();
            places(&|entry| parsed(entry).as_ref() == Some(&reference))
        } else {
            Vec::new()
        };
        if found.is_empty() {
            return Err(Error::NoImage {
                what: format!("the cache {}", shown(self.path())),
                wanted: wanted.to_owned(),
                images: names.descriptors().map(name_of).collect(),
            });
        }
        Ok(found)
    }

    /// All blobs, damaged ones too. What has another name than blobs have is not banger's.
    pub(super) fn stored(&self) -> Result<BTreeMap<Digest, Stored>> {
        let mut stored = BTreeMap::new();
        for algorithm in ALGORITHMS {
            for (name, path) in list(&self.blobs_of(algorithm))? {
                let digest = name.to_str().and_then(|hex| parse_digest(algorithm, hex));
                stored.extend(digest.zip(Stored::look_at(path)));
            }
        }
        Ok(stored)
    }

    /// What is left of blobs that are not complete, and what is being written.
    fn partials(&self) -> Result<BTreeMap<Digest, Stored>> {
        let parse = |name: &str| {
            ALGORITHMS.into_iter().find_map(|algorithm| {
                let hex = name.strip_prefix(algorithm.name())?.strip_prefix('-')?;
                parse_digest(algorithm, hex)
            })
        };
        let mut partials = BTreeMap::new();
        for (name, path) in list(&self.ingest_directory())? {
            partials.extend(name.to_str().and_then(parse).zip(Stored::look_at(path)));
        }
        Ok(partials)
    }
}

/// A file of the cache.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

impl Stored {
    /// `None` when it is gone, or is no regular file.
    fn look_at(path: PathBuf) -> Option<Self> {
        let metadata = path.symlink_metadata().ok().filter(Metadata::is_file)?;
        Some(Stored { path, metadata })
    }
}

impl Removed {
    fn remove_blobs(&mut self, blobs: &BTreeMap<Digest, Stored>, dry_run: bool) -> Result<()> {
        for blob in blobs.values() {
            if dry_run || remove(&blob.path)? {
                self.blobs = self.blobs.saturating_add(1);
                self.bytes = self.bytes.saturating_add(freed_bytes(&blob.metadata));
            }
        }
        Ok(())
    }
}

/// How messages name an entry of `index.json`.
pub(super) fn name_of(entry: &Descriptor) -> String {
    entry.ref_name().map_or_else(|| entry.digest.to_string(), str::to_owned)
}

fn parse_digest(algorithm: Algorithm, hex: &str) -> Option<Digest> {
    format!("{algorithm}:{hex}").parse().ok()
}

/// The names in a directory, and their paths. One that is not there has none.
fn list(directory: &Path) -> Result<Vec<(OsString, PathBuf)>> {
    let failed = || Error::io("read", shown(directory));
    let entries = match directory.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    entries.map(|entry| entry.map(|entry| (entry.file_name(), entry.path())).map_err(failed())).collect()
}
