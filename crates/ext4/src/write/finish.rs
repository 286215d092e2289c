//! Turns contents and a tree into a file system.
//!
//! 1. Contents that the tree does not have are punched out of the file. Meanwhile
//! 2. a plan is made: the size, and the place of everything whose length is known.
//! 3. Contents that stand beyond the end of the file system are moved into it. (Dead contents had pushed them out.)
//! 4. Inodes, directories and the like are written, then what says which blocks and inodes are in use.

use super::directories::Directories;
use super::groups;
use super::image::{BLOCK, Image};
use super::inodes::Writer;
use super::live::Live;
use super::plan::{Demand, Plan};
use super::segment::Segment;
use super::tree::{Kind, Node, NodeId, Payload, Tree};
use super::xattrs::Xattrs;
use crate::Error;
use crate::layout::geometry::physical;
use crate::spec::inode::Timestamp;

/// The name that e2fsck looks for in the root, to put there what has lost its own.
const LOST_FOUND: &[u8] = b"lost+found";

/// What the caller decides about a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Length of the image in bytes: the file will have it exactly. If there is none, the larger of 1 GiB and the
    /// content and a quarter, and in any case enough.
    pub size: Option<u64>,
    /// `s_volume_name`: at most 16 bytes.
    pub label: Vec<u8>,
    /// `s_uuid`.
    pub uuid: [u8; 16],
    /// `s_hash_seed`: what the hashes of names begin with.
    pub hash_seed: [u8; 16],
    /// Time of the file system's creation, and of what the tree does not have: seconds since 1970.
    pub time: i64,
}

/// What has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Length of the image in bytes.
    pub size: u64,
    /// `s_blocks_count`: blocks of 4096 bytes; a rest too short for a group is no part of the file system.
    pub blocks: u64,
    /// `s_free_blocks_count`.
    pub free_blocks: u64,
    /// `s_inodes_count`.
    pub inodes: u64,
    /// `s_free_inodes_count`.
    pub free_inodes: u64,
    /// Blocks of the contents of files.
    pub content_blocks: u64,
    /// Blocks of them that had to be moved, as they stood beyond the end of the file system.
    pub moved_blocks: u64,
}

impl Image {
    /// Makes the image a file system that holds `tree`.
    ///
    /// `segments` are those that the tree's [`Content`](super::Content)s mean by index, all placed, none over another.
    /// What they hold and the tree does not is nowhere in the file afterwards. If the root has no directory
    /// `lost+found`, it gets one. The file is not synced.
    ///
    /// # Errors
    /// - [`Error::TooSmall`] if the size asked for does not do; [`Error::TooLarge`].
    /// - [`Error::DuplicateName`], [`Error::DirectoryTooLarge`], [`Error::LostFound`], [`Error::Label`].
    /// - [`Error::Misuse`] for contents, segments or attributes that do not belong together.
    /// - [`Error::Io`].
    ///
    /// After an error the file is of no use.
    pub fn finish(&self, mut tree: Tree, segments: &[Segment], options: &Options) -> Result<Summary, Error> {
        groups::label(&options.label)?;
        let time = Timestamp { seconds: options.time, nanoseconds: 0 };
        let lost_found = lost_found(&mut tree, time)?;
        let live = Live::new(&tree, segments)?;
        let (directories, demand, mut plan) = std::thread::scope(|scope| {
            let cleared = scope.spawn(|| self.clear(&live));
            let directories = Directories::new(&tree, lost_found, &options.hash_seed)?;
            let demand = Demand::new(&tree, &live, &directories)?;
            let plan = Plan::choose(options.size, &tree, &live, &demand)?;
            // Nothing is written before all holes are there.
            cleared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok::<_, Error>((directories, demand, plan))
        })?;
        self.fit(&plan)?;
        let writer = Writer {
            image: self,
            tree: &tree,
            live: &live,
            directories: &directories,
            demand: &demand,
            lost_found,
            uuid: options.uuid,
            time,
        };
        let written = writer.write(&mut plan)?;
        groups::write(self, &plan, &written, options)?;
        let inodes = plan.shape.inodes();
        Ok(Summary {
            size: plan.size,
            blocks: plan.shape.blocks,
            free_blocks: plan.space.free(),
            inodes,
            free_inodes: inodes - written.inodes,
            content_blocks: live.blocks(),
            moved_blocks: plan.places.moved().iter().map(|(_, run)| run.len).sum(),
        })
    }

    /// Leaves nothing but live contents in the file.
    fn clear(&self, live: &Live<'_>) -> Result<(), Error> {
        live.gaps(live.end()).flat_map(|gap| physical(gap.start, gap.len)).try_for_each(|run| self.punch(run))
    }

    /// Moves contents that stand beyond the file system's end into it, and gives the file its length.
    fn fit(&self, plan: &Plan) -> Result<(), Error> {
        for &(linear, to) in plan.places.moved() {
            let mut at = to.start;
            for from in physical(linear, to.len) {
                self.copy_blocks(from.start, at, from.len)?;
                at += from.len;
            }
        }
        // Whatever is beyond the end goes, and comes back as a hole if the file is longer than the file system.
        self.set_len(plan.end() * BLOCK)?;
        self.set_len(plan.size)
    }
}

/// Finds `lost+found` in the root, or makes it.
fn lost_found(tree: &mut Tree, time: Timestamp) -> Result<NodeId, Error> {
    let found = tree.entries().iter().find(|entry| entry.parent == NodeId::ROOT && tree.name(entry) == LOST_FOUND);
    if let Some(entry) = found {
        let node = entry.node;
        return match tree.nodes().get(node.0 as usize) {
            Some(stored) if stored.payload == Payload::Directory => Ok(node),
            _ => Err(Error::LostFound),
        };
    }
    let node = Node { kind: Kind::Directory, mode: 0o700, uid: 0, gid: 0, mtime: time, xattrs: Xattrs::NONE };
    tree.add(NodeId::ROOT, LOST_FOUND, node)
}
