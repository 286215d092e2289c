//! Random trees go through the writer, and come back from the crate's reader and from another one as they went in;
//! e2fsck finds nothing in any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use crate::common::{Bench, noise, options};
use banger_ext4::read::Reader;
use banger_ext4::spec::FileType;
use banger_ext4::spec::inode::Timestamp;
use banger_ext4::write::{Content, ContentWriter, Kind, Node, NodeId, Options, Segment, Tree};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A piece of a file.
#[derive(Clone, Debug)]
enum Piece {
    Data { seed: u64, len: usize },
    Zeros(usize),
    Hole(u64),
}

#[derive(Clone, Debug)]
enum Thing {
    Directory,
    /// So many empty files in a directory of their own, with names of this length.
    Crowd {
        count: usize,
        name_len: usize,
    },
    File(Vec<Piece>),
    /// A content that no file has in the end.
    Dead(Vec<Piece>),
    Symlink(Vec<u8>),
    Device {
        block: bool,
        major: u32,
        minor: u32,
    },
    Fifo,
    Socket,
    /// Another name of what an earlier step made.
    Link(Index),
    /// What follows is of another segment.
    NextSegment,
}

#[derive(Clone, Debug)]
struct Step {
    parent: Index,
    name: Vec<u8>,
    thing: Thing,
    mode: u16,
    uid: u32,
    gid: u32,
    seconds: i64,
    nanoseconds: u32,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => (any::<u64>(), prop_oneof![1..100_usize, Just(4096), 1..20_000_usize, 1..300_000_usize])
            .prop_map(|(seed, len)| Piece::Data { seed, len }),
        1 => prop_oneof![1..9000_usize, Just(4096), 1..200_000_usize].prop_map(Piece::Zeros),
        1 => prop_oneof![1..9000_u64, Just(4096), 1..2_000_000_u64].prop_map(Piece::Hole),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    prop_oneof![
        8 => vec(piece(), 0..4),
        1 => vec(prop_oneof![Just(Piece::Data { seed: 3, len: 4096 }), Just(Piece::Hole(4096))], 0..1200),
    ]
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        6 => Just(Thing::Directory),
        10 => pieces().prop_map(Thing::File),
        3 => pieces().prop_map(Thing::Dead),
        3 => prop_oneof![vec(1..=255_u8, 1..70), vec(1..=255_u8, 58..62), vec(1..=255_u8, 1..4096)]
            .prop_map(Thing::Symlink),
        1 => (any::<bool>(), 0..4096_u32, 0..1_048_576_u32)
            .prop_map(|(block, major, minor)| Thing::Device { block, major, minor }),
        1 => (any::<bool>(), 0..256_u32, 0..256_u32)
            .prop_map(|(block, major, minor)| Thing::Device { block, major, minor }),
        1 => Just(Thing::Fifo),
        1 => Just(Thing::Socket),
        4 => any::<Index>().prop_map(Thing::Link),
        1 => (1..900_usize, 4..255_usize).prop_map(|(count, name_len)| Thing::Crowd { count, name_len }),
        1 => Just(Thing::NextSegment),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = (1..=255_u8).prop_map(|byte| if byte == b'/' { b'_' } else { byte });
    prop_oneof![
        6 => "[a-zA-Z0-9._-]{3,20}".prop_map(String::into_bytes),
        1 => vec(byte.clone(), 3..=255),
        1 => vec(byte, 255),
    ]
}

fn xattrs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = ("(user|trusted|security)\\.", "[a-z.]{1,30}").prop_map(|(a, b)| (a + &b).into_bytes());
    let value = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..700)];
    prop_oneof![3 => Just(Vec::new()), 1 => vec((name, value), 0..5)]
}

fn step() -> impl Strategy<Value = Step> {
    let id = prop_oneof![Just(0), 0..70_000_u32, any::<u32>()];
    // e2fsck takes the years 2310 to 2378 for years before 1970, as kernels before 3.14 wrote these, and complains.
    let seconds =
        prop_oneof![0..4_000_000_000_i64, Timestamp::MIN_SECONDS..10_737_418_240, 3_i64 << 32..=Timestamp::MAX_SECONDS];
    (any::<Index>(), name(), thing(), 0..0o10_000_u16, (id.clone(), id), seconds, 0..1_000_000_000_u32, xattrs())
        .prop_map(|(parent, name, thing, mode, (uid, gid), seconds, nanoseconds, xattrs)| {
            let xattrs: BTreeMap<_, _> = xattrs.into_iter().collect();
            let xattrs = xattrs.into_iter().collect();
            Step { parent, name, thing, mode, uid, gid, seconds, nanoseconds, xattrs }
        })
}

/// What a name should mean.
#[derive(Clone, Debug)]
struct Expected {
    node: NodeId,
    kind: FileType,
    device: Option<(u32, u32)>,
    /// Content or link target.
    bytes: Vec<u8>,
    step: Option<Step>,
}

/// A tree as it is built, and what it should come back as.
struct Model {
    tree: Tree,
    /// Directories with their paths, which end in a slash.
    directories: Vec<(NodeId, Vec<u8>)>,
    /// All but directories.
    others: Vec<Expected>,
    expected: BTreeMap<Vec<u8>, Expected>,
    links: BTreeMap<NodeId, u16>,
    subdirectories: BTreeMap<NodeId, u16>,
}

impl Model {
    fn new() -> Self {
        Self {
            tree: crate::common::tree(),
            directories: vec![(NodeId::ROOT, b"/".to_vec())],
            others: Vec::new(),
            expected: BTreeMap::new(),
            links: BTreeMap::new(),
            subdirectories: BTreeMap::new(),
        }
    }

    fn add(&mut self, step: &Step, kind: Kind<'_>, expected: (FileType, Option<(u32, u32)>, Vec<u8>)) {
        let (parent, at) = step.parent.get(&self.directories).clone();
        let path = [&at[..], &step.name].concat();
        if self.expected.contains_key(&path) || path == b"/lost+found" {
            return;
        }
        let pairs = step.xattrs.iter().map(|(name, value)| (&name[..], &value[..]));
        let node = Node {
            kind,
            mode: step.mode,
            uid: step.uid,
            gid: step.gid,
            mtime: Timestamp { seconds: step.seconds, nanoseconds: step.nanoseconds },
            xattrs: self.tree.xattrs(pairs).unwrap(),
        };
        let node = self.tree.add(parent, &step.name, node).unwrap();
        let (kind, device, bytes) = expected;
        let expected = Expected { node, kind, device, bytes, step: Some(step.clone()) };
        self.links.insert(node, 1);
        if kind == FileType::Directory {
            self.directories.push((node, [&path[..], b"/"].concat()));
            *self.subdirectories.entry(parent).or_default() += 1;
        } else {
            self.others.push(expected.clone());
        }
        self.expected.insert(path, expected);
    }

    fn link(&mut self, step: &Step, target: Index) {
        if self.others.is_empty() {
            return;
        }
        let target = target.get(&self.others).clone();
        let (parent, at) = step.parent.get(&self.directories).clone();
        let path = [&at[..], &step.name].concat();
        if self.expected.contains_key(&path) {
            return;
        }
        self.tree.link(parent, &step.name, target.node).unwrap();
        *self.links.entry(target.node).or_default() += 1;
        self.expected.insert(path, target);
    }
}

fn write(writer: &mut ContentWriter, pieces: &[Piece]) -> (u32, Vec<u8>) {
    let mut bytes = Vec::new();
    writer.begin().unwrap();
    for piece in pieces {
        let data = match *piece {
            Piece::Data { seed, len } => noise(seed, len),
            Piece::Zeros(len) => vec![0; len],
            Piece::Hole(len) => {
                writer.skip(len).unwrap();
                bytes.resize(bytes.len() + len as usize, 0);
                continue;
            }
        };
        writer.write(&data).unwrap();
        bytes.extend(data);
    }
    (writer.finish().unwrap(), bytes)
}

/// Builds the tree of `steps` in an image.
fn build(bench: &Bench, steps: &[Step]) -> (Model, Vec<Segment>) {
    let mut model = Model::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut base = 0;
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    for step in steps {
        let segment = segments.len() as u32;
        match &step.thing {
            Thing::Directory => model.add(step, Kind::Directory, (FileType::Directory, None, vec![])),
            Thing::Crowd { count, name_len } => {
                model.add(step, Kind::Directory, (FileType::Directory, None, vec![]));
                let parent = model.directories.last().unwrap().clone();
                for number in 0..*count {
                    let name = format!("{number:0>name_len$}").into_bytes();
                    let path = [&parent.1[..], &name].concat();
                    if model.expected.contains_key(&path) || path == b"/lost+found" {
                        continue;
                    }
                    let node =
                        model.tree.add(parent.0, &name, crate::common::node(Kind::File(Content::EMPTY))).unwrap();
                    model.links.insert(node, 1);
                    let expected = Expected { node, kind: FileType::Regular, device: None, bytes: vec![], step: None };
                    model.expected.insert(path, expected);
                }
            }
            Thing::File(pieces) => {
                let (index, bytes) = write(&mut writer, pieces);
                model.add(step, Kind::File(Content { segment, index }), (FileType::Regular, None, bytes));
            }
            Thing::Dead(pieces) => {
                write(&mut writer, pieces);
            }
            Thing::Symlink(target) => {
                model.add(step, Kind::Symlink(target), (FileType::Symlink, None, target.clone()));
            }
            &Thing::Device { block: true, major, minor } => {
                let device = Some((major, minor));
                model.add(step, Kind::BlockDevice { major, minor }, (FileType::BlockDevice, device, vec![]));
            }
            &Thing::Device { block: false, major, minor } => {
                let device = Some((major, minor));
                model.add(step, Kind::CharDevice { major, minor }, (FileType::CharDevice, device, vec![]));
            }
            Thing::Fifo => model.add(step, Kind::Fifo, (FileType::Fifo, None, vec![])),
            Thing::Socket => model.add(step, Kind::Socket, (FileType::Socket, None, vec![])),
            Thing::Link(target) => model.link(step, *target),
            Thing::NextSegment => {
                let mut done = std::mem::replace(&mut writer, bench.image.content()).done().unwrap();
                if done.base().is_none() {
                    done.place(base).unwrap();
                }
                base += done.blocks();
                segments.push(done);
                if step.mode % 2 == 0 {
                    writer.place(base).unwrap();
                }
            }
        }
    }
    let mut done = writer.done().unwrap();
    if done.base().is_none() {
        done.place(base).unwrap();
    }
    segments.push(done);
    (model, segments)
}

fn check_with_reader(bench: &Bench, model: &Model) {
    let reader = Reader::open(File::open(&bench.path).unwrap()).unwrap();
    let mut inodes: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for entry in reader.walk(2) {
        let entry = entry.unwrap();
        let path = [b"/", &entry.path[..]].concat();
        let stat = entry.stat;
        if path == b"/" || path == b"/lost+found" {
            continue;
        }
        let shown = path.escape_ascii();
        let expected = model.expected.get(&path).unwrap_or_else(|| panic!("{shown} came from nowhere"));
        assert!(seen.insert(path.clone()), "{shown} is there twice");
        assert_eq!(stat.file_type, expected.kind, "{shown}");
        assert_eq!(stat.device, expected.device, "{shown}");
        let links = if expected.kind == FileType::Directory {
            2 + model.subdirectories.get(&expected.node).copied().unwrap_or(0)
        } else {
            model.links[&expected.node]
        };
        assert_eq!(stat.links, links, "{shown}");
        assert_eq!(*inodes.entry(expected.node).or_insert(stat.number), stat.number, "{shown}");
        if let Some(step) = &expected.step {
            assert_eq!((stat.mode & 0o7777, stat.uid, stat.gid), (step.mode, step.uid, step.gid), "{shown}");
            let time = Timestamp { seconds: step.seconds, nanoseconds: step.nanoseconds };
            assert_eq!([stat.mtime, stat.atime, stat.ctime, stat.crtime], [time; 4], "{shown}");
            let xattrs: BTreeMap<_, _> =
                reader.xattrs(stat.number).unwrap().into_iter().map(|xattr| (xattr.name, xattr.value)).collect();
            assert_eq!(xattrs, step.xattrs.iter().cloned().collect(), "{shown}");
        }
        match expected.kind {
            FileType::Regular => {
                let mut bytes = Vec::new();
                reader.copy_to(stat.number, &mut bytes).unwrap();
                assert!(bytes == expected.bytes, "content of {shown}");
            }
            FileType::Symlink => assert_eq!(reader.read_link(stat.number).unwrap(), expected.bytes, "{shown}"),
            _ => {}
        }
    }
    assert_eq!(seen.len(), model.expected.len());
    let distinct: BTreeSet<&u32> = inodes.values().collect();
    assert_eq!(distinct.len(), inodes.len(), "two nodes have one inode");
}

/// A file, for the other reader.
struct Bytes(File);

impl ext4_view::Ext4Read for Bytes {
    fn read(&mut self, at: u64, to: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(std::os::unix::fs::FileExt::read_exact_at(&self.0, to, at)?)
    }
}

fn check_with_other_reader(bench: &Bench, model: &Model) {
    let other = ext4_view::Ext4::load(Box::new(Bytes(File::open(&bench.path).unwrap()))).unwrap();
    for (path, expected) in &model.expected {
        let shown = path.escape_ascii();
        let path = ext4_view::Path::new(path);
        let metadata = other.symlink_metadata(path).unwrap_or_else(|error| panic!("{shown}: {error}"));
        if let Some(step) = &expected.step {
            assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (step.mode, step.uid, step.gid));
        }
        match expected.kind {
            FileType::Regular => assert!(other.read(path).unwrap() == expected.bytes, "content of {shown}"),
            // It takes only targets that are paths to it: not those with a component of more than 255 bytes.
            FileType::Symlink if ext4_view::Path::try_from(&expected.bytes[..]).is_err() => {}
            FileType::Symlink => assert_eq!(other.read_link(path).unwrap().as_ref(), expected.bytes, "{shown}"),
            FileType::Directory => {
                assert_eq!(other.read_dir(path).unwrap().filter(|entry| entry.is_err()).count(), 0, "{shown}");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn trees_come_back(
        mut steps in vec(step(), 0..120),
        size in prop_oneof![Just(None), (100_u64 << 20..400 << 20).prop_map(Some)],
        all_times in any::<bool>(),
    ) {
        if !all_times {
            // The other reader refuses images with times whose 32-bit part is negative.
            for step in &mut steps {
                step.seconds = step.seconds.rem_euclid(1 << 31);
            }
        }
        let bench = Bench::new();
        let (mut model, segments) = build(&bench, &steps);
        let tree = std::mem::replace(&mut model.tree, crate::common::tree());
        bench.finish(tree, &segments, &Options { size, ..options() });
        check_with_reader(&bench, &model);
        if !all_times {
            check_with_other_reader(&bench, &model);
        }
    }
}
