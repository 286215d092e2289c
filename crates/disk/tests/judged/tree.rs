//! Random trees as a model, and images of them by our own writer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use banger_ext4::spec::inode::Timestamp;
use banger_ext4::write::{Content, Image, Kind, Node, NodeId, Options, Xattrs};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What a path can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Thing {
    Directory,
    /// Pieces: data of one byte, or a hole.
    File(Vec<(Option<u8>, usize)>),
    Symlink(Vec<u8>),
    Device(u32, u32),
    Fifo,
}

/// An inode.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inode {
    pub(crate) thing: Thing,
    pub(crate) mode: u16,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Inode {
    /// The bytes of a file.
    pub(crate) fn content(&self) -> Vec<u8> {
        let Thing::File(pieces) = &self.thing else { return Vec::new() };
        pieces.iter().flat_map(|&(byte, len)| vec![byte.unwrap_or(0); len]).collect()
    }
}

/// A tree: paths in the order of a walk, as lists of names, and what they are the names of.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) paths: BTreeMap<Vec<Vec<u8>>, usize>,
    pub(crate) inodes: Vec<Inode>,
}

impl Model {
    /// All names of an inode, in order.
    pub(crate) fn names(&self, inode: usize) -> Vec<&Vec<Vec<u8>>> {
        self.paths.iter().filter(|(_, other)| **other == inode).map(|(path, _)| path).collect()
    }

    /// Writes an image of it.
    pub(crate) fn image(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let image = Image::new(file, directory);
        let mut writer = image.content();
        writer.place(0).unwrap();
        let contents: Vec<Option<u32>> = self.inodes.iter().map(|inode| content(&mut writer, &inode.thing)).collect();
        let segment = writer.done().unwrap();

        let mut tree = banger_ext4::write::Tree::new(node(&self.inodes[0], Kind::Directory));
        let mut root = node(&self.inodes[0], Kind::Directory);
        root.xattrs = xattrs(&mut tree, &self.inodes[0]);
        tree.set_root(root);
        let mut nodes: Vec<Option<NodeId>> = vec![None; self.inodes.len()];
        nodes[0] = Some(NodeId::ROOT);
        for (path, &number) in self.paths.iter().filter(|(path, _)| !path.is_empty()) {
            let (name, parent) = path.split_last().unwrap();
            let parent = nodes[self.paths[parent]].unwrap();
            if let Some(known) = nodes[number] {
                tree.link(parent, name, known).unwrap();
                continue;
            }
            let inode = &self.inodes[number];
            let kind = match &inode.thing {
                Thing::Directory => Kind::Directory,
                Thing::File(_) => {
                    Kind::File(contents[number].map_or(Content::EMPTY, |index| Content { segment: 0, index }))
                }
                Thing::Symlink(target) => Kind::Symlink(target),
                Thing::Device(major, minor) => Kind::CharDevice { major: *major, minor: *minor },
                Thing::Fifo => Kind::Fifo,
            };
            let mut node = node(inode, kind);
            node.xattrs = xattrs(&mut tree, inode);
            nodes[number] = Some(tree.add(parent, name, node).unwrap());
        }
        let options = Options { uuid: *b"0123456789abcdef", ..Options::default() };
        image.finish(tree, &[segment], &options).unwrap();
        path
    }
}

fn content(writer: &mut banger_ext4::write::ContentWriter, thing: &Thing) -> Option<u32> {
    let Thing::File(pieces) = thing else { return None };
    if pieces.iter().all(|(_, len)| *len == 0) {
        return None;
    }
    writer.begin().unwrap();
    for &(byte, len) in pieces {
        match byte {
            Some(byte) => writer.write(&vec![byte; len]).unwrap(),
            None => writer.skip(len as u64).unwrap(),
        }
    }
    Some(writer.finish().unwrap())
}

fn xattrs(tree: &mut banger_ext4::write::Tree, inode: &Inode) -> Xattrs {
    tree.xattrs(inode.xattrs.iter().map(|(name, value)| (&name[..], &value[..]))).unwrap()
}

fn node<'a>(inode: &Inode, kind: Kind<'a>) -> Node<'a> {
    Node {
        kind,
        mode: inode.mode,
        uid: inode.owner.0,
        gid: inode.owner.1,
        mtime: Timestamp { seconds: inode.mtime.0, nanoseconds: inode.mtime.1 },
        xattrs: Xattrs::NONE,
    }
}

fn inode(thing: Thing) -> impl Strategy<Value = Inode> {
    let id = || prop_oneof![3 => Just(0_u32), 1 => 1..70_000_u32, 1 => (1_u32 << 21) - 1..u32::MAX];
    let xattrs = btree_map(
        select(vec![&b"user.a"[..], b"user.with\nnewline", b"trusted.%41", b"security.x"]).prop_map(<[u8]>::to_vec),
        prop_oneof![Just(b"same".to_vec()), vec(any::<u8>(), 0..300)],
        0..3,
    );
    // Links and special files take attributes of some kinds only.
    let plain = matches!(thing, Thing::Directory | Thing::File(_));
    let xattrs = if plain { xattrs.boxed() } else { Just(BTreeMap::new()).boxed() };
    let xattrs = prop_oneof![3 => Just(BTreeMap::new()), 1 => xattrs];
    let mode = if matches!(thing, Thing::Symlink(_)) {
        Just(0o777).boxed()
    } else {
        select(vec![0o644, 0o755, 0o4711, 0o1777, 0]).boxed()
    };
    let seconds = prop_oneof![Just(1_700_000_000_i64), -2_000_000_000..10_000_000_000_i64];
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000_u32];
    (Just(thing), mode, (id(), id()), (seconds, nanoseconds), xattrs)
        .prop_map(|(thing, mode, owner, mtime, xattrs)| Inode { thing, mode, owner, mtime, xattrs })
}

fn thing() -> impl Strategy<Value = Thing> {
    let len = prop_oneof![3 => 1..200_usize, 2 => Just(4096), 1 => 1..200_000_usize];
    let piece = (prop_oneof![3 => (0..3_u8).prop_map(Some), 1 => Just(None)], len);
    prop_oneof![
        3 => Just(Thing::Directory),
        5 => vec(piece, 0..4).prop_map(Thing::File),
        1 => select(vec![&b"a"[..], b"../b", &[b'l'; 150], &[0xff; 101]]).prop_map(|target| Thing::Symlink(target.to_vec())),
        1 => (0..2_u32, 0..70_000_u32).prop_map(|(major, minor)| Thing::Device(major, minor)),
        1 => Just(Thing::Fifo),
    ]
}

/// Trees with few different names, so that two of them have much in common. Some names are long, or no text.
pub(crate) fn model() -> impl Strategy<Value = Model> {
    let name = prop_oneof![
        8 => select(vec![&b"a"[..], b"b", b"a.b", b"a b", b"-"]).prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'n'; 120]),
        1 => Just(vec![0xe9; 130]),
    ];
    // What is one name of something, or another name of what is there already.
    let step = (
        any::<Index>(),
        name,
        prop_oneof![5 => Just(None), 1 => any::<Index>().prop_map(Some)],
        thing().prop_flat_map(inode),
    );
    (inode(Thing::Directory), vec(step, 0..40)).prop_map(|(root, steps)| {
        let mut model = Model { paths: BTreeMap::from([(Vec::new(), 0)]), inodes: vec![root] };
        for (parent, name, link, inode) in steps {
            let is_directory = |number: usize| model.inodes[number].thing == Thing::Directory;
            let directories: Vec<_> = model.paths.iter().filter(|(_, number)| is_directory(**number)).collect();
            let mut path = parent.get(&directories).0.clone();
            let others: Vec<usize> = model.paths.values().copied().filter(|number| !is_directory(*number)).collect();
            path.push(name);
            if model.paths.contains_key(&path) {
                continue;
            }
            let number = match link {
                Some(link) if !others.is_empty() => *link.get(&others),
                _ => {
                    model.inodes.push(inode);
                    model.inodes.len() - 1
                }
            };
            model.paths.insert(path, number);
        }
        model
    })
}
