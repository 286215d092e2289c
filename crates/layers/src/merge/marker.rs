//! Markers: names that say what a layer removes, instead of bringing something.
//!
//! `.wh.NAME` (a whiteout) removes NAME, `.wh..wh..opq` (an opaque directory) everything in its directory. The type
//! of a marker's entry, its content and its metadata mean nothing. All other names that start with `.wh..wh.` are
//! bookkeeping of AUFS, which found its way into old images: ignored, with what is below them.
//!
//! A marker is about what *lower* layers have at its path. Where the layer itself puts a directory in the place of a
//! lower layer's symlink, the lower layers have nothing below that directory, so the marker must not follow the
//! symlink. (Docker writes an opaque marker into every directory that replaced something else: `/var/run`, made a
//! directory by an upper layer, must not empty the `/run` that it led to before.)

use std::collections::HashSet;

use crate::entry::{Entry, Kind};
use crate::limits;
use crate::path::{self, Shown};
use crate::tree::{InodeId, Node, Tree};

use super::{Merge, MergeError, clean, shown};

const WHITEOUT: &[u8] = b".wh.";
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the last component of a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// Nothing special.
    None,
    /// `.wh..wh..opq`
    Opaque,
    /// `.wh.` and what follows, which may be nonsense.
    Whiteout(&'a [u8]),
}

impl<'a> Marker<'a> {
    pub(super) fn of(parts: &[&'a [u8]]) -> Self {
        match parts.last() {
            Some(&OPAQUE) => Marker::Opaque,
            Some(name) => name.strip_prefix(WHITEOUT).map_or(Marker::None, Marker::Whiteout),
            None => Marker::None,
        }
    }
}

/// Whether a name is one of AUFS's own, or below one.
pub(super) fn is_aufs(parts: &[&[u8]]) -> bool {
    let own = |part: &&[u8]| part.starts_with(AUFS);
    match parts.split_last() {
        Some((name, parent)) => parent.iter().any(own) || (own(name) && *name != OPAQUE),
        None => false,
    }
}

/// Whether a name may end in a marker; cheap, and never wrong when it says no.
fn suspicious(path: &[u8]) -> bool {
    let last = path.rsplit(|&byte| byte == b'/').find(|part| !matches!(*part, b"" | b"."));
    last.is_some_and(|name| name.starts_with(WHITEOUT) || name == b"..")
}

impl<'e> Merge<'_, 'e> {
    /// Removes what the markers say, then makes the directories that markers are in: a layer that has a marker in a
    /// directory has the directory.
    ///
    /// Returns the markers whose directory cannot be made yet, because something else stands in the way.
    pub(super) fn apply_markers(&mut self) -> Result<Vec<Entry<'e>>, MergeError> {
        let mut homes = Vec::new();
        let mut late = Vec::new();
        let mut own = OwnDirectories::default();
        let mut parts = Vec::new();
        for entry in self.entries.iter().filter(|entry| suspicious(entry.path)) {
            clean(&entry, &mut parts)?;
            if is_aufs(&parts) {
                continue;
            }
            let marker = Marker::of(&parts);
            match marker {
                Marker::None => continue,
                Marker::Whiteout(name) => check(&entry, name)?,
                Marker::Opaque => {}
            }
            let Some((_, parent)) = parts.split_last() else { continue };
            let mut replaced = false;
            let entries = self.entries;
            let place = self.parents.find_unless(self.tree, parent, &entry, |dir, number| {
                replaced = leads_on(self.tree, dir, parent, number)
                    && own.has(entries.iter(), parent.get(..=number).unwrap_or_default());
                replaced
            })?;
            match (place, marker) {
                (Some(place), Marker::Opaque) => self.tree.clear(place.dir),
                (Some(place), Marker::Whiteout(name)) => {
                    if let Some(found) = self.tree.find(place.dir, name) {
                        self.tree.remove(found);
                    }
                }
                _ => {}
            }
            if replaced { late.push(entry) } else { homes.push(entry) }
        }
        for entry in homes {
            clean(&entry, &mut parts)?;
            let Some((_, parent)) = parts.split_last() else { continue };
            match self.parents.create(self.tree, parent, &entry, self.layer) {
                Ok(_) => {}
                // An entry of this layer may be about to replace what stands there with a directory.
                Err(MergeError::ParentNotDirectory { .. }) => late.push(entry),
                Err(error) => return Err(error),
            }
        }
        Ok(late)
    }

    /// Makes the directories that these markers are in.
    pub(super) fn create_homes(&mut self, markers: &[Entry<'e>]) -> Result<(), MergeError> {
        let mut parts = Vec::new();
        for entry in markers {
            clean(entry, &mut parts)?;
            if let Some((_, parent)) = parts.split_last() {
                self.parents.create(self.tree, parent, entry, self.layer)?;
            }
        }
        Ok(())
    }
}

fn check(entry: &Entry<'_>, name: &[u8]) -> Result<(), MergeError> {
    if matches!(name, b"" | b"." | b"..") {
        return Err(MergeError::BadWhiteout { entry: shown(entry), name: Shown::new(name) });
    }
    if name.len() > limits::NAME_BYTES {
        return Err(MergeError::NameTooLong { entry: shown(entry), name: Shown::new(name) });
    }
    Ok(())
}

/// Whether a component is a symlink.
fn leads_on(tree: &Tree, dir: InodeId, parts: &[&[u8]], number: usize) -> bool {
    let found = parts.get(number).and_then(|name| tree.find(dir, name));
    found.is_some_and(|id| matches!(tree.inode(tree.target(id)).node, Node::Symlink { .. }))
}

/// The paths of the layer's directories, gathered when they are first asked for: few layers ask.
#[derive(Default)]
struct OwnDirectories(Option<HashSet<Vec<u8>>>);

impl OwnDirectories {
    fn has<'e>(&mut self, entries: impl Iterator<Item = Entry<'e>>, parts: &[&[u8]]) -> bool {
        let paths = self.0.get_or_insert_with(|| {
            let mut parts = Vec::new();
            let directories = entries.filter(|entry| entry.kind == Kind::Directory);
            // A name that leaves the root is an error when its turn comes; here it is no directory of the image.
            directories
                .filter_map(|entry| path::normalise(entry.path, &mut parts).ok().map(|()| parts.join(&b'/')))
                .collect()
        });
        paths.contains(&parts.join(&b'/'))
    }
}
