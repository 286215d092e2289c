//! The names of each directory, in the order in which its blocks hold them, and those blocks.
//!
//! A directory whose names fit in one block is that block, sorted by name. A larger one is a hash tree, built from the
//! bottom: names sorted by their hash fill one leaf after the other, the leaves' first hashes fill the index. One
//! sort, and no leaf is ever split. Leaves are filled to the brim, as most directories of an image never change.
//!
//! Names of equal hash may stand on both sides of the edge between two leaves; the index then says so.

use super::stream::BlockStream;
use super::tree::{Entry, NodeId, Payload, Tree};
use crate::Error;
use crate::layout::Run;
use crate::spec::dirent::{BlockBuilder, TAIL_BYTES, record_bytes};
use crate::spec::htree::{
    CONTINUED, Hash, HashVersion, Hasher, IndexEntry, Root, encode_node, encode_root, node_capacity, root_capacity,
};
use crate::spec::{BLOCK_BYTES, FileType, Seed};

/// Bytes of a block that hold names.
const ROOM: usize = BLOCK_BYTES - TAIL_BYTES;
/// Bytes of the records of `.` and `..`.
const DOTS: usize = record_bytes(1) + record_bytes(2);
/// Blocks that `lost+found` has at least, so that e2fsck can put files there without allocating: 16 KiB.
const LOST_FOUND_BLOCKS: u64 = 4;

/// The blocks that a directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Names in the order of a list, in the first block; others follow that hold none yet.
    Linear {
        /// Number of blocks.
        blocks: u64,
    },
    /// The root of a hash tree, then its other index nodes, then the leaves.
    Hashed {
        /// Index nodes between the root and the leaves; 0 if the root itself points to these.
        nodes: u64,
        /// Leaves.
        leaves: u64,
    },
}

impl Form {
    pub(super) const fn blocks(self) -> u64 {
        match self {
            Self::Linear { blocks } => blocks,
            Self::Hashed { nodes, leaves } => 1 + nodes + leaves,
        }
    }
}

/// The names of a tree by directory.
#[derive(Debug)]
pub(super) struct Directories<'a> {
    tree: &'a Tree,
    lost_found: NodeId,
    hasher: Hasher,
    /// Indexes of entries, those of one directory together.
    order: Vec<u32>,
    /// For each node, where its names begin in `order`; and where the last one's end.
    starts: Vec<u32>,
    /// For each directory, the one that it is in.
    parents: Vec<NodeId>,
}

impl<'a> Directories<'a> {
    /// Groups the names of `tree` and sorts those of each directory.
    pub(super) fn new(tree: &'a Tree, lost_found: NodeId, hash_seed: &[u8; 16]) -> Result<Self, Error> {
        let mut directories = Self {
            tree,
            lost_found,
            hasher: Hasher::new(HashVersion::HalfMd4, true, hash_seed),
            order: Vec::new(),
            starts: Vec::new(),
            parents: Vec::new(),
        };
        directories.group();
        let mut order = std::mem::take(&mut directories.order);
        for (index, node) in tree.nodes().iter().enumerate() {
            if node.payload == Payload::Directory {
                let (start, end) = directories.range(index);
                if let Some(names) = order.get_mut(start..end) {
                    directories.sort(names)?;
                }
            }
        }
        directories.order = order;
        Ok(directories)
    }

    /// Fills `order`, `starts` and `parents`: a counting sort.
    #[expect(clippy::indexing_slicing, reason = "the tree made all indexes itself")]
    fn group(&mut self) {
        let (nodes, entries) = (self.tree.nodes(), self.tree.entries());
        let mut next = vec![0_u32; nodes.len() + 1];
        let mut parents = vec![NodeId::ROOT; nodes.len()];
        for entry in entries {
            next[entry.parent.0 as usize + 1] += 1;
            parents[entry.node.0 as usize] = entry.parent;
        }
        for index in 1..next.len() {
            next[index] += next[index - 1];
        }
        self.starts.clone_from(&next);
        self.order = vec![0; entries.len()];
        for (index, entry) in (0_u32..).zip(entries) {
            let at = &mut next[entry.parent.0 as usize];
            self.order[*at as usize] = index;
            *at += 1;
        }
        self.parents = parents;
    }

    fn range(&self, node: usize) -> (usize, usize) {
        let at = |index: usize| self.starts.get(index).map_or(0, |&start| start as usize);
        (at(node), at(node + 1))
    }

    fn entry(&self, index: u32) -> Option<&'a Entry> {
        self.tree.entries().get(index as usize)
    }

    fn name(&self, index: u32) -> &'a [u8] {
        self.entry(index).map_or(&[], |entry| self.tree.name(entry))
    }

    /// Sorts the names of one directory as its blocks will hold them, and refuses equal ones.
    fn sort(&self, names: &mut [u32]) -> Result<(), Error> {
        if is_linear(names.iter().map(|&index| self.name(index))) {
            names.sort_unstable_by_key(|&index| self.name(index));
        } else {
            let mut hashed: Vec<(Hash, u32)> =
                names.iter().map(|&index| (self.hasher.hash(self.name(index)), index)).collect();
            hashed.sort_unstable_by(|(one, first), (other, second)| {
                one.cmp(other).then_with(|| self.name(*first).cmp(self.name(*second)))
            });
            for (place, (_, index)) in names.iter_mut().zip(hashed) {
                *place = index;
            }
        }
        for (one, other) in names.iter().zip(names.iter().skip(1)) {
            let name = self.name(*one);
            if name == self.name(*other) {
                let parent = self.entry(*one).map_or(NodeId::ROOT, |entry| entry.parent);
                let mut path = self.tree.path(parent);
                if parent != NodeId::ROOT {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
                return Err(Error::DuplicateName { path });
            }
        }
        Ok(())
    }

    /// The entries of a directory, in the order of its blocks.
    fn entries(&self, directory: NodeId) -> impl Iterator<Item = &'a Entry> {
        let (start, end) = self.range(directory.0 as usize);
        self.order.get(start..end).unwrap_or_default().iter().filter_map(|&index| self.entry(index))
    }

    /// The blocks that a directory needs.
    pub(super) fn form(&self, directory: NodeId) -> Result<Form, Error> {
        let names = || self.entries(directory).map(|entry| self.tree.name(entry));
        if is_linear(names()) {
            let blocks = if directory == self.lost_found { LOST_FOUND_BLOCKS } else { 1 };
            return Ok(Form::Linear { blocks });
        }
        let mut leaves = 1;
        let mut used = 0;
        for name in names() {
            let bytes = record_bytes(name.len());
            if used + bytes > ROOM {
                leaves += 1;
                used = 0;
            }
            used += bytes;
        }
        if leaves <= ROOT_CAPACITY {
            return Ok(Form::Hashed { nodes: 0, leaves });
        }
        let nodes = leaves.div_ceil(NODE_CAPACITY);
        if nodes > ROOT_CAPACITY {
            return Err(Error::DirectoryTooLarge { path: self.tree.path(directory) });
        }
        Ok(Form::Hashed { nodes, leaves })
    }

    /// Writes the blocks of a directory of this form into `runs`. `seed` is its inode's; `inode` tells the inode of
    /// a node.
    pub(super) fn write(
        &self,
        directory: NodeId,
        form: Form,
        runs: &[Run],
        seed: Seed,
        inode: impl Fn(NodeId) -> u32,
        stream: &mut BlockStream<'_>,
    ) -> Result<(), Error> {
        let parent = self.parents.get(directory.0 as usize).copied().unwrap_or(NodeId::ROOT);
        let (own, parent) = (inode(directory), inode(parent));
        let mut numbers = runs.iter().flat_map(|run| run.start..run.end());
        let mut next = || numbers.next().ok_or(Error::Misuse("a directory has fewer blocks than planned"));
        let record = |entry: &Entry| {
            let kind = self.tree.nodes().get(entry.node.0 as usize).map_or(FileType::Regular, |node| node.file_type());
            (inode(entry.node), kind, self.tree.name(entry))
        };
        match form {
            Form::Linear { blocks } => {
                let mut block = BlockBuilder::new(stream.block(next()?)?);
                let mut fits = block.push(own, FileType::Directory, b".");
                fits &= block.push(parent, FileType::Directory, b"..");
                for (inode, kind, name) in self.entries(directory).map(record) {
                    fits &= block.push(inode, kind, name);
                }
                debug_assert!(fits, "the form was chosen so that all fits");
                block.finish(seed);
                for _ in 1..blocks {
                    BlockBuilder::new(stream.block(next()?)?).finish(seed);
                }
            }
            Form::Hashed { nodes, leaves } => {
                let index = self.leaf_index(directory, 1 + nodes);
                debug_assert_eq!(index.len() as u64, leaves, "as many leaves as counted");
                let groups: Vec<&[IndexEntry]> = index.chunks(node_capacity(BLOCK_BYTES)).collect();
                let root = Root {
                    hash_version: HashVersion::HalfMd4 as u8,
                    levels: u8::from(nodes > 0),
                    entries: if nodes == 0 {
                        index.clone()
                    } else {
                        let firsts = groups.iter().filter_map(|group| group.first());
                        firsts.zip(1..).map(|(first, block)| IndexEntry { hash: first.hash, block }).collect()
                    },
                };
                encode_root(own, parent, &root, seed, stream.block(next()?)?);
                if nodes > 0 {
                    for group in groups {
                        encode_node(group, seed, stream.block(next()?)?);
                    }
                }
                let mut records = self.entries(directory).map(record).peekable();
                while records.peek().is_some() {
                    let mut leaf = BlockBuilder::new(stream.block(next()?)?);
                    while records.next_if(|&(inode, kind, name)| leaf.push(inode, kind, name)).is_some() {}
                    leaf.finish(seed);
                }
            }
        }
        Ok(())
    }

    /// The index of the leaves of a directory, of which the first is the directory's block `first`.
    fn leaf_index(&self, directory: NodeId, first: u64) -> Vec<IndexEntry> {
        let mut index: Vec<IndexEntry> = Vec::new();
        let (mut used, mut before) = (ROOM, None);
        for name in self.entries(directory).map(|entry| self.tree.name(entry)) {
            let bytes = record_bytes(name.len());
            if used + bytes > ROOM {
                let hash = self.hasher.hash(name).major;
                let continues = before.is_some_and(|name| self.hasher.hash(name).major == hash);
                let block = u32::try_from(first + index.len() as u64).unwrap_or(u32::MAX);
                index.push(IndexEntry { hash: if continues { hash | CONTINUED } else { hash }, block });
                used = 0;
            }
            used += bytes;
            before = Some(name);
        }
        index
    }
}

/// Entries of the root of a hash tree.
const ROOT_CAPACITY: u64 = root_capacity(BLOCK_BYTES) as u64;
/// Entries of another node of a hash tree.
const NODE_CAPACITY: u64 = node_capacity(BLOCK_BYTES) as u64;

/// Whether a directory with these names fits in one block.
fn is_linear<'b>(names: impl Iterator<Item = &'b [u8]>) -> bool {
    let mut used = DOTS;
    for name in names {
        used += record_bytes(name.len());
        if used > ROOM {
            return false;
        }
    }
    true
}
