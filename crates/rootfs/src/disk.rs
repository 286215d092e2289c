//! From the merged tree to the tree that is written.

use banger_ext4::spec::inode::Timestamp;
use banger_ext4::write as ext4;
use banger_layers::tree::{Inode, InodeId, Node, Tree};

use crate::error::Error;

/// The same tree, as the writer takes it: its order is that of the walk, and so depends on the names alone.
///
/// Segments are numbered like layers.
pub(crate) fn tree(merged: &Tree) -> Result<ext4::Tree, Error> {
    let mut conversion = Conversion {
        merged,
        disk: ext4::Tree::new(plain(&merged.inode(merged.root()))),
        numbers: vec![None; merged.inode_slots()],
    };
    conversion.root()?;
    for dirent in merged.walk() {
        let added = conversion.add(dirent.parent, dirent.name, dirent.inode);
        added.map_err(|source| Error::Entry { path: merged.path_of(dirent), source: Box::new(source) })?;
    }
    Ok(conversion.disk)
}

struct Conversion<'a> {
    merged: &'a Tree,
    disk: ext4::Tree,
    /// Of each inode that has been added: its node.
    numbers: Vec<Option<ext4::NodeId>>,
}

impl Conversion<'_> {
    fn root(&mut self) -> Result<(), Error> {
        let id = self.merged.root();
        let inode = self.merged.inode(id);
        let mut root = plain(&inode);
        let xattrs = self.disk.xattrs(self.merged.xattrs(inode.xattrs));
        root.xattrs = xattrs.map_err(|source| Error::Entry { path: b"/".to_vec(), source: Box::new(source) })?;
        self.disk.set_root(root);
        self.remember(id, ext4::NodeId::ROOT);
        Ok(())
    }

    fn add(&mut self, parent: InodeId, name: &[u8], id: InodeId) -> Result<(), banger_ext4::Error> {
        // A walk names a directory before what is in it.
        let parent = self.number(parent).unwrap_or(ext4::NodeId::ROOT);
        if let Some(node) = self.number(id) {
            return self.disk.link(parent, name, node);
        }
        let inode = self.merged.inode(id);
        let mut node = plain(&inode);
        node.xattrs = self.disk.xattrs(self.merged.xattrs(inode.xattrs))?;
        let number = self.disk.add(parent, name, node)?;
        self.remember(id, number);
        Ok(())
    }

    fn number(&self, id: InodeId) -> Option<ext4::NodeId> {
        self.numbers.get(id.index()).copied().flatten()
    }

    fn remember(&mut self, id: InodeId, number: ext4::NodeId) {
        if let Some(slot) = self.numbers.get_mut(id.index()) {
            *slot = Some(number);
        }
    }
}

/// An inode without its attributes.
fn plain<'a>(inode: &Inode<'a>) -> ext4::Node<'a> {
    let kind = match inode.node {
        Node::Directory => ext4::Kind::Directory,
        Node::File { size: 0, .. } => ext4::Kind::File(ext4::Content::EMPTY),
        Node::File { layer, content, .. } => ext4::Kind::File(ext4::Content { segment: layer, index: content }),
        Node::Symlink { target } => ext4::Kind::Symlink(target),
        Node::CharDevice { major, minor } => ext4::Kind::CharDevice { major, minor },
        Node::BlockDevice { major, minor } => ext4::Kind::BlockDevice { major, minor },
        Node::Fifo => ext4::Kind::Fifo,
        Node::Socket => ext4::Kind::Socket,
    };
    ext4::Node {
        kind,
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        mtime: Timestamp { seconds: inode.mtime.seconds, nanoseconds: inode.mtime.nanoseconds },
        xattrs: ext4::Xattrs::NONE,
    }
}
