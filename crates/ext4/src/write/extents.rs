//! Builds the extent trees of files whose extents are more than an inode holds.

use super::stream::BlockStream;
use crate::Error;
use crate::layout::Run;
use crate::layout::space::FreeSpace;
use crate::spec::extent::{Extent, ExtentIndex, ROOT_CAPACITY, WRITTEN_MAX, capacity, encode_index, encode_leaf, seal};
use crate::spec::inode::I_BLOCK_BYTES;
use crate::spec::{BLOCK_BYTES, Seed};

/// Entries of a node that fills a block.
const NODE_CAPACITY: u64 = capacity(BLOCK_BYTES) as u64;
const INLINE: u64 = ROOT_CAPACITY as u64;

/// Said where blocks run out that were planned for: never.
pub(super) const NO_SPACE: Error = Error::Misuse("free blocks ran out though they were counted");

/// Blocks that the tree of so many extents takes outside the inode.
pub(super) const fn tree_blocks(extents: u64) -> u64 {
    let (mut nodes, mut total) = (extents, 0);
    while nodes > INLINE {
        nodes = nodes.div_ceil(NODE_CAPACITY);
        total += nodes;
    }
    total
}

/// The extents of consecutive blocks of a file, from block `logical` on, that stand in `runs`.
pub(super) fn from_runs(logical: u32, runs: impl IntoIterator<Item = Run>) -> impl Iterator<Item = Extent> {
    let mut logical = u64::from(logical);
    runs.into_iter().flat_map(move |run| {
        let first = logical;
        logical += run.len;
        (0..run.len).step_by(WRITTEN_MAX as usize).map(move |at| Extent {
            logical: u32::try_from(first + at).unwrap_or(u32::MAX),
            len: u32::try_from(run.len - at).map_or(WRITTEN_MAX, |len| len.min(WRITTEN_MAX)),
            start: run.start + at,
            unwritten: false,
        })
    })
}

/// Builds the tree of `extents`, which are sorted. The result is the inode's `i_block`, and how many blocks the rest
/// takes. `seed` is the inode's.
pub(super) fn build(
    extents: impl IntoIterator<Item = Extent>,
    seed: Seed,
    space: &mut FreeSpace,
    stream: &mut BlockStream<'_>,
) -> Result<([u8; I_BLOCK_BYTES], u64), Error> {
    let mut extents = extents.into_iter();
    let mut root = [0; I_BLOCK_BYTES];
    let mut leaf: Vec<Extent> = extents.by_ref().take(ROOT_CAPACITY + 1).collect();
    if leaf.len() <= ROOT_CAPACITY {
        encode_leaf(&leaf, &mut root);
        return Ok((root, 0));
    }
    let mut blocks = 0;
    let mut children = Vec::new();
    loop {
        let room = capacity(BLOCK_BYTES) - leaf.len();
        leaf.extend(extents.by_ref().take(room));
        let Some(first) = leaf.first() else { break };
        let child = space.one().ok_or(NO_SPACE)?;
        children.push(ExtentIndex { logical: first.logical, child });
        let bytes = stream.block(child)?;
        encode_leaf(&leaf, bytes);
        seal(seed, bytes);
        blocks += 1;
        leaf.clear();
    }
    let mut depth = 1;
    while children.len() > ROOT_CAPACITY {
        let mut parents = Vec::new();
        for group in children.chunks(capacity(BLOCK_BYTES)) {
            let child = space.one().ok_or(NO_SPACE)?;
            parents.extend(group.first().map(|first| ExtentIndex { logical: first.logical, child }));
            let bytes = stream.block(child)?;
            encode_index(depth, group, bytes);
            seal(seed, bytes);
            blocks += 1;
        }
        children = parents;
        depth += 1;
    }
    encode_index(depth, &children, &mut root);
    Ok((root, blocks))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::spec::extent::{Node, decode};
    use crate::write::Image;

    #[test]
    fn trees_take_as_many_blocks_as_planned() {
        let cases = [
            (0, 0),
            (4, 0),
            (5, 1),
            (340, 1),
            (341, 2),
            (4 * 340, 4),
            (4 * 340 + 1, 6),
            (340 * 340 * 4 + 1, 1361 + 5 + 1),
        ];
        for (extents, blocks) in cases {
            assert_eq!(tree_blocks(extents), blocks, "{extents}");
        }
    }

    #[test]
    fn long_runs_are_cut() {
        let runs = [Run { start: 100, len: 40_000 }, Run { start: 7, len: 1 }];
        let extents: Vec<(u32, u32, u64)> =
            from_runs(5, runs).map(|extent| (extent.logical, extent.len, extent.start)).collect();
        assert_eq!(extents, [(5, 32_767, 100), (32_772, 7233, 32_867), (40_005, 1, 7)]);
    }

    fn read(image: &Image, seed: Seed, node: &Node) -> Vec<Extent> {
        match node {
            Node::Leaf(extents) => extents.clone(),
            Node::Index { children, .. } => children
                .iter()
                .flat_map(|index| {
                    let mut block = [0; BLOCK_BYTES];
                    image.file().read_exact_at(&mut block, index.child * 4096).unwrap();
                    let child = decode(Some(seed), &block).unwrap();
                    let extents = read(image, seed, &child);
                    assert_eq!(extents[0].logical, index.logical);
                    extents
                })
                .collect(),
        }
    }

    #[test]
    fn trees_of_any_depth_hold_their_extents() {
        let seed = Seed::from_raw(5);
        for count in [0_u32, 4, 5, 340, 341, 1360, 1361, 340 * 340 * 4 + 3] {
            let image = Image::new(tempfile::tempfile().unwrap(), "/nonexistent");
            let mut space = FreeSpace::new(vec![Run { start: 1, len: 3 }, Run { start: 10, len: 100_000 }]);
            let before = space.free();
            let extents: Vec<Extent> = (0..count)
                .map(|i| Extent { logical: i * 3, len: 2, start: u64::from(i) * 2, unwritten: false })
                .collect();
            let mut stream = BlockStream::new(&image);
            let (root, blocks) = build(extents.iter().copied(), seed, &mut space, &mut stream).unwrap();
            stream.flush().unwrap();
            assert_eq!(blocks, tree_blocks(count.into()));
            assert_eq!(before - space.free(), blocks);
            assert_eq!(read(&image, seed, &decode(None, &root).unwrap()), extents);
        }
    }
}
