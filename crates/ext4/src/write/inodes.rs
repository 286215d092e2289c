//! Writes every inode and the blocks that hang on it, in the order of the inodes' numbers.
//!
//! Numbers follow the tree: the root is 2, `lost+found` 11, and from 12 on the nodes have the order in which they
//! were added. Reserved inodes that mean nothing are left zero.

use super::directories::{Directories, Form};
use super::extents::{NO_SPACE, build, from_runs};
use super::image::{BLOCK, Image};
use super::live::{Live, Places};
use super::plan::{Demand, Plan};
use super::stream::{BlockStream, InodeStream};
use super::tree::{NodeId, Payload, Stored, Tree};
use super::xattrs::{SHARED_MAX, XattrSets};
use crate::Error;
use crate::layout::Run;
use crate::layout::geometry::{BLOCKS_PER_GROUP, DESCRIPTOR_AREA, head_groups, heads};
use crate::layout::size::Shape;
use crate::layout::space::FreeSpace;
use crate::spec::inode::{BODY_XATTR_BYTES, I_BLOCK_BYTES, Inode, Timestamp, encode_device, flags};
use crate::spec::journal::JournalSuperblock;
use crate::spec::{
    BLOCK_BYTES, BLOCK_SIZE, FAST_SYMLINK_MAX, FileType, LINK_MAX, SECTOR_BYTES, Seed, inode_number, xattr,
};

/// Sectors of a block, in which `i_blocks` counts.
const SECTORS: u64 = BLOCK / SECTOR_BYTES;
/// Block numbers in an indirect block.
const INDIRECT: u64 = BLOCK / 4;
/// Block numbers in the inode that are direct.
const DIRECT: u64 = 12;
/// Index in `i_block` of the double indirect block.
const DOUBLE_INDIRECT: usize = 13;
/// Mode of the inodes that no name leads to.
const HIDDEN_MODE: u16 = 0o600;

/// What the superblock and the group descriptors must know of the inodes.
#[derive(Debug)]
pub(super) struct Written {
    /// Inodes in use: 1 to this number.
    pub(super) inodes: u64,
    /// Directories in each group.
    pub(super) directories: Vec<u32>,
    /// The journal's inode.
    pub(super) journal: Inode,
}

/// The number of a node's inode.
pub(super) fn number(node: NodeId, lost_found: NodeId) -> u32 {
    if node == NodeId::ROOT {
        inode_number::ROOT
    } else if node == lost_found {
        inode_number::LOST_FOUND
    } else {
        // The root has a lower number, and so has `lost+found`.
        inode_number::FIRST + node.0 - u32::from(node > lost_found)
    }
}

/// Writes all inodes and their blocks, except contents.
pub(super) struct Writer<'a> {
    pub(super) image: &'a Image,
    pub(super) tree: &'a Tree,
    pub(super) live: &'a Live<'a>,
    pub(super) directories: &'a Directories<'a>,
    pub(super) demand: &'a Demand,
    pub(super) lost_found: NodeId,
    pub(super) uuid: [u8; 16],
    /// Time of the inodes that are not the tree's.
    pub(super) time: Timestamp,
}

/// What changes while inodes are written.
struct State<'a> {
    places: &'a Places,
    shape: Shape,
    space: &'a mut FreeSpace,
    blocks: BlockStream<'a>,
    inodes: InodeStream<'a>,
    /// Bytes in the inode of each set of extended attributes.
    bodies: Vec<[u8; BODY_XATTR_BYTES]>,
    /// Of each set, the block that is being shared, how many more may, and how many have none yet.
    shared: Vec<Shared>,
    directories: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Shared {
    block: u64,
    left: u32,
    without: u32,
}

impl Writer<'_> {
    /// Writes them as `plan` says, whose free space is less after.
    pub(super) fn write(&self, plan: &mut Plan) -> Result<Written, Error> {
        let seed = Seed::filesystem(&self.uuid);
        let sets = &self.tree.xattrs;
        let mut state = State {
            places: &plan.places,
            shape: plan.shape,
            space: &mut plan.space,
            blocks: BlockStream::new(self.image),
            inodes: InodeStream::new(self.image, &plan.tables, plan.shape.inodes_per_group),
            bodies: (0..sets.len()).map(|set| sets.body(set)).collect(),
            shared: self
                .demand
                .xattr_users
                .iter()
                .enumerate()
                .map(|(set, &users)| Shared {
                    without: if sets.needs_block(set) { users } else { 0 },
                    ..Shared::default()
                })
                .collect(),
            directories: (0..plan.shape.groups).map(|_| 0).collect(),
        };
        self.node(NodeId::ROOT, seed, &mut state)?;
        self.resize(plan.resize, seed, &mut state)?;
        let journal = self.journal(&plan.journal, seed, &mut state)?;
        self.node(self.lost_found, seed, &mut state)?;
        for index in (1..).take(self.tree.len() - 1).map(NodeId).filter(|&node| node != self.lost_found) {
            self.node(index, seed, &mut state)?;
        }
        state.blocks.flush()?;
        state.inodes.flush()?;
        Ok(Written { inodes: self.demand.inodes, directories: state.directories, journal })
    }

    /// Writes a node's inode and blocks.
    fn node(&self, id: NodeId, seed: Seed, state: &mut State<'_>) -> Result<(), Error> {
        let node = self.tree.nodes().get(id.0 as usize).ok_or(Error::Misuse("a node is missing"))?;
        let number = number(id, self.lost_found);
        let own = seed.inode(number, 0);
        let mut inode = Inode {
            mode: node.file_type().mode_bits() | node.mode,
            uid: node.uid,
            gid: node.gid,
            links: links(node),
            ..self.blank(node.mtime)
        };
        match node.payload {
            Payload::Directory => {
                let form = self.directories.form(id)?;
                let runs = state.space.take(form.blocks()).ok_or(NO_SPACE)?;
                let inode_of = |node| self::number(node, self.lost_found);
                self.directories.write(id, form, &runs, own, inode_of, &mut state.blocks)?;
                if matches!(form, Form::Hashed { .. }) {
                    inode.flags |= flags::INDEX;
                }
                inode.size = form.blocks() * BLOCK;
                state.map(&mut inode, form.blocks(), from_runs(0, runs), own)?;
                state.count_directory(number);
            }
            Payload::File(content) => {
                let (size, extents) = self.live.content(content, state.places);
                inode.size = size;
                let mut blocks = 0;
                let counted = extents.inspect(|extent| blocks += u64::from(extent.len));
                let (root, tree) = build(counted, own, state.space, &mut state.blocks)?;
                inode.block = root;
                inode.flags |= flags::EXTENTS;
                inode.blocks = (blocks + tree) * SECTORS;
            }
            Payload::Symlink { at, len } => {
                let target = self.tree.target(at, len);
                inode.size = target.len() as u64;
                if target.len() <= FAST_SYMLINK_MAX {
                    copy(target, &mut inode.block);
                } else {
                    let start = state.space.one().ok_or(NO_SPACE)?;
                    copy(target, state.blocks.block(start)?);
                    state.map(&mut inode, 1, from_runs(0, [Run { start, len: 1 }]), own)?;
                }
            }
            Payload::CharDevice { major, minor } | Payload::BlockDevice { major, minor } => {
                inode.block =
                    encode_device(major.into(), minor).ok_or(Error::Misuse("a device number is too large"))?;
            }
            Payload::Fifo | Payload::Socket => {}
        }
        let mut body = [0; BODY_XATTR_BYTES];
        if let Some(set) = XattrSets::index(node.xattrs) {
            self.xattrs(set, seed, &mut inode, state)?;
            body = state.bodies.get(set).copied().unwrap_or(body);
        }
        inode.encode(own, &body, state.inodes.inode(number)?);
        Ok(())
    }

    /// Gives the inode the block of a set of extended attributes, if the set has one.
    fn xattrs(&self, set: usize, seed: Seed, inode: &mut Inode, state: &mut State<'_>) -> Result<(), Error> {
        let Some(shared) = state.shared.get_mut(set) else { return Ok(()) };
        if shared.left == 0 {
            if shared.without == 0 {
                return Ok(());
            }
            let references = shared.without.min(SHARED_MAX);
            shared.block = state.space.one().ok_or(NO_SPACE)?;
            shared.left = references;
            shared.without -= references;
            let block = state.blocks.block(shared.block)?;
            self.tree.xattrs.block(set, references, block);
            xattr::seal_block(seed, shared.block, block);
        }
        shared.left -= 1;
        inode.file_acl = shared.block;
        inode.blocks += SECTORS;
        Ok(())
    }

    /// Writes inode 7, which holds the blocks that wait for more group descriptors: each one in group 0 as an
    /// indirect block that lists its copies in the backup groups.
    fn resize(&self, double: u64, seed: Seed, state: &mut State<'_>) -> Result<(), Error> {
        let used = state.shape.descriptor_blocks();
        let mut inode = Inode {
            mode: FileType::Regular.mode_bits() | HIDDEN_MODE,
            links: 1,
            size: (DIRECT + INDIRECT + INDIRECT * INDIRECT) * BLOCK,
            blocks: (1 + (DESCRIPTOR_AREA - used) * heads(state.shape.groups)) * SECTORS,
            ..self.blank(self.time)
        };
        put(&mut inode.block, DOUBLE_INDIRECT, double);
        inode.encode(seed.inode(inode_number::RESIZE, 0), &[], state.inodes.inode(inode_number::RESIZE)?);
        let list = state.blocks.block(double)?;
        for at in used..DESCRIPTOR_AREA {
            put(list, at as usize, 1 + at);
        }
        for at in used..DESCRIPTOR_AREA {
            let list = state.blocks.block(1 + at)?;
            for (place, group) in head_groups(state.shape.groups).skip(1).enumerate() {
                put(list, place, group * BLOCKS_PER_GROUP + 1 + at);
            }
        }
        Ok(())
    }

    /// Writes inode 8 and the journal's first block. The others need no bytes.
    fn journal(&self, runs: &[Run], seed: Seed, state: &mut State<'_>) -> Result<Inode, Error> {
        let blocks = state.shape.journal;
        let mut inode = Inode {
            mode: FileType::Regular.mode_bits() | HIDDEN_MODE,
            links: 1,
            size: blocks * BLOCK,
            ..self.blank(self.time)
        };
        let own = seed.inode(inode_number::JOURNAL, 0);
        state.map(&mut inode, blocks, from_runs(0, runs.iter().copied()), own)?;
        inode.encode(own, &[], state.inodes.inode(inode_number::JOURNAL)?);
        let first = runs.first().ok_or(Error::Misuse("there is no journal"))?.start;
        let length = u32::try_from(blocks).unwrap_or(u32::MAX);
        let superblock = JournalSuperblock::empty(BLOCK_SIZE, length, self.uuid);
        if let Some(bytes) = state.blocks.block(first)?.first_chunk_mut() {
            superblock.encode(bytes);
        }
        Ok(inode)
    }

    fn blank(&self, time: Timestamp) -> Inode {
        Inode { atime: time, ctime: time, mtime: time, crtime: time, ..Inode::default() }
    }
}

impl State<'_> {
    /// Gives an inode its extents, which have `blocks` blocks.
    fn map(
        &mut self,
        inode: &mut Inode,
        blocks: u64,
        extents: impl IntoIterator<Item = crate::spec::extent::Extent>,
        own: Seed,
    ) -> Result<(), Error> {
        let (root, tree) = build(extents, own, self.space, &mut self.blocks)?;
        inode.block = root;
        inode.flags |= flags::EXTENTS;
        inode.blocks = (blocks + tree) * SECTORS;
        Ok(())
    }

    fn count_directory(&mut self, number: u32) {
        let group = (u64::from(number) - 1) / self.shape.inodes_per_group;
        if let Some(count) = usize::try_from(group).ok().and_then(|group| self.directories.get_mut(group)) {
            *count += 1;
        }
    }
}

/// `i_links_count`: names; of a directory `.`, its name and the `..` of its subdirectories, or 1 for more than there
/// is room for.
fn links(node: &Stored) -> u16 {
    let links = match node.payload {
        Payload::Directory => 2 + node.names,
        _ => node.names,
    };
    u16::try_from(links).ok().filter(|&links| links <= LINK_MAX).unwrap_or(1)
}

/// Copies bytes to the front of others.
fn copy(bytes: &[u8], to: &mut [u8]) {
    if let Some(place) = to.get_mut(..bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Puts a block number of 32 bits into a list of them.
fn put(list: &mut [u8], index: usize, block: u64) {
    let (words, _) = list.as_chunks_mut::<4>();
    if let (Some(word), Ok(block)) = (words.get_mut(index), u32::try_from(block)) {
        *word = block.to_le_bytes();
    }
}

const _: () = assert!(I_BLOCK_BYTES > FAST_SYMLINK_MAX && BLOCK_BYTES > crate::spec::SYMLINK_MAX);
