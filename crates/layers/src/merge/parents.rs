//! Finding the directory that an entry is in, component by component, and making those that are missing.
//!
//! Neighbours in an archive share most of their path. The way to the last entry's directory is therefore remembered,
//! and the next one starts where the two paths part. The memory holds as long as no directory and no symlink goes:
//! new names cannot change a way that was found, unless it passed one of them while it was missing.

use crate::entry::Entry;
use crate::limits;
use crate::path::Shown;
use crate::tree::{Attributes, Blocked, Entered, InodeId, Missing, Node, Place, Tree};
use crate::xattr::XattrId;

use super::{MergeError, check_name, full, shown};

/// The way to the directory of the last entry.
pub(super) struct Parents<'e> {
    /// The components as written.
    parts: Vec<&'e [u8]>,
    /// Where each of them led.
    places: Vec<Place>,
    /// [`Tree::detours`] when they were found.
    detours: u64,
    /// What is left of [`limits::LAYER_STEPS`].
    steps: u64,
}

impl<'e> Parents<'e> {
    pub(super) fn new(steps: u64) -> Self {
        Self { parts: Vec::new(), places: Vec::new(), detours: 0, steps }
    }

    /// The directory that `parts` lead to, which is made where it is missing: mode 0755, owner 0:0, and the time of the
    /// entry that needs it.
    pub(super) fn create(
        &mut self,
        tree: &mut Tree,
        parts: &[&'e [u8]],
        entry: &Entry<'e>,
        layer: u16,
    ) -> Result<Place, MergeError> {
        let (mut place, known) = self.known(tree, parts);
        for &part in parts.iter().skip(known) {
            check_name(entry, part)?;
            let entered = tree.enter(place, part, Missing::Creatable, &mut self.steps);
            place = match entered.map_err(|why| blocked(tree, entry, why))? {
                Entered::Directory(place) => place,
                Entered::Missing { last, names } => make(tree, last, &names, entry, layer)?,
            };
            self.remember(part, place);
        }
        Ok(place)
    }

    /// The directory that `parts` lead to, `None` when there is none.
    pub(super) fn find(
        &mut self,
        tree: &Tree,
        parts: &[&'e [u8]],
        entry: &Entry<'e>,
    ) -> Result<Option<Place>, MergeError> {
        self.find_unless(tree, parts, entry, |_, _| false)
    }

    /// As [`find`](Self::find), but `None` too when `veto` says so of the directory and the number of a component.
    pub(super) fn find_unless(
        &mut self,
        tree: &Tree,
        parts: &[&'e [u8]],
        entry: &Entry<'e>,
        mut veto: impl FnMut(InodeId, usize) -> bool,
    ) -> Result<Option<Place>, MergeError> {
        let (mut place, known) = self.known(tree, parts);
        for (number, &part) in parts.iter().enumerate().skip(known) {
            if veto(place.dir, number) {
                return Ok(None);
            }
            match tree.enter(place, part, Missing::Final, &mut self.steps) {
                Ok(Entered::Directory(next)) => place = next,
                Ok(Entered::Missing { .. }) | Err(Blocked::NotDirectory(_)) => return Ok(None),
                Err(why) => return Err(blocked(tree, entry, why)),
            }
            self.remember(part, place);
        }
        Ok(Some(place))
    }

    fn remember(&mut self, part: &'e [u8], place: Place) {
        if place.lasting {
            self.parts.push(part);
            self.places.push(place);
        }
    }

    /// How many of `parts` the last way had too, and where they lead. Forgets the rest of that way.
    fn known(&mut self, tree: &Tree, parts: &[&[u8]]) -> (Place, usize) {
        let common = self.parts.iter().zip(parts).take_while(|(old, new)| old == new).count();
        let known = if self.detours == tree.detours() { common } else { 0 };
        self.detours = tree.detours();
        self.parts.truncate(known);
        self.places.truncate(known);
        (self.places.last().copied().unwrap_or_else(|| tree.top()), known)
    }
}

/// Makes the directories `names`, one in the other, below `last`.
fn make(tree: &mut Tree, last: Place, names: &[Vec<u8>], entry: &Entry<'_>, layer: u16) -> Result<Place, MergeError> {
    let attributes =
        Attributes { mode: 0o755, uid: 0, gid: 0, mtime: entry.mtime, xattrs: XattrId::EMPTY, layer, implied: true };
    let mut place = last;
    for name in names {
        check_name(entry, name)?;
        if place.depth >= limits::TREE_DEPTH {
            return Err(MergeError::TooDeep { entry: shown(entry) });
        }
        let full = |why| full(entry, why);
        let dir = tree.add_inode(Node::Directory, &attributes).map_err(full)?;
        tree.attach(place.dir, name, dir).map_err(full)?;
        place = Place { dir, depth: place.depth + 1, ..place };
    }
    Ok(place)
}

fn blocked(tree: &Tree, entry: &Entry<'_>, why: Blocked) -> MergeError {
    let entry = shown(entry);
    match why {
        Blocked::NotDirectory(id) => {
            let noun = tree.inode(tree.target(id)).node.noun();
            MergeError::ParentNotDirectory { entry, parent: Shown::new(&tree.path(id)), noun }
        }
        Blocked::TooManyLinks(id) => MergeError::TooManyLinks { entry, link: Shown::new(&tree.path(id)) },
        Blocked::TooManySteps => MergeError::TooManySteps { entry },
    }
}
