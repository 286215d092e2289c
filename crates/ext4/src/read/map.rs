//! From blocks of a file to blocks of the image: the extent tree, from its root in the inode to its leaves.
//!
//! That the search ends rests on two rules, both checked: a child's depth is one less than its parent's, and what a
//! child covers lies within what its parent says that it covers. So no block can be met twice in one tree.

use super::inode::Loaded;
use super::{Error, Reader, Source};
use crate::spec::extent::{self, Extent, ExtentIndex, Node};
use crate::spec::inode::flags;

/// One more than the last block that a file can have.
const BLOCKS_END: u64 = 1 << 32;

/// Consecutive blocks of a file that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first block in the image; `None` where the file reads as zeros.
    pub(super) start: Option<u64>,
    /// Number of blocks, at least 1.
    pub(super) len: u64,
}

/// A node, and the blocks of the file that it is about: up to, not including, `end`.
struct Span {
    node: Node,
    end: u64,
}

impl<S: Source> Reader<S> {
    /// The extents of file `number`, in order: what of it is stored, and where. Blocks between them are holes.
    ///
    /// # Errors
    /// [`Error`] as for [`stat`](Self::stat), if the inode holds no extents, or if its extent tree is damaged.
    pub fn extents(&self, number: u32) -> Result<Vec<Extent>, Error> {
        let loaded = self.load(number)?;
        let mut extents = Vec::new();
        let mut pending = Vec::new();
        let mut span = root(&loaded)?;
        loop {
            match span.node {
                Node::Leaf(found) => {
                    for extent in &found {
                        self.blocks.check(extent.start, extent.len.into(), Some(number))?;
                    }
                    extents.extend(found);
                }
                Node::Index { depth, children } => {
                    let ends = children.iter().skip(1).map(|next| u64::from(next.logical)).chain([span.end]);
                    let below: Vec<_> = children.iter().zip(ends).map(|(child, end)| (*child, depth, end)).collect();
                    pending.extend(below.into_iter().rev());
                }
            }
            let Some((child, depth, end)) = pending.pop() else { return Ok(extents) };
            span = self.child(&loaded, child, depth, end)?;
        }
    }

    /// What stands at block `logical` of a file, and how many blocks from there on are alike.
    pub(super) fn run_at(&self, loaded: &Loaded, logical: u32) -> Result<Run, Error> {
        let at = u64::from(logical);
        let mut span = root(loaded)?;
        loop {
            match span.node {
                Node::Leaf(extents) => {
                    let after = extents.partition_point(|extent| extent.logical <= logical);
                    let next = extents.get(after).map_or(span.end, |extent| extent.logical.into());
                    let hole = Run { start: None, len: next.saturating_sub(at) };
                    let Some(extent) = after.checked_sub(1).and_then(|index| extents.get(index)) else {
                        return Ok(hole);
                    };
                    let skip = at.saturating_sub(extent.logical.into());
                    let len = u64::from(extent.len).saturating_sub(skip);
                    if len == 0 {
                        return Ok(hole);
                    }
                    self.blocks.check(extent.start, extent.len.into(), Some(loaded.number))?;
                    let start = extent.start.saturating_add(skip);
                    return Ok(Run { start: (!extent.unwritten).then_some(start), len });
                }
                Node::Index { depth, children } => {
                    let after = children.partition_point(|child| child.logical <= logical);
                    let end = children.get(after).map_or(span.end, |child| child.logical.into());
                    let Some(child) = after.checked_sub(1).and_then(|index| children.get(index)) else {
                        return Ok(Run { start: None, len: end.saturating_sub(at) });
                    };
                    span = self.child(loaded, *child, depth, end)?;
                }
            }
        }
    }

    /// Reads a node below one of depth `depth`, which is about blocks up to `end`.
    fn child(&self, loaded: &Loaded, index: ExtentIndex, depth: u16, end: u64) -> Result<Span, Error> {
        let bytes = self.blocks.get(index.child, Some(loaded.number))?;
        let node = extent::decode(loaded.seed, &bytes).map_err(|source| Error::Block {
            block: index.child,
            inode: Some(loaded.number),
            source,
        })?;
        let (found, first, last) = match &node {
            Node::Leaf(extents) => (
                0,
                extents.first().map(|extent| extent.logical),
                extents.last().map(|extent| u64::from(extent.logical).saturating_add(extent.len.into())),
            ),
            Node::Index { depth, children } => (
                *depth,
                children.first().map(|child| child.logical),
                children.last().map(|child| u64::from(child.logical).saturating_add(1)),
            ),
        };
        if depth.checked_sub(1) != Some(found) {
            return Err(loaded.error("the levels of its extent tree do not follow each other"));
        }
        if first.is_some_and(|first| first < index.logical) || last.is_some_and(|last| last > end) {
            return Err(loaded.error("a node of its extent tree covers what belongs to another"));
        }
        Ok(Span { node, end })
    }
}

/// The root of a file's tree.
fn root(loaded: &Loaded) -> Result<Span, Error> {
    if loaded.has_flag(flags::INLINE_DATA) {
        return Err(loaded.unsupported("content inside of the inode"));
    }
    if !loaded.has_flag(flags::EXTENTS) {
        return Err(loaded.unsupported("content mapped by indirect blocks"));
    }
    let node = extent::decode(None, &loaded.inode.block).map_err(|source| Error::Block {
        block: loaded.block,
        inode: Some(loaded.number),
        source,
    })?;
    Ok(Span { node, end: BLOCKS_END })
}
