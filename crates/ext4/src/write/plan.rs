//! Where all metadata goes in a file system of a given size, and which size it takes.
//!
//! A plan for a size either holds everything or does not exist. The smallest size that a tree needs is found by
//! planning for sizes.

use super::directories::Directories;
use super::extents::{from_runs, tree_blocks};
use super::live::{Live, Places};
use super::tree::{NodeId, Payload, Tree};
use super::xattrs::{SHARED_MAX, XattrSets};
use crate::Error;
use crate::layout::Run;
use crate::layout::geometry::{linear_blocks, physical};
use crate::layout::size::{MAX_SIZE, MIN_SIZE, SIZE_STEP, Shape, default_size};
use crate::layout::space::FreeSpace;
use crate::spec::{BLOCK_SIZE, FAST_SYMLINK_MAX, inode_number};

/// What a tree needs, whatever the size.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// Inodes, the reserved ones counted.
    pub(super) inodes: u64,
    /// Blocks of directories, long link targets and extended attributes.
    blocks: u64,
    /// Blocks that the extent trees of directories take if free space is so cut up that no two of their blocks stand
    /// together.
    directory_trees: u64,
    /// Blocks that the extent trees of files take if no content is moved.
    file_trees: u64,
    /// Of each set of extended attributes, how many inodes have it.
    pub(super) xattr_users: Vec<u32>,
}

impl Demand {
    pub(super) fn new(tree: &Tree, live: &Live<'_>, directories: &Directories<'_>) -> Result<Self, Error> {
        let mut demand = Self {
            inodes: inode_count(tree),
            file_trees: live.tree_blocks(tree, &Places::new(u64::MAX)),
            xattr_users: vec![0; tree.xattrs.len()],
            ..Self::default()
        };
        for (index, node) in (0..).zip(tree.nodes()) {
            if let Some(users) = XattrSets::index(node.xattrs) {
                *demand.xattr_users.get_mut(users).ok_or(Error::Misuse("a node has xattrs of another tree"))? += 1;
            }
            match node.payload {
                Payload::Directory => {
                    let blocks = directories.form(NodeId(index))?.blocks();
                    demand.blocks += blocks;
                    demand.directory_trees += tree_blocks(blocks);
                }
                Payload::Symlink { len, .. } if usize::from(len) > FAST_SYMLINK_MAX => demand.blocks += 1,
                _ => {}
            }
        }
        for (set, &users) in demand.xattr_users.iter().enumerate() {
            if tree.xattrs.needs_block(set) {
                demand.blocks += u64::from(users.div_ceil(SHARED_MAX));
            }
        }
        Ok(demand)
    }
}

/// Inodes of a tree, the reserved ones counted; `lost+found` is among its nodes. See [`super::inodes`].
fn inode_count(tree: &Tree) -> u64 {
    // The root is one of the reserved ones.
    u64::from(inode_number::FIRST) - 1 + tree.len() as u64 - 1
}

/// Where all goes.
#[derive(Debug)]
pub(super) struct Plan {
    /// Length of the image file in bytes.
    pub(super) size: u64,
    pub(super) shape: Shape,
    pub(super) places: Places,
    /// Blocks of each group's block bitmap.
    pub(super) block_bitmaps: Vec<u64>,
    /// Blocks of each group's inode bitmap.
    pub(super) inode_bitmaps: Vec<u64>,
    /// First blocks of each group's inode table.
    pub(super) tables: Vec<u64>,
    pub(super) journal: Vec<Run>,
    /// The double indirect block of the resize inode.
    pub(super) resize: u64,
    /// What is free then: enough for what [`Demand`] counts, and some to spare.
    pub(super) space: FreeSpace,
}

impl Plan {
    /// The plan for a size that the caller wants, or for one that suits the tree.
    pub(super) fn choose(wanted: Option<u64>, tree: &Tree, live: &Live<'_>, demand: &Demand) -> Result<Self, Error> {
        if let Some(size) = wanted {
            if size > MAX_SIZE {
                return Err(Error::TooLarge { size, limit: MAX_SIZE });
            }
            if size >= MIN_SIZE
                && let Some(plan) = Self::new(size, tree, live, demand)
            {
                return Ok(plan);
            }
            let needed = Self::smallest(tree, live, demand)?.size;
            return Err(Error::TooSmall { size, needed });
        }
        let used = live.blocks() + demand.blocks + demand.file_trees;
        let size = default_size(used * u64::from(BLOCK_SIZE)).min(MAX_SIZE);
        match Self::new(size, tree, live, demand) {
            Some(plan) => Ok(plan),
            None => Self::smallest(tree, live, demand),
        }
    }

    /// The plan for the smallest size that will do, a multiple of [`SIZE_STEP`].
    fn smallest(tree: &Tree, live: &Live<'_>, demand: &Demand) -> Result<Self, Error> {
        let used = (live.blocks() + demand.blocks + demand.file_trees) * u64::from(BLOCK_SIZE);
        let least = used.max(MIN_SIZE).div_ceil(SIZE_STEP);
        let most = MAX_SIZE / SIZE_STEP;
        let plan = |steps: u64| Self::new(steps * SIZE_STEP, tree, live, demand);
        // In strides that grow until a size will do, then by halves between the last that would not and that one.
        let (mut stride, mut too_small, mut at) = (1, least.saturating_sub(1), least);
        let mut found = loop {
            if at > most {
                return Err(Error::TooLarge { size: least * SIZE_STEP, limit: MAX_SIZE });
            }
            if let Some(plan) = plan(at) {
                break plan;
            }
            too_small = at;
            at = if at == most { most + 1 } else { (at + stride).min(most) };
            stride *= 2;
        };
        while at - too_small > 1 {
            let middle = too_small + (at - too_small) / 2;
            match plan(middle) {
                Some(plan) => (found, at) = (plan, middle),
                None => too_small = middle,
            }
        }
        Ok(found)
    }

    /// The plan for a size in bytes; `None` if it is too small.
    fn new(size: u64, tree: &Tree, live: &Live<'_>, demand: &Demand) -> Option<Self> {
        let shape = Shape::new(size, demand.inodes)?;
        let end = linear_blocks(shape.blocks);
        let mut space = FreeSpace::new(live.gaps(end).flat_map(|gap| physical(gap.start, gap.len)).collect());
        let last = live.runs().iter().rev().find(|run| run.start < end).map_or(0, |run| run.end().min(end));
        space.start_at(physical(last, 1).next().map_or(0, |run| run.start));

        let group_blocks = |space: &mut FreeSpace, len: u64| -> Option<Vec<u64>> {
            (0..shape.groups).map(|_| space.consecutive(len)).collect()
        };
        let block_bitmaps = group_blocks(&mut space, 1)?;
        let inode_bitmaps = group_blocks(&mut space, 1)?;
        let tables = group_blocks(&mut space, shape.inode_table())?;
        let resize = space.one()?;
        let journal = space.take(shape.journal)?;
        let mut trees = tree_blocks(from_runs(0, journal.iter().copied()).count() as u64);

        let mut places = Places::new(end);
        for run in live.runs().iter().filter(|run| run.end() > end) {
            let start = run.start.max(end);
            places.relocate(start, space.take(run.end() - start)?);
        }
        trees += if places.moved().is_empty() { demand.file_trees } else { live.tree_blocks(tree, &places) };
        let plan = Self { size, shape, places, block_bitmaps, inode_bitmaps, tables, journal, resize, space };
        let needed = demand.blocks + demand.directory_trees + trees + shape.spare();
        (plan.space.free() >= needed).then_some(plan)
    }

    /// The block after the file system's last.
    pub(super) const fn end(&self) -> u64 {
        self.shape.blocks
    }
}
