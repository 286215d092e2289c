//! Applying a layer to the tree, by the rules of the OCI image specification's `layer.md`.
//!
//! 1. The layer's *markers* (whiteouts, opaque directories) remove what lower layers left. They come first wherever
//!    they stand in the archive, so a layer can never remove what it brings itself.
//! 2. The layer's *entries* follow in the archive's order; the last one for a path wins.
//!
//! Where the specification is silent, `docs/layers.md` says what was decided and why; each rule has a test in
//! `tests/merge.rs`.
//!
//! The time this takes is linear in the layer's entries and in what is removed.

mod error;
mod marker;
mod parents;

use crate::entry::{Entries, Entry, Kind};
use crate::limits;
use crate::path::{self, Shown};
use crate::tree::{Attributes, InodeId, Node, Tree, TreeFull};
use crate::xattr::{XattrId, XattrTable};

pub use error::MergeError;
use marker::Marker;
use parents::Parents;

/// Applies one layer on top of those that `tree` has already.
///
/// `layer` is its number, counted from 0, the lowest; contents and inodes carry it.
///
/// # Errors
/// [`MergeError`]. The tree then holds a part of the layer and is of no more use.
pub fn apply(tree: &mut Tree, layer: u32, entries: &Entries) -> Result<(), MergeError> {
    let number = u16::try_from(layer).ok().filter(|&number| usize::from(number) < limits::LAYERS);
    let number = number.ok_or(MergeError::TooManyLayers { layer })?;

    let mut merge = Merge {
        tree,
        layer: number,
        entries,
        parents: Parents::new(limits::LAYER_STEPS),
        targets: Parents::new(limits::LAYER_STEPS),
        xattrs: XattrCache::default(),
    };
    let late = merge.apply_markers()?;
    // Upper layers mostly replace what is there.
    merge.tree.expect_names(entries.len().saturating_sub(merge.tree.names()));
    let mut parts = Vec::new();
    for entry in entries.iter() {
        merge.apply_entry(&entry, &mut parts)?;
    }
    merge.create_homes(&late)
}

/// A layer that is being applied.
struct Merge<'t, 'e> {
    tree: &'t mut Tree,
    layer: u16,
    entries: &'e Entries,
    /// The way to the parents of entries.
    parents: Parents<'e>,
    /// The way to the targets of hardlinks; they often stand together elsewhere.
    targets: Parents<'e>,
    xattrs: XattrCache,
}

impl<'e> Merge<'_, 'e> {
    /// `parts` is room for the components, used again for each entry.
    fn apply_entry(&mut self, entry: &Entry<'e>, parts: &mut Vec<&'e [u8]>) -> Result<(), MergeError> {
        clean(entry, parts)?;
        if marker::is_aufs(parts) || matches!(Marker::of(parts), Marker::Whiteout(_) | Marker::Opaque) {
            return Ok(());
        }
        let Some((name, parent)) = parts.split_last() else { return self.apply_root(entry) };
        check_name(entry, name)?;
        let place = self.parents.create(self.tree, parent, entry, self.layer)?;
        if place.depth >= limits::TREE_DEPTH {
            return Err(MergeError::TooDeep { entry: shown(entry) });
        }
        let node = match entry.kind {
            Kind::Hardlink { target } => return self.apply_hardlink(entry, place.dir, name, target),
            Kind::Directory => Node::Directory,
            Kind::File { content, size } => Node::File { layer: self.layer.into(), content, size },
            Kind::Symlink { target } => Node::Symlink { target },
            Kind::CharDevice { major, minor } => Node::CharDevice { major, minor },
            Kind::BlockDevice { major, minor } => Node::BlockDevice { major, minor },
            Kind::Fifo => Node::Fifo,
            Kind::Socket => Node::Socket,
        };
        let attributes = self.attributes(entry)?;
        let old = self.tree.find(place.dir, name);
        if let Some(old) = old
            && node == Node::Directory
            && self.tree.inode(self.tree.target(old)).node == Node::Directory
        {
            self.tree.describe(self.tree.target(old), &attributes);
            return Ok(());
        }
        let full = |why| full(entry, why);
        let inode = self.tree.add_inode(node, &attributes).map_err(full)?;
        match old {
            Some(old) => self.tree.replace(old, inode),
            None => self.tree.attach(place.dir, name, inode).map_err(full)?,
        }
        Ok(())
    }

    fn apply_root(&mut self, entry: &Entry<'_>) -> Result<(), MergeError> {
        let noun = match entry.kind {
            Kind::Directory => {
                let attributes = self.attributes(entry)?;
                self.tree.describe(self.tree.root(), &attributes);
                return Ok(());
            }
            Kind::File { .. } => "a file",
            Kind::Symlink { .. } => "a symlink",
            Kind::Hardlink { .. } => "a hardlink",
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => "a device",
            Kind::Fifo => "a fifo",
            Kind::Socket => "a socket",
        };
        Err(MergeError::RootNotDirectory { entry: shown(entry), noun })
    }

    /// A hardlink is one more name of the inode that its target leads to now; the entry's own metadata is ignored.
    fn apply_hardlink(
        &mut self,
        entry: &Entry<'e>,
        dir: InodeId,
        name: &[u8],
        target: &'e [u8],
    ) -> Result<(), MergeError> {
        let both = || (shown(entry), Shown::new(target));
        let mut parts = Vec::new();
        if path::normalise(target, &mut parts).is_err() {
            let (entry, target) = both();
            return Err(MergeError::HardlinkLeavesRoot { entry, target });
        }
        let Some((target_name, parent)) = parts.split_last() else {
            let (entry, target) = both();
            return Err(MergeError::HardlinkToDirectory { entry, target });
        };
        let place = self.targets.find(self.tree, parent, entry)?;
        if let Some(place) = place
            && (place.dir, *target_name) == (dir, name)
        {
            let (entry, target) = both();
            return Err(MergeError::HardlinkToItself { entry, target });
        }
        let Some(found) = place.and_then(|place| self.tree.find(place.dir, target_name)) else {
            let (entry, target) = both();
            return Err(MergeError::HardlinkToNothing { entry, target });
        };
        let id = self.tree.target(found);
        let inode = self.tree.inode(id);
        if inode.node == Node::Directory {
            let (entry, target) = both();
            return Err(MergeError::HardlinkToDirectory { entry, target });
        }
        let old = self.tree.find(dir, name);
        if old.is_some_and(|old| self.tree.target(old) == id) {
            return Ok(());
        }
        if inode.links >= limits::LINKS {
            let (entry, target) = both();
            return Err(MergeError::TooManyNames { entry, target });
        }
        match old {
            Some(old) => self.tree.replace(old, id),
            None => self.tree.attach(dir, name, id).map_err(|why| full(entry, why))?,
        }
        Ok(())
    }

    fn attributes(&mut self, entry: &Entry<'_>) -> Result<Attributes, MergeError> {
        let symlink = matches!(entry.kind, Kind::Symlink { .. });
        let xattrs = self.xattrs.translate(self.entries.xattr_table(), self.tree.xattr_table_mut(), entry)?;
        Ok(Attributes {
            // The kernel knows no other mode of a symlink; archives written elsewhere may.
            mode: if symlink { 0o777 } else { entry.mode },
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs,
            layer: self.layer,
            implied: false,
        })
    }
}

/// The last translation from the layer's sets of extended attributes to the tree's: runs of equal sets are long.
#[derive(Default)]
struct XattrCache {
    last: (XattrId, XattrId),
}

impl XattrCache {
    fn translate(&mut self, from: &XattrTable, to: &mut XattrTable, entry: &Entry<'_>) -> Result<XattrId, MergeError> {
        if entry.xattrs == XattrId::EMPTY {
            return Ok(XattrId::EMPTY);
        }
        if self.last.0 != entry.xattrs {
            let own = to.adopt(from, entry.xattrs);
            let own = own.map_err(|source| MergeError::TooManyXattrs { entry: shown(entry), source })?;
            self.last = (entry.xattrs, own);
        }
        Ok(self.last.1)
    }
}

/// The components of an entry's name.
fn clean<'e>(entry: &Entry<'e>, parts: &mut Vec<&'e [u8]>) -> Result<(), MergeError> {
    path::normalise(entry.path, parts).map_err(|_| MergeError::LeavesRoot { entry: shown(entry) })
}

fn check_name(entry: &Entry<'_>, name: &[u8]) -> Result<(), MergeError> {
    if name.len() > limits::NAME_BYTES {
        return Err(MergeError::NameTooLong { entry: shown(entry), name: Shown::new(name) });
    }
    Ok(())
}

fn shown(entry: &Entry<'_>) -> Shown {
    Shown::new(entry.path)
}

fn full(entry: &Entry<'_>, why: TreeFull) -> MergeError {
    match why {
        TreeFull::Names => MergeError::TooManyEntries { entry: shown(entry) },
        TreeFull::Text => MergeError::TooMuchText { entry: shown(entry) },
    }
}
