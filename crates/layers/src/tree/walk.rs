//! Walking the tree in an order that depends on its names alone.

use super::{Body, Dirent, DirentId, InodeId, Tree};

impl Tree {
    /// All names, from the root: a directory before what is in it, the names of a directory sorted by their bytes.
    ///
    /// The order does not depend on how the tree came about. The names of an inode with several are all in it.
    pub fn walk(&self) -> Walk<'_> {
        let mut walk = Walk { tree: self, ahead: Vec::new() };
        walk.enter(self.root());
        walk
    }

    /// The names in a directory, sorted by their bytes; none for anything but a directory.
    pub fn read_dir(&self, dir: InodeId) -> impl Iterator<Item = Dirent<'_>> {
        let mut names: Vec<DirentId> = self.list(dir).collect();
        names.sort_unstable_by_key(|&id| self.name(id));
        names.into_iter().map(|id| self.show(id))
    }

    /// The path of a name, from the root, without a slash in front: for messages.
    pub fn path_of(&self, dirent: Dirent<'_>) -> Vec<u8> {
        self.find(dirent.parent, dirent.name).map_or_else(|| dirent.name.to_vec(), |id| self.path(id))
    }

    fn show(&self, id: DirentId) -> Dirent<'_> {
        Dirent { parent: InodeId(self.dirent(id).parent), name: self.name(id), inode: self.target(id) }
    }
}

/// All names of a tree; see [`Tree::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    tree: &'a Tree,
    /// What is to be visited, the next one last.
    ahead: Vec<DirentId>,
}

impl Walk<'_> {
    fn enter(&mut self, dir: InodeId) {
        let tree = self.tree;
        let from = self.ahead.len();
        self.ahead.extend(tree.list(dir));
        if let Some(added) = self.ahead.get_mut(from..) {
            added.sort_unstable_by(|&a, &b| tree.name(b).cmp(tree.name(a)));
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Dirent<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let dirent = self.tree.show(self.ahead.pop()?);
        if matches!(self.tree.slot(dirent.inode).body, Body::Directory { .. }) {
            self.enter(dirent.inode);
        }
        Some(dirent)
    }
}
