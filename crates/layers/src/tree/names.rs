//! The arenas of inodes and names, and the changes that keep them consistent.
//!
//! Invariants: a name in use is in the hash table and in its directory's list, and is counted in its inode's `links`;
//! an inode other than the root is in use exactly while `links` is above 0. Every operation takes time in proportion to
//! what it adds or removes.

use std::hash::{BuildHasher, Hasher};

use super::{Attributes, Body, DirentId, DirentSlot, IMPLIED, InodeId, InodeSlot, NONE, Node, Tree, TreeFull};
use crate::limits;
use crate::xattr::XattrId;

impl Tree {
    #[expect(clippy::indexing_slicing, reason = "ids are given out by this tree alone, and slots never go away")]
    pub(super) fn slot(&self, id: InodeId) -> &InodeSlot {
        &self.inodes[id.0 as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are given out by this tree alone, and slots never go away")]
    fn slot_mut(&mut self, id: InodeId) -> &mut InodeSlot {
        &mut self.inodes[id.0 as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are given out by this tree alone, and slots never go away")]
    pub(super) fn dirent(&self, id: DirentId) -> &DirentSlot {
        &self.dirents[id.0 as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "ids are given out by this tree alone, and slots never go away")]
    fn dirent_mut(&mut self, id: DirentId) -> &mut DirentSlot {
        &mut self.dirents[id.0 as usize]
    }

    pub(super) fn text_at(&self, start: u32, length: usize) -> &[u8] {
        text_at(&self.text, start, length)
    }

    pub(super) fn name(&self, id: DirentId) -> &[u8] {
        name_at(&self.text, self.dirent(id).name)
    }

    /// The inode that a name leads to.
    pub(crate) fn target(&self, id: DirentId) -> InodeId {
        InodeId(self.dirent(id).inode)
    }

    /// How often a directory or a symlink has gone.
    pub(crate) fn detours(&self) -> u64 {
        self.detours
    }

    /// The directory that `dir` is in; the root is in itself.
    pub(super) fn parent(&self, dir: InodeId) -> InodeId {
        match self.slot(dir).body {
            Body::Directory { name, .. } if name != NONE => InodeId(self.dirent(DirentId(name)).parent),
            _ => self.root(),
        }
    }

    /// The first name of a directory's list, and from each the next.
    pub(super) fn list(&self, dir: InodeId) -> impl Iterator<Item = DirentId> {
        let first = match self.slot(dir).body {
            Body::Directory { first, .. } => first,
            _ => NONE,
        };
        let some = |index: u32| (index != NONE).then_some(DirentId(index));
        std::iter::successors(some(first), move |&id| some(self.dirent(id).next))
    }

    /// The path of a name, from the root, without a slash in front: for messages.
    pub(crate) fn path(&self, id: DirentId) -> Vec<u8> {
        let mut names = vec![self.name(id)];
        let mut dir = InodeId(self.dirent(id).parent);
        while let Body::Directory { name, .. } = self.slot(dir).body
            && name != NONE
        {
            names.push(self.name(DirentId(name)));
            dir = InodeId(self.dirent(DirentId(name)).parent);
        }
        names.reverse();
        names.join(&b'/')
    }

    pub(crate) fn find(&self, dir: InodeId, name: &[u8]) -> Option<DirentId> {
        let found = self.by_name.find(hash(&self.hasher, dir.0, name), |&id| {
            self.dirent(DirentId(id)).parent == dir.0 && self.name(DirentId(id)) == name
        });
        found.map(|&id| DirentId(id))
    }

    /// Makes room in the table for this many more names, which is cheaper than to let it grow step by step.
    pub(crate) fn expect_names(&mut self, count: usize) {
        let Self { by_name, dirents, text, hasher, .. } = self;
        by_name.reserve(count, |&id| hash_of(hasher, dirents, text, id));
    }

    /// A new inode without a name; the caller must give it one.
    pub(crate) fn add_inode(&mut self, node: Node<'_>, attributes: &Attributes) -> Result<InodeId, TreeFull> {
        let body = match node {
            Node::Directory => Body::Directory { name: NONE, first: NONE },
            Node::File { content, size, .. } => Body::File { content, size },
            Node::Symlink { target } => {
                let length = u16::try_from(target.len()).map_err(|_| TreeFull::Text)?;
                Body::Symlink { start: self.add_text(&[target])?, length }
            }
            Node::CharDevice { major, minor } => Body::CharDevice { major, minor },
            Node::BlockDevice { major, minor } => Body::BlockDevice { major, minor },
            Node::Fifo => Body::Fifo,
            Node::Socket => Body::Socket,
        };
        let mut slot = InodeSlot {
            body,
            seconds: 0,
            nanoseconds: 0,
            uid: 0,
            gid: 0,
            xattrs: attributes.xattrs,
            links: 0,
            layer: 0,
            mode: 0,
        };
        slot.describe(attributes);
        if self.free_inode == NONE {
            if self.inodes.len() > limits::TREE_NAMES {
                return Err(TreeFull::Names);
            }
            let id = u32::try_from(self.inodes.len()).map_err(|_| TreeFull::Names)?;
            self.inodes.push(slot);
            return Ok(InodeId(id));
        }
        let id = InodeId(self.free_inode);
        if let Body::Free { next } = self.slot(id).body {
            self.free_inode = next;
        }
        *self.slot_mut(id) = slot;
        Ok(id)
    }

    /// Replaces everything of an inode but its kind and what is in it.
    pub(crate) fn describe(&mut self, id: InodeId, attributes: &Attributes) {
        self.slot_mut(id).describe(attributes);
    }

    /// Gives an inode another set of extended attributes, and another mode.
    pub(crate) fn set_attributes(&mut self, id: InodeId, xattrs: XattrId, mode: impl FnOnce(u16) -> u16) {
        let slot = self.slot_mut(id);
        slot.xattrs = xattrs;
        slot.mode = slot.mode & !0o7777 | mode(slot.mode) & 0o7777;
    }

    /// Gives `inode` the name `name`, which must be free in `dir`.
    pub(crate) fn attach(&mut self, dir: InodeId, name: &[u8], inode: InodeId) -> Result<(), TreeFull> {
        if self.names >= limits::TREE_NAMES {
            return Err(TreeFull::Names);
        }
        let length = u8::try_from(name.len()).map_err(|_| TreeFull::Text)?;
        let name_start = self.add_text(&[&[length], name])?;
        let Body::Directory { name: own, first } = self.slot(dir).body else { return Ok(()) };

        let dirent = DirentSlot { parent: dir.0, inode: inode.0, name: name_start, next: first, previous: NONE };
        let id = if self.free_dirent == NONE {
            let id = u32::try_from(self.dirents.len()).map_err(|_| TreeFull::Names)?;
            self.dirents.push(dirent);
            DirentId(id)
        } else {
            let id = DirentId(self.free_dirent);
            self.free_dirent = self.dirent(id).next;
            *self.dirent_mut(id) = dirent;
            id
        };
        if first != NONE {
            self.dirent_mut(DirentId(first)).previous = id.0;
        }
        self.slot_mut(dir).body = Body::Directory { name: own, first: id.0 };
        self.names += 1;

        let Self { by_name, dirents, text, hasher, .. } = self;
        by_name.insert_unique(hash(hasher, dir.0, name), id.0, |&id| hash_of(hasher, dirents, text, id));
        self.lead(id, inode);
        Ok(())
    }

    /// Lets a name lead to another inode. What it led to goes, with all below it, unless it has other names.
    pub(crate) fn replace(&mut self, id: DirentId, inode: InodeId) {
        let old = self.target(id);
        // The new link first: `inode` may be below `old`, or be the same.
        self.dirent_mut(id).inode = inode.0;
        self.lead(id, inode);
        self.release(old);
    }

    /// Removes a name, and what it leads to, with all below it, unless it has other names.
    pub(crate) fn remove(&mut self, id: DirentId) {
        let DirentSlot { parent, next, previous, .. } = *self.dirent(id);
        if next != NONE {
            self.dirent_mut(DirentId(next)).previous = previous;
        }
        if previous != NONE {
            self.dirent_mut(DirentId(previous)).next = next;
        } else if let Body::Directory { first, .. } = &mut self.slot_mut(InodeId(parent)).body {
            *first = next;
        }
        let old = self.target(id);
        self.forget(id);
        self.release(old);
    }

    /// Removes all names in a directory, with all below them.
    pub(crate) fn clear(&mut self, dir: InodeId) {
        let mut emptied = vec![dir];
        while let Some(dir) = emptied.pop() {
            let Body::Directory { first, .. } = &mut self.slot_mut(dir).body else { continue };
            let mut next = std::mem::replace(first, NONE);
            while next != NONE {
                let id = DirentId(next);
                let DirentSlot { inode, next: following, .. } = *self.dirent(id);
                self.forget(id);
                if let Some(directory) = self.unlink(InodeId(inode)) {
                    emptied.push(directory);
                }
                next = following;
            }
            if self.slot(dir).links == 0 && dir != self.root() {
                self.free(dir);
            }
        }
    }

    /// Counts the new name of an inode; a directory learns which it is.
    fn lead(&mut self, id: DirentId, inode: InodeId) {
        let slot = self.slot_mut(inode);
        slot.links += 1;
        if let Body::Directory { name, .. } = &mut slot.body {
            *name = id.0;
        }
    }

    /// Takes a name from an inode, which goes with all below it when that was the last.
    fn release(&mut self, inode: InodeId) {
        if let Some(directory) = self.unlink(inode) {
            self.clear(directory);
        }
    }

    /// Takes a name from an inode and frees it when that was the last. A directory is returned instead: it must be
    /// cleared first, which frees it.
    fn unlink(&mut self, inode: InodeId) -> Option<InodeId> {
        let slot = self.slot_mut(inode);
        slot.links -= 1;
        let (last, body) = (slot.links == 0, slot.body);
        match body {
            Body::Directory { .. } => {
                self.detours += 1;
                return last.then_some(inode);
            }
            Body::Symlink { .. } => self.detours += 1,
            _ => {}
        }
        if last {
            self.free(inode);
        }
        None
    }

    fn free(&mut self, inode: InodeId) {
        let next = std::mem::replace(&mut self.free_inode, inode.0);
        self.slot_mut(inode).body = Body::Free { next };
    }

    /// Takes a name out of the table and gives its slot free; the directory's list is the caller's business.
    fn forget(&mut self, id: DirentId) {
        let hash = hash(&self.hasher, self.dirent(id).parent, self.name(id));
        if let Ok(entry) = self.by_name.find_entry(hash, |&other| other == id.0) {
            entry.remove();
        }
        self.dirent_mut(id).next = std::mem::replace(&mut self.free_dirent, id.0);
        self.names -= 1;
    }

    fn add_text(&mut self, parts: &[&[u8]]) -> Result<u32, TreeFull> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.text.len() + length > limits::TREE_TEXT_BYTES {
            return Err(TreeFull::Text);
        }
        let start = u32::try_from(self.text.len()).map_err(|_| TreeFull::Text)?;
        for part in parts {
            self.text.extend_from_slice(part);
        }
        Ok(start)
    }
}

impl InodeSlot {
    fn describe(&mut self, attributes: &Attributes) {
        self.seconds = attributes.mtime.seconds;
        self.nanoseconds = attributes.mtime.nanoseconds;
        self.uid = attributes.uid;
        self.gid = attributes.gid;
        self.xattrs = attributes.xattrs;
        self.layer = attributes.layer;
        self.mode = (attributes.mode & 0o7777) | if attributes.implied { IMPLIED } else { 0 };
    }
}

fn hash(hasher: &impl BuildHasher, dir: u32, name: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u32(dir);
    state.write(name);
    state.finish()
}

fn hash_of(hasher: &impl BuildHasher, dirents: &[DirentSlot], text: &[u8], id: u32) -> u64 {
    let (parent, name) = dirents.get(id as usize).map_or((NONE, 0), |dirent| (dirent.parent, dirent.name));
    hash(hasher, parent, name_at(text, name))
}

fn text_at(text: &[u8], start: u32, length: usize) -> &[u8] {
    let start = start as usize;
    text.get(start..start + length).unwrap_or_default()
}

fn name_at(text: &[u8], start: u32) -> &[u8] {
    let length = text.get(start as usize).copied().unwrap_or_default();
    text_at(text, start + 1, length.into())
}
