//! The tree: every name and inode of the merged image, in memory.
//!
//! A name ([`Dirent`]) belongs to a directory and leads to an inode; several names may lead to one inode, except for
//! directories, which have one name each (the root has none). An inode without names does not exist.
//!
//! What is kept is small, because images have hundreds of thousands of entries: 48 bytes for an inode, 20 for a name,
//! its bytes, and about 8 in the one hash table that finds a name in its directory. Nothing depends on the order in
//! that table: [walks](Tree::walk) sort the names of each directory by their bytes.
//!
//! [`merge::apply`](crate::merge::apply) is what changes a tree.

mod names;
mod resolve;
mod walk;

use std::fmt;
use std::hash::RandomState;

use hashbrown::HashTable;

use crate::entry::Time;
use crate::limits;
use crate::xattr::{XattrId, XattrTable, Xattrs};

pub use resolve::LookupError;
pub(crate) use resolve::{Blocked, Entered, Missing, Place};
pub use walk::Walk;

/// "No such index" in the arenas below, which never grow to it.
const NONE: u32 = u32::MAX;

/// An inode of a [`Tree`]. Means something together with that tree only, and until the tree is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

impl InodeId {
    /// A number below [`Tree::inode_slots`], different for each inode: for tables beside the tree.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirentId(u32);

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dirent<'a> {
    /// The directory that the name is in.
    pub parent: InodeId,
    /// The name: 1 to 255 bytes, no slash, no NUL, neither `.` nor `..`.
    pub name: &'a [u8],
    /// What it leads to.
    pub inode: InodeId,
}

impl fmt::Debug for Dirent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} -> {}", self.parent.0, self.name.escape_ascii(), self.inode.0)
    }
}

/// What an inode is, with what only that kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The layer (counted from 0, the lowest) whose contents hold it.
        layer: u32,
        /// The handle within that layer.
        content: u32,
        /// Logical size in bytes, holes included.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What the link says, as it stood in the archive: 1 to 4,095 bytes.
        target: &'a [u8],
    },
    /// A character device.
    CharDevice {
        /// 12 bits.
        major: u32,
        /// 20 bits.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// 12 bits.
        major: u32,
        /// 20 bits.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Node<'_> {
    /// What to call it in a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Node::Directory => "a directory",
            Node::File { .. } => "a file",
            Node::Symlink { .. } => "a symlink",
            Node::CharDevice { .. } => "a character device",
            Node::BlockDevice { .. } => "a block device",
            Node::Fifo => "a fifo",
            Node::Socket => "a socket",
        }
    }
}

/// An inode: what all names that lead to it share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode<'a> {
    /// What it is.
    pub node: Node<'a>,
    /// Permissions, setuid, setgid and sticky: 12 bits. Symlinks always have 0777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the content.
    pub mtime: Time,
    /// Extended attributes, to be read with [`Tree::xattrs`].
    pub xattrs: XattrId,
    /// Names that lead to it: 1 for a directory (whatever is in it), 0 for the root.
    pub links: u32,
    /// The layer that its metadata comes from, counted from 0; `None` for a root that no layer has an entry for.
    pub layer: Option<u32>,
    /// Whether it is a directory that no entry describes: it is there because something is in it.
    pub implied: bool,
}

/// What an inode has, the kind apart; the form in which the merge hands it over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) xattrs: XattrId,
    pub(crate) layer: u16,
    pub(crate) implied: bool,
}

/// The tree cannot take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeFull {
    Names,
    Text,
}

/// [`Node`] as it is stored: 16 bytes.
#[derive(Debug, Clone, Copy)]
enum Body {
    /// Its own name (`NONE` for the root) and the first of the names in it (`NONE` when it is empty).
    Directory {
        name: u32,
        first: u32,
    },
    File {
        content: u32,
        size: u64,
    },
    /// A part of the text arena.
    Symlink {
        start: u32,
        length: u16,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
    Socket,
    /// An unused slot, and the next one.
    Free {
        next: u32,
    },
}

/// [`Inode`] as it is stored.
#[derive(Debug, Clone, Copy)]
struct InodeSlot {
    body: Body,
    seconds: i64,
    nanoseconds: u32,
    uid: u32,
    gid: u32,
    xattrs: XattrId,
    links: u32,
    /// `NO_LAYER` for a root without an entry.
    layer: u16,
    /// The 12 bits, and `IMPLIED`.
    mode: u16,
}

const NO_LAYER: u16 = u16::MAX;
const IMPLIED: u16 = 1 << 15;

const _: () = assert!(limits::LAYERS < NO_LAYER as usize);

/// [`Dirent`] as it is stored. An unused slot has its successor in `next`.
#[derive(Debug, Clone, Copy)]
struct DirentSlot {
    parent: u32,
    inode: u32,
    /// Where the name stands in the text arena: one byte that tells its length, then its bytes.
    name: u32,
    /// The neighbours among the names of the directory, in no order that means anything.
    next: u32,
    previous: u32,
}

/// What one entry costs beside its name; a change of these numbers must be a decision.
const _: () = assert!(size_of::<InodeSlot>() == 48 && size_of::<DirentSlot>() == 20);

/// Every name and inode of an image. Starts as an empty root.
///
/// ```
/// # use banger_layers::entry::{Entries, Entry, Kind, Time};
/// # use banger_layers::merge;
/// # use banger_layers::tree::{Node, Tree};
/// # use banger_layers::xattr::XattrId;
/// # let mtime = Time { seconds: 1, nanoseconds: 0 };
/// let mut layer = Entries::new();
/// let kind = Kind::File { content: 0, size: 42 };
/// layer.push(Entry { path: b"etc/motd", kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: XattrId::EMPTY })?;
///
/// let mut tree = Tree::new(mtime);
/// merge::apply(&mut tree, 0, &layer)?;
///
/// let names: Vec<&[u8]> = tree.walk().map(|dirent| dirent.name).collect();
/// assert_eq!(names, [&b"etc"[..], b"motd"]);
/// let motd = tree.inode(tree.lookup(b"/etc/motd")?);
/// assert_eq!(motd.node, Node::File { layer: 0, content: 0, size: 42 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tree {
    inodes: Vec<InodeSlot>,
    dirents: Vec<DirentSlot>,
    /// Names and symlink targets. What is removed leaves its text behind; slots are used again.
    text: Vec<u8>,
    free_inode: u32,
    free_dirent: u32,
    /// Names in use.
    names: usize,
    by_name: HashTable<u32>,
    /// Keyed by chance, so that nobody can prepare names that collide. The order in the table shows nowhere.
    hasher: RandomState,
    xattrs: XattrTable,
    /// How often a directory or symlink has gone: until it changes, ways once found stay right.
    detours: u64,
}

impl Tree {
    /// A tree with nothing but a root: mode 0755, owner 0:0, and `time`, until a layer has an entry for it.
    pub fn new(time: Time) -> Self {
        let root = InodeSlot {
            body: Body::Directory { name: NONE, first: NONE },
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
            uid: 0,
            gid: 0,
            xattrs: XattrId::EMPTY,
            links: 0,
            layer: NO_LAYER,
            mode: 0o755 | IMPLIED,
        };
        Self {
            inodes: vec![root],
            dirents: Vec::new(),
            text: Vec::new(),
            free_inode: NONE,
            free_dirent: NONE,
            names: 0,
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            xattrs: XattrTable::new(),
            detours: 0,
        }
    }

    /// The root directory.
    pub fn root(&self) -> InodeId {
        InodeId(0)
    }

    /// An inode of this tree.
    ///
    /// # Panics
    /// When `id` is of another tree, which is a mistake of the caller's.
    pub fn inode(&self, id: InodeId) -> Inode<'_> {
        let slot = self.slot(id);
        let node = match slot.body {
            // A slot in no use has no id; it reads as an empty directory, should a stale one be asked for.
            Body::Directory { .. } | Body::Free { .. } => Node::Directory,
            Body::File { content, size } => Node::File { layer: slot.layer.into(), content, size },
            Body::Symlink { start, length } => Node::Symlink { target: self.text_at(start, length.into()) },
            Body::CharDevice { major, minor } => Node::CharDevice { major, minor },
            Body::BlockDevice { major, minor } => Node::BlockDevice { major, minor },
            Body::Fifo => Node::Fifo,
            Body::Socket => Node::Socket,
        };
        Inode {
            node,
            mode: slot.mode & 0o7777,
            uid: slot.uid,
            gid: slot.gid,
            mtime: Time { seconds: slot.seconds, nanoseconds: slot.nanoseconds },
            xattrs: slot.xattrs,
            links: slot.links,
            layer: (slot.layer != NO_LAYER).then_some(slot.layer.into()),
            implied: slot.mode & IMPLIED != 0,
        }
    }

    /// The extended attributes of a set: pairs of full name and raw value, sorted by name.
    pub fn xattrs(&self, id: XattrId) -> Xattrs<'_> {
        self.xattrs.get(id)
    }

    pub(crate) fn xattr_table_mut(&mut self) -> &mut XattrTable {
        &mut self.xattrs
    }

    /// Number of names; the root has none.
    pub fn names(&self) -> usize {
        self.names
    }

    /// One more than the largest [`InodeId::index`]: how long a table beside the tree must be.
    pub fn inode_slots(&self) -> usize {
        self.inodes.len()
    }

    /// All inodes, the root first, then in an order that depends on the layers alone.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, Inode<'_>)> {
        (0u32..)
            .zip(&self.inodes)
            .filter(|(_, slot)| !matches!(slot.body, Body::Free { .. }))
            .map(|(index, _)| (InodeId(index), self.inode(InodeId(index))))
    }

    /// The contents that some file still has: layer and handle, each once. All others are superseded.
    pub fn contents(&self) -> impl Iterator<Item = (u32, u32)> {
        self.inodes.iter().filter_map(|slot| match slot.body {
            Body::File { content, .. } => Some((slot.layer.into(), content)),
            _ => None,
        })
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("names", &self.names).field("inode_slots", &self.inodes.len()).finish()
    }
}
