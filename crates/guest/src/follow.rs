//! Where a path leads inside a tree, by name: what [`Tree::lookup`] finds, and what it is called there.

use std::collections::VecDeque;

use banger_layers::limits::SYMLINK_HOPS;
use banger_layers::tree::{InodeId, Node, Tree};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Its path without any symbolic link, from the root.
    pub(crate) path: Vec<u8>,
    pub(crate) inode: InodeId,
}

/// Follows `path` from the root, through symbolic links, as a process in a chroot would. `None` where it leads to nothing.
pub(crate) fn follow(tree: &Tree, path: &[u8]) -> Option<Followed> {
    let mut rest: VecDeque<Vec<u8>> = components(path).collect();
    // Each directory on the way, with its name; the root has none.
    let mut way: Vec<(Vec<u8>, InodeId)> = Vec::new();
    let mut hops = 0;
    while let Some(name) = rest.pop_front() {
        if name == b".." {
            way.pop();
            continue;
        }
        let directory = way.last().map_or(tree.root(), |(_, inode)| *inode);
        let found = tree.read_dir(directory).find(|dirent| dirent.name == name)?.inode;
        if let Node::Symlink { target } = tree.inode(found).node {
            hops += 1;
            if hops > SYMLINK_HOPS {
                return None;
            }
            if target.starts_with(b"/") {
                way.clear();
            }
            for component in components(target).rev() {
                rest.push_front(component);
            }
        } else {
            way.push((name, found));
        }
    }
    let inode = way.last().map_or(tree.root(), |(_, inode)| *inode);
    let path = way.iter().flat_map(|(name, _)| [b"/", &name[..]].concat()).collect();
    Some(Followed { path, inode })
}

/// What a path names: as [`follow`], but a symbolic link at its end is not followed.
pub(crate) fn named(tree: &Tree, path: &[u8]) -> Option<InodeId> {
    let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash.saturating_add(1));
    let (directory, name) = path.split_at(at);
    let directory = tree.lookup(directory).ok()?;
    tree.read_dir(directory).find(|dirent| dirent.name == name).map(|dirent| dirent.inode)
}

/// Whether a path leads to a program: a file with something in it, that may be executed.
pub(crate) fn is_program(tree: &Tree, path: &[u8]) -> bool {
    tree.lookup(path).is_ok_and(|inode| is_executable(tree, inode))
}

pub(crate) fn is_executable(tree: &Tree, inode: InodeId) -> bool {
    let inode = tree.inode(inode);
    matches!(inode.node, Node::File { size: 1.., .. }) && inode.mode & 0o111 != 0
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && name != b".").map(<[u8]>::to_vec)
}
