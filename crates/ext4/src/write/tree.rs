//! What the image is to hold: names, and the nodes that they mean.
//!
//! A tree is built from the root down, in any order otherwise; its order is that of the inodes in the image. It is kept
//! compactly, as images of half a million files are not rare: names in one piece of memory, a node in 48 bytes and
//! an entry in 16, equal sets of extended attributes once.

use super::xattrs::{XattrSets, Xattrs};
use crate::Error;
use crate::layout::size::MAX_INODES;
use crate::spec::inode::{MAJOR_MAX, MINOR_MAX, Timestamp};
use crate::spec::{FileType, LINK_MAX, NAME_MAX, SYMLINK_MAX, mode};

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);
}

/// The content of a file: one of those that a [`ContentWriter`](super::ContentWriter) has taken.
///
/// No two nodes can have the same content, as ext4 has no blocks that belong to two inodes; names can
/// ([`Tree::link`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// Which segment: its index in the list that [`Image::finish`](super::Image::finish) is given.
    pub segment: u32,
    /// Which content of the segment: what [`ContentWriter::finish`](super::ContentWriter::finish) gave.
    pub index: u32,
}

impl Content {
    /// No bytes. Any number of nodes can have it, and it belongs to no segment.
    pub const EMPTY: Self = Self { segment: u32::MAX, index: u32::MAX };
}

/// What a node is, and what only such a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link, with its target: 1 to 4095 bytes, none of them NUL.
    Symlink(&'a [u8]),
    /// A character device.
    CharDevice {
        /// Major number, up to 4095.
        major: u32,
        /// Minor number, up to 1048575.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number, up to 4095.
        major: u32,
        /// Minor number, up to 1048575.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A node: what an inode holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Permissions, setuid, setgid and sticky: 12 bits. Others are not looked at.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content. The other times of the inode (access, change, creation) are set to it
    /// too, as an image knows no others. Clamped to what ext4 can hold: 1901 to 2446.
    pub mtime: Timestamp,
    /// Extended attributes, from [`Tree::xattrs`].
    pub xattrs: Xattrs,
}

/// [`Kind`] with bytes by reference into the tree's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Directory,
    File(Content),
    Symlink { at: u32, len: u16 },
    CharDevice { major: u16, minor: u32 },
    BlockDevice { major: u16, minor: u32 },
    Fifo,
    Socket,
}

/// [`Node`] as the tree keeps it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) payload: Payload,
    /// Names, or of a directory: subdirectories.
    pub(super) names: u32,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) xattrs: Xattrs,
    pub(super) mtime: Timestamp,
}

impl Stored {
    pub(super) const fn file_type(&self) -> FileType {
        match self.payload {
            Payload::Directory => FileType::Directory,
            Payload::File(_) => FileType::Regular,
            Payload::Symlink { .. } => FileType::Symlink,
            Payload::CharDevice { .. } => FileType::CharDevice,
            Payload::BlockDevice { .. } => FileType::BlockDevice,
            Payload::Fifo => FileType::Fifo,
            Payload::Socket => FileType::Socket,
        }
    }
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) parent: NodeId,
    pub(super) node: NodeId,
    name_at: u32,
    name_len: u8,
}

/// What the image is to hold.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Stored>,
    entries: Vec<Entry>,
    /// Names and targets of symbolic links.
    bytes: Vec<u8>,
    pub(super) xattrs: XattrSets,
}

impl Tree {
    /// A tree of a root directory. Of `root`, the kind is not looked at, and it can have no extended attributes yet
    /// (see [`set_root`](Self::set_root)).
    #[must_use]
    pub fn new(root: Node<'_>) -> Self {
        let mut tree = Self { nodes: Vec::new(), entries: Vec::new(), bytes: Vec::new(), xattrs: XattrSets::default() };
        tree.nodes.push(Self::stored(Payload::Directory, &root));
        tree
    }

    /// Gives the root directory other metadata. Of `root`, the kind is not looked at.
    pub fn set_root(&mut self, root: Node<'_>) {
        if let Some(stored) = self.nodes.first_mut() {
            *stored = Stored { names: stored.names, ..Self::stored(Payload::Directory, &root) };
        }
    }

    /// A set of extended attributes, for use with this tree: pairs of full name (`user.comment`,
    /// `system.posix_acl_access`) and value. POSIX ACLs are given as tar and the system call have them.
    ///
    /// # Errors
    /// [`Error::Xattr`] for a name that ext4 cannot hold or that is there twice, and for an ACL that makes no sense;
    /// [`Error::XattrsTooLarge`] for more than an inode and one block can hold.
    pub fn xattrs<'b>(&mut self, pairs: impl IntoIterator<Item = (&'b [u8], &'b [u8])>) -> Result<Xattrs, Error> {
        self.xattrs.intern(pairs)
    }

    /// Adds a node and its (first) name.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::NotADirectory`] (of `parent`), [`Error::SymlinkTarget`], [`Error::DeviceNumber`],
    /// [`Error::TooMany`]. Two equal names are noticed only when the image is finished.
    pub fn add(&mut self, parent: NodeId, name: &[u8], node: Node<'_>) -> Result<NodeId, Error> {
        let id = match u32::try_from(self.nodes.len()) {
            Ok(id) if u64::from(id) < MAX_INODES => NodeId(id),
            _ => {
                return Err(Error::TooMany { what: "nodes in a tree", limit: MAX_INODES });
            }
        };
        let payload = self.payload(name, &node)?;
        self.enter(parent, name, id)?;
        let mut stored = Self::stored(payload, &node);
        if payload == Payload::Directory {
            stored.names = 0;
            if let Some(parent) = self.nodes.get_mut(parent.0 as usize) {
                parent.names += 1;
            }
        }
        self.nodes.push(stored);
        Ok(id)
    }

    /// Gives a node that is no directory one more name: a hard link.
    ///
    /// # Errors
    /// [`Error::DirectoryLink`], [`Error::TooManyLinks`] (beyond 65,000), and those of [`add`](Self::add).
    pub fn link(&mut self, parent: NodeId, name: &[u8], node: NodeId) -> Result<(), Error> {
        match self.nodes.get(node.0 as usize) {
            None => return Err(Error::Misuse("a node is linked that is of another tree")),
            Some(stored) if stored.payload == Payload::Directory => {
                return Err(Error::DirectoryLink { name: name.to_vec() });
            }
            Some(stored) if stored.names >= u32::from(LINK_MAX) => {
                return Err(Error::TooManyLinks { name: name.to_vec(), limit: LINK_MAX.into() });
            }
            Some(_) => {}
        }
        self.enter(parent, name, node)?;
        if let Some(stored) = self.nodes.get_mut(node.0 as usize) {
            stored.names += 1;
        }
        Ok(())
    }

    /// How many nodes there are, the root among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All nodes; a node's index is its [`NodeId`].
    pub(super) fn nodes(&self) -> &[Stored] {
        &self.nodes
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        self.slice(entry.name_at, entry.name_len.into())
    }

    pub(super) fn target(&self, at: u32, len: u16) -> &[u8] {
        self.slice(at, len.into())
    }

    /// The path of a node, for messages: of several the last that it was given.
    pub(super) fn path(&self, node: NodeId) -> Vec<u8> {
        let (mut names, mut at) = (Vec::new(), node);
        // A directory's own entry stands before all that are in it, so one walk backwards finds every step.
        for entry in self.entries.iter().rev() {
            if entry.node == at {
                names.push(self.name(entry));
                at = entry.parent;
            }
        }
        names.push(&[]);
        names.reverse();
        if names.len() == 1 { b"/".to_vec() } else { names.join(&b'/') }
    }

    fn slice(&self, at: u32, len: usize) -> &[u8] {
        self.bytes.get(at as usize..).and_then(|rest| rest.get(..len)).unwrap_or_default()
    }

    fn stored(payload: Payload, node: &Node<'_>) -> Stored {
        Stored {
            payload,
            names: u32::from(payload != Payload::Directory),
            mode: node.mode & mode::PERMISSION_MASK,
            uid: node.uid,
            gid: node.gid,
            xattrs: node.xattrs,
            mtime: node.mtime.clamped(),
        }
    }

    fn payload(&mut self, name: &[u8], node: &Node<'_>) -> Result<Payload, Error> {
        let device = |major: u32, minor: u32| match u16::try_from(major) {
            Ok(short) if major <= MAJOR_MAX && minor <= MINOR_MAX => Ok(short),
            _ => Err(Error::DeviceNumber { name: name.to_vec(), major, minor }),
        };
        Ok(match node.kind {
            Kind::Directory => Payload::Directory,
            Kind::File(content) => Payload::File(content),
            Kind::Symlink(target) => {
                let reason = if target.is_empty() {
                    Some("that is empty")
                } else if target.len() > SYMLINK_MAX {
                    Some("of more than 4095 bytes")
                } else if target.contains(&0) {
                    Some("that holds a NUL")
                } else {
                    None
                };
                if let Some(reason) = reason {
                    return Err(Error::SymlinkTarget { name: name.to_vec(), reason });
                }
                let len = u16::try_from(target.len()).unwrap_or(u16::MAX);
                Payload::Symlink { at: self.keep(target)?, len }
            }
            Kind::CharDevice { major, minor } => Payload::CharDevice { major: device(major, minor)?, minor },
            Kind::BlockDevice { major, minor } => Payload::BlockDevice { major: device(major, minor)?, minor },
            Kind::Fifo => Payload::Fifo,
            Kind::Socket => Payload::Socket,
        })
    }

    fn enter(&mut self, parent: NodeId, name: &[u8], node: NodeId) -> Result<(), Error> {
        let wrong = |reason| Error::Name { name: name.to_vec(), reason };
        match name {
            b"" => return Err(wrong("is empty")),
            b"." | b".." => return Err(wrong("means a directory that is there already")),
            _ if name.contains(&0) => return Err(wrong("holds a NUL")),
            _ if name.contains(&b'/') => return Err(wrong("holds a slash")),
            _ => {}
        }
        let Some(name_len) = u8::try_from(name.len()).ok().filter(|&len| usize::from(len) <= NAME_MAX) else {
            return Err(wrong("is longer than 255 bytes"));
        };
        match self.nodes.get(parent.0 as usize) {
            Some(stored) if stored.payload == Payload::Directory => {}
            _ => {
                return Err(Error::NotADirectory { name: name.to_vec() });
            }
        }
        if self.entries.len() >= u32::MAX as usize {
            return Err(Error::TooMany { what: "names in a tree", limit: u32::MAX.into() });
        }
        let name_at = self.keep(name)?;
        self.entries.push(Entry { parent, node, name_at, name_len });
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<u32, Error> {
        let at = u32::try_from(self.bytes.len())
            .map_err(|_| Error::TooMany { what: "bytes of names and link targets", limit: u32::MAX.into() })?;
        self.bytes.extend_from_slice(bytes);
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: Kind<'_>) -> Node<'_> {
        Node { kind, mode: 0o644, uid: 0, gid: 0, mtime: Timestamp::default(), xattrs: Xattrs::NONE }
    }

    #[test]
    fn nodes_and_entries_are_small() {
        assert!(size_of::<Stored>() <= 48);
        assert!(size_of::<Entry>() <= 16);
    }

    #[test]
    fn what_no_directory_entry_can_have_is_refused() {
        let mut tree = Tree::new(node(Kind::Directory));
        let file = tree.add(NodeId::ROOT, b"file", node(Kind::File(Content::EMPTY))).unwrap();
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
            let error = tree.add(NodeId::ROOT, name, node(Kind::Fifo)).unwrap_err();
            assert!(matches!(error, Error::Name { .. }), "{error}");
        }
        tree.add(NodeId::ROOT, &[b'x'; 255], node(Kind::Fifo)).unwrap();
        assert!(matches!(tree.add(file, b"child", node(Kind::Fifo)), Err(Error::NotADirectory { .. })));
        for target in [&b""[..], b"a\0b", &[b'x'; 4096]] {
            assert!(matches!(
                tree.add(NodeId::ROOT, b"link", node(Kind::Symlink(target))),
                Err(Error::SymlinkTarget { .. })
            ));
        }
        for (major, minor) in [(4096, 0), (0, 1 << 20), (1 << 20, 0)] {
            assert!(matches!(
                tree.add(NodeId::ROOT, b"dev", node(Kind::CharDevice { major, minor })),
                Err(Error::DeviceNumber { .. })
            ));
        }
        assert_eq!(tree.entries().len(), 2);
    }

    #[test]
    fn links_are_counted_up_to_the_limit() {
        let mut tree = Tree::new(node(Kind::Directory));
        let dir = tree.add(NodeId::ROOT, b"dir", node(Kind::Directory)).unwrap();
        let file = tree.add(dir, b"0", node(Kind::File(Content::EMPTY))).unwrap();
        for i in 1..65_000 {
            tree.link(dir, i.to_string().as_bytes(), file).unwrap();
        }
        assert!(matches!(tree.link(dir, b"65000", file), Err(Error::TooManyLinks { limit: 65_000, .. })));
        assert!(matches!(tree.link(NodeId::ROOT, b"again", dir), Err(Error::DirectoryLink { .. })));
        assert_eq!(tree.nodes()[0].names, 1);
        assert_eq!(tree.path(file), b"/dir/64999");
        assert_eq!(tree.path(dir), b"/dir");
        assert_eq!(tree.path(NodeId::ROOT), b"/");
    }
}
