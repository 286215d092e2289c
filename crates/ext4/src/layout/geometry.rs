//! Groups, their heads, and the linear space between the heads.
//!
//! A file system is cut into groups of [`BLOCKS_PER_GROUP`] blocks. Group 0 and the *backup groups* (1 and the powers
//! of 3, 5 and 7: `sparse_super`) begin with a *head*: the superblock or a copy of it, then [`DESCRIPTOR_AREA`]
//! blocks, of which the first hold the group descriptors or a copy and the rest wait until the file system grows
//! (`resize_inode`). These are the only places that ext4 fixes; with `flex_bg` all else may stand anywhere.
//!
//! The area for descriptors has the same length whatever the size, so a block's place can be known before the size is:
//! file data streams into the *linear space*, which is all blocks in order but for those of the heads. The price is
//! 1 MiB for each head, of which only what is used takes space on the host; the gain is one pass, and that
//! every image can grow to [`MAX_BLOCKS`] without moving a block.

use super::Run;

/// Blocks of a group, `s_blocks_per_group`: as many as one block has bits.
pub const BLOCKS_PER_GROUP: u64 = 32_768;
/// Blocks after the superblock in each head, for group descriptors and their growth. 256 blocks of 64 descriptors
/// describe 16,384 groups: 2 TiB.
pub const DESCRIPTOR_AREA: u64 = 256;
/// Group descriptors in a block.
pub const DESCRIPTORS_PER_BLOCK: u64 = 64;
/// Blocks of a head.
pub const HEAD: u64 = 1 + DESCRIPTOR_AREA;
/// The most groups that the descriptor area can describe.
pub const MAX_GROUPS: u64 = DESCRIPTOR_AREA * DESCRIPTORS_PER_BLOCK;
/// The most blocks of a file system that this crate writes: 2 TiB.
pub const MAX_BLOCKS: u64 = MAX_GROUPS * BLOCKS_PER_GROUP;

/// The groups that begin with a head, as far as [`MAX_GROUPS`]: 0, 1 and the powers of 3, 5 and 7.
pub const HEAD_GROUPS: [u64; 20] =
    [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343, 625, 729, 2187, 2401, 3125, 6561, 15625];

/// Whether `group` begins with a head.
#[must_use]
pub fn has_head(group: u64) -> bool {
    HEAD_GROUPS.binary_search(&group).is_ok()
}

/// The groups that begin with a head, of a file system of `groups` groups.
pub fn head_groups(groups: u64) -> impl Iterator<Item = u64> {
    HEAD_GROUPS.into_iter().take_while(move |&group| group < groups)
}

/// How many heads a file system of `groups` groups has.
#[must_use]
pub fn heads(groups: u64) -> u64 {
    HEAD_GROUPS.partition_point(|&group| group < groups) as u64
}

/// Groups in `blocks` blocks, the last one perhaps short.
#[must_use]
pub const fn groups(blocks: u64) -> u64 {
    blocks.div_ceil(BLOCKS_PER_GROUP)
}

/// The linear block before which the `index`th head stands.
const fn linear_of_head(index: usize, group: u64) -> u64 {
    group * BLOCKS_PER_GROUP - index as u64 * HEAD
}

/// How many heads stand before linear block `linear`, and the linear block before which the next one stands.
fn heads_before(linear: u64) -> (u64, u64) {
    let mut next = u64::MAX;
    let mut count = 0;
    for (index, group) in HEAD_GROUPS.into_iter().enumerate() {
        let at = linear_of_head(index, group);
        if at > linear {
            next = at;
            break;
        }
        count += 1;
    }
    (count, next)
}

/// The blocks of the file system that `len` linear blocks from `linear` are, in order, cut where a head stands between.
pub fn physical(linear: u64, len: u64) -> impl Iterator<Item = Run> {
    let mut at = linear;
    let end = linear + len;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (before, next) = heads_before(at);
        let stop = end.min(next);
        let run = Run { start: at + before * HEAD, len: stop - at };
        at = stop;
        Some(run)
    })
}

/// How many linear blocks a file system of `blocks` blocks has: all but its heads'.
///
/// A last group that is too short for its head does not exist (see [`super::size`]).
#[must_use]
pub fn linear_blocks(blocks: u64) -> u64 {
    blocks.saturating_sub(heads(groups(blocks)) * HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power_of(base: u64, group: u64) -> bool {
        let mut power = base;
        while power < group {
            power *= base;
        }
        power == group
    }

    #[test]
    fn heads_stand_where_sparse_super_says() {
        for group in 0..MAX_GROUPS {
            let expected = group < 2 || [3, 5, 7].into_iter().any(|base| power_of(base, group));
            assert_eq!(has_head(group), expected, "group {group}");
        }
    }

    #[test]
    fn linear_space_is_all_blocks_but_the_heads() {
        let blocks = 30 * BLOCKS_PER_GROUP;
        let mut linear = 0;
        for block in 0..blocks {
            let group = block / BLOCKS_PER_GROUP;
            if has_head(group) && block % BLOCKS_PER_GROUP < HEAD {
                continue;
            }
            let runs: Vec<Run> = physical(linear, 1).collect();
            assert_eq!(runs, [Run { start: block, len: 1 }]);
            linear += 1;
        }
        assert_eq!(linear, linear_blocks(blocks));
    }

    #[test]
    fn a_run_is_cut_at_heads() {
        let first = BLOCKS_PER_GROUP - HEAD;
        let runs: Vec<Run> = physical(first - 1, 3 * BLOCKS_PER_GROUP).collect();
        assert_eq!(runs.iter().map(|run| run.len).sum::<u64>(), 3 * BLOCKS_PER_GROUP);
        assert_eq!(
            runs[..2],
            [
                Run { start: BLOCKS_PER_GROUP - 1, len: 1 },
                Run { start: BLOCKS_PER_GROUP + HEAD, len: 2 * BLOCKS_PER_GROUP - HEAD }
            ]
        );
        assert_eq!(runs[2].start, 3 * BLOCKS_PER_GROUP + HEAD);
    }

    #[test]
    fn far_beyond_the_largest_size_mapping_goes_on() {
        let far = 10 * MAX_BLOCKS;
        let runs: Vec<Run> = physical(far, 5).collect();
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].start, far + HEAD_GROUPS.len() as u64 * HEAD);
    }
}
