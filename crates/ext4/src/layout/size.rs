//! What follows from the size of a file system: its groups, its number of inodes, the length of its journal.

use super::geometry::{BLOCKS_PER_GROUP, DESCRIPTORS_PER_BLOCK, HEAD, MAX_BLOCKS, MAX_GROUPS, groups, has_head, heads};
use crate::spec::{BLOCK_SIZE, INODE_BYTES};

/// The most inodes that an image can have, the reserved ones among them.
pub const MAX_INODES: u64 = MAX_GROUPS * MAX_INODES_PER_GROUP;
/// The smallest file system that is written, in bytes. Below it the journal and the first head would take
/// most of the space.
pub const MIN_SIZE: u64 = 64 << 20;
/// The largest file system that is written, in bytes: what the descriptor area of a head can describe.
pub const MAX_SIZE: u64 = MAX_BLOCKS * BLOCK_SIZE as u64;
/// The size from which one is chosen where none is given, in bytes: less is of little use to a guest, and
/// the file is sparse.
pub const DEFAULT_MIN_SIZE: u64 = 1 << 30;
/// Sizes that are chosen, not given, are multiples of this many bytes: a large page on x86_64 and aarch64. Machine
/// monitors map a raw image as persistent memory, and refuse one that does not end with such a page.
pub const SIZE_STEP: u64 = 2 << 20;

/// Inodes in a block.
pub(crate) const INODES_PER_BLOCK: u64 = BLOCK_SIZE as u64 / INODE_BYTES as u64;
/// The most inodes that a group can have: the bits of its bitmap, one block.
const MAX_INODES_PER_GROUP: u64 = 32_768;
/// Blocks for which one inode is made at least: mke2fs's `inode_ratio` of 16 KiB.
const BLOCKS_PER_INODE: u64 = 4;
/// A last group must have this many blocks beyond its own metadata, or is left out: mke2fs's rule, by which
/// resize2fs goes too.
const LEAST_OF_LAST_GROUP: u64 = 50;

/// The journal's blocks for file systems of fewer than so many blocks: mke2fs's choice, but for the first. There mke2fs
/// takes 1,024 blocks. The kernel adds groups in one transaction that has every reserved descriptor block in it, and a
/// transaction can have no more than a quarter of the journal's blocks: with our 255 reserved blocks, an image with a
/// journal of 1,024 blocks could not grow while it is mounted.
const JOURNAL_BLOCKS: [(u64, u64); 8] = [
    (32_768, 2_048),
    (256 << 10, 4_096),
    (512 << 10, 8_192),
    (4_096 << 10, 16_384),
    (8_192 << 10, 32_768),
    (16_384 << 10, 65_536),
    (32_768 << 10, 131_072),
    (u64::MAX, 262_144),
];

/// What follows from the size of a file system and the number of its inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// `s_blocks_count`.
    pub(crate) blocks: u64,
    pub(crate) groups: u64,
    /// `s_inodes_per_group`, a multiple of 16.
    pub(crate) inodes_per_group: u64,
    pub(crate) journal: u64,
}

impl Shape {
    /// The shape of a file system in `size` bytes that has at least `inodes` inodes (the reserved ones counted) and
    /// some to spare. `None` if it is too small for them.
    pub(crate) fn new(size: u64, inodes: u64) -> Option<Self> {
        let mut blocks = size / u64::from(BLOCK_SIZE);
        let wanted = inodes + spare_inodes(inodes);
        loop {
            let groups = groups(blocks);
            if groups == 0 {
                return None;
            }
            let inodes_per_group =
                (blocks / BLOCKS_PER_INODE).max(wanted).div_ceil(groups).next_multiple_of(INODES_PER_BLOCK);
            if inodes_per_group > MAX_INODES_PER_GROUP {
                return None;
            }
            let last = groups - 1;
            let last_blocks = blocks - last * BLOCKS_PER_GROUP;
            let own = if has_head(last) { HEAD } else { 0 } + 2 + inodes_per_group / INODES_PER_BLOCK;
            if last_blocks < own + LEAST_OF_LAST_GROUP {
                blocks -= last_blocks;
                continue;
            }
            return Some(Self { blocks, groups, inodes_per_group, journal: journal_blocks(blocks) });
        }
    }

    /// Blocks of one group's inode table.
    pub(crate) const fn inode_table(&self) -> u64 {
        self.inodes_per_group / INODES_PER_BLOCK
    }

    /// `s_inodes_count`.
    pub(crate) const fn inodes(&self) -> u64 {
        self.groups * self.inodes_per_group
    }

    /// Blocks that hold the group descriptors, of those that every head has for them.
    pub(crate) const fn descriptor_blocks(&self) -> u64 {
        self.groups.div_ceil(DESCRIPTORS_PER_BLOCK)
    }

    /// Blocks of the whole that no file can have, the journal's among them: `s_overhead_clusters`.
    pub(crate) fn overhead(&self) -> u64 {
        heads(self.groups) * HEAD + self.groups * (2 + self.inode_table()) + self.journal
    }

    /// Blocks that must be left for the guest: what the kernel sets aside when it mounts (a fiftieth, 4096 at the most),
    /// without which nothing can be written at all, and 1 MiB.
    pub(crate) fn spare(&self) -> u64 {
        (self.blocks / 50).min(4096) + 256
    }
}

/// Inodes that must be left for the guest beside `inodes` that are used.
const fn spare_inodes(inodes: u64) -> u64 {
    inodes / 8 + 512
}

/// The journal's length for a file system of `blocks` blocks.
fn journal_blocks(blocks: u64) -> u64 {
    JOURNAL_BLOCKS.into_iter().find(|&(below, _)| blocks < below).map_or(0, |(_, journal)| journal)
}

/// The size in bytes that is chosen for content that takes `used` bytes on the disk: a quarter more, and
/// [`DEFAULT_MIN_SIZE`] at least.
pub(crate) fn default_size(used: u64) -> u64 {
    (used + used / 4).max(DEFAULT_MIN_SIZE).next_multiple_of(SIZE_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::geometry::DESCRIPTOR_AREA;

    #[test]
    fn inodes_grow_with_the_tree() {
        let small = Shape::new(1 << 30, 12).unwrap();
        assert_eq!((small.groups, small.inodes_per_group), (8, 8192));
        let many = Shape::new(1 << 30, 200_000).unwrap();
        assert!(many.inodes() >= 225_000);
        assert_eq!(many.inodes_per_group % 16, 0);
        assert_eq!(Shape::new(1 << 30, 8 * 32_768), None);
    }

    #[test]
    fn a_last_group_too_short_does_not_exist() {
        let group = BLOCKS_PER_GROUP * u64::from(BLOCK_SIZE);
        // Group 9 has a head: 257 blocks, bitmaps, 512 blocks of inodes, and 50.
        let shape = Shape::new(9 * group + 4096 * 700, 12).unwrap();
        assert_eq!((shape.blocks, shape.groups), (9 * BLOCKS_PER_GROUP, 9));
        let shape = Shape::new(9 * group + 4096 * 821 + 4095, 12).unwrap();
        assert_eq!((shape.blocks, shape.groups), (9 * BLOCKS_PER_GROUP + 821, 10));
    }

    #[test]
    fn journal_is_as_long_as_mke2fs_makes_it_but_long_enough_to_grow() {
        let cases = [
            (64_u64 << 20, 2048),
            (127 << 20, 2048),
            (128 << 20, 4096),
            (1 << 30, 8192),
            (2 << 30, 16_384),
            (15 << 30, 16_384),
            (16 << 30, 32_768),
            (100 << 30, 131_072),
            (2 << 40, 262_144),
        ];
        for (size, journal) in cases {
            assert_eq!(Shape::new(size, 12).unwrap().journal, journal, "{size}");
            // Superblock, resize inode and its list, two descriptor blocks, and what the journal itself adds.
            assert!(journal / 4 > DESCRIPTOR_AREA + 5 + 32, "{size}");
        }
    }

    #[test]
    fn chosen_sizes() {
        assert_eq!(default_size(0), 1 << 30);
        assert_eq!(default_size(1 << 30), 1280 << 20);
        assert_eq!(default_size((1 << 30) + 1), 1282 << 20);
        assert_eq!(default_size(800 << 20), 1 << 30);
        for used in (0..3000).map(|step| step * 1_234_567) {
            assert!(default_size(used).is_multiple_of(2 << 20), "{used}");
        }
    }
}
