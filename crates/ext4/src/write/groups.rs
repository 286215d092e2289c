//! Writes bitmaps, group descriptors and superblocks: what says which blocks and inodes are in use.

use super::Options;
use super::image::Image;
use super::inodes::Written;
use super::plan::Plan;
use super::stream::BlockStream;
use crate::Error;
use crate::layout::Run;
use crate::layout::geometry::{BLOCKS_PER_GROUP, DESCRIPTOR_AREA, HEAD, has_head, head_groups};
use crate::spec::group::{BLOCK_UNINIT, GroupDescriptor, INODE_UNINIT, INODE_ZEROED};
use crate::spec::superblock::{FLAG_SIGNED_HASH, JOURNAL_BACKUP_BLOCKS, MOUNT_ACL, MOUNT_XATTR_USER, Superblock};
use crate::spec::{
    BLOCK_BYTES, DESCRIPTOR_BYTES, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Seed, checksum, compat, incompat, inode_number,
    ro_compat,
};

/// `s_log_groups_per_flex`: 16 groups, as mke2fs chooses. It says nothing about where metadata stands, which may be
/// anywhere, but how many groups the kernel adds at once when it grows the file system: with very large numbers
/// kernels before 6.8 fail.
const LOG_GROUPS_PER_FLEX: u8 = 4;

/// Writes all that says what is in use.
pub(super) fn write(image: &Image, plan: &Plan, written: &Written, options: &Options) -> Result<(), Error> {
    let seed = Seed::filesystem(&options.uuid);
    let mut groups = describe(plan, written);
    let mut stream = BlockStream::new(image);
    block_bitmaps(plan, seed, &mut groups, &mut stream)?;
    inode_bitmaps(plan, written, seed, &mut groups, &mut stream)?;
    stream.flush()?;

    let mut descriptors = vec![0; groups.len() * DESCRIPTOR_BYTES];
    let (places, _) = descriptors.as_chunks_mut::<DESCRIPTOR_BYTES>();
    for ((place, descriptor), group) in places.iter_mut().zip(&groups).zip(0..) {
        descriptor.encode(seed, group, place);
    }
    let superblock = superblock(plan, written, options)?;
    for group in head_groups(plan.shape.groups) {
        let first = group * BLOCKS_PER_GROUP;
        let offset = if group == 0 { SUPERBLOCK_OFFSET as usize } else { 0 };
        let block = stream.block(first)?;
        if let Some(place) = block.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<SUPERBLOCK_BYTES>()) {
            Superblock { block_group: u16::try_from(group).unwrap_or(u16::MAX), ..superblock.clone() }.encode(place);
        }
        for (number, bytes) in (first + 1..).zip(descriptors.chunks(BLOCK_BYTES)) {
            if let Some(place) = stream.block(number)?.get_mut(..bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
    }
    stream.flush()
}

/// The descriptors, but for what the bitmaps tell.
fn describe(plan: &Plan, written: &Written) -> Vec<GroupDescriptor> {
    let per_group = plan.shape.inodes_per_group;
    let mut groups = Vec::new();
    let bitmaps = plan.block_bitmaps.iter().zip(&plan.inode_bitmaps).zip(&plan.tables);
    for (((&block_bitmap, &inode_bitmap), &inode_table), &used_directories) in bitmaps.zip(&written.directories) {
        let before = groups.len() as u64 * per_group;
        let free = per_group - written.inodes.saturating_sub(before).min(per_group);
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        groups.push(GroupDescriptor {
            block_bitmap,
            inode_bitmap,
            inode_table,
            free_inodes: free,
            unused_inodes: free,
            used_directories,
            flags: INODE_ZEROED,
            ..GroupDescriptor::default()
        });
    }
    groups
}

/// Writes the block bitmaps, and says in which groups nothing is in use but a head.
///
/// What says so lets the kernel do without those bitmaps. They are written all the same, as e2fsck reads them when it
/// is told to start from a backup: it then believes no such flags.
fn block_bitmaps(
    plan: &Plan,
    seed: Seed,
    groups: &mut [GroupDescriptor],
    stream: &mut BlockStream<'_>,
) -> Result<(), Error> {
    let last = plan.shape.groups - 1;
    let mut free = plan.space.runs().peekable();
    // What of a free run belongs to a later group.
    let mut rest: Option<Run> = None;
    for (number, group) in (0..).zip(groups) {
        let start = number * BLOCKS_PER_GROUP;
        let end = start + BLOCKS_PER_GROUP;
        let mut bitmap = [0xFF; BLOCK_BYTES];
        while let Some(run) = rest.take().or_else(|| free.next_if(|run| run.start < end)) {
            if run.start >= end {
                rest = Some(run);
                break;
            }
            let stop = run.end().min(end);
            clear(&mut bitmap, run.start - start, stop - start);
            group.free_blocks += u32::try_from(stop - run.start).unwrap_or(u32::MAX);
            if run.end() > end {
                rest = Some(Run { start: end, len: run.end() - end });
                break;
            }
        }
        let head = if has_head(number) { HEAD } else { 0 };
        if number != last && u64::from(group.free_blocks) == BLOCKS_PER_GROUP - head {
            group.flags |= BLOCK_UNINIT;
        }
        group.block_bitmap_checksum = checksum::bitmap(seed, &bitmap);
        *stream.block(group.block_bitmap)? = bitmap;
    }
    Ok(())
}

/// Writes the inode bitmaps, and says in which groups no inode is in use.
fn inode_bitmaps(
    plan: &Plan,
    written: &Written,
    seed: Seed,
    groups: &mut [GroupDescriptor],
    stream: &mut BlockStream<'_>,
) -> Result<(), Error> {
    let per_group = plan.shape.inodes_per_group;
    for (number, group) in (0..).zip(groups) {
        let used = written.inodes.saturating_sub(number * per_group).min(per_group);
        if used == 0 {
            group.flags |= INODE_UNINIT;
        }
        let mut bitmap = [0xFF; BLOCK_BYTES];
        clear(&mut bitmap, used, per_group);
        let counted = usize::try_from(per_group / 8).ok().and_then(|len| bitmap.get(..len)).unwrap_or_default();
        group.inode_bitmap_checksum = checksum::bitmap(seed, counted);
        *stream.block(group.inode_bitmap)? = bitmap;
    }
    Ok(())
}

/// Clears the bits from `start` to before `end`.
fn clear(bitmap: &mut [u8; BLOCK_BYTES], start: u64, end: u64) {
    let mut at = start;
    while at < end {
        let Some(byte) = usize::try_from(at / 8).ok().and_then(|index| bitmap.get_mut(index)) else { break };
        let stop = end.min((at / 8 + 1) * 8);
        if stop - at == 8 {
            *byte = 0;
        } else {
            for bit in at % 8..=(stop - 1) % 8 {
                *byte &= !(1 << bit);
            }
        }
        at = stop;
    }
}

/// The superblock, as group 0 has it.
fn superblock(plan: &Plan, written: &Written, options: &Options) -> Result<Superblock, Error> {
    let shape = &plan.shape;
    let count = |count: u64| {
        u32::try_from(count).map_err(|_| Error::Misuse("a count is beyond 32 bits though the size is limited"))
    };
    let time = u64::try_from(options.time).unwrap_or(0);
    let mut journal_blocks = [0; 17];
    let (words, _) = written.journal.block.as_chunks::<4>();
    let size = written.journal.size;
    let size_words = [(size >> 32) as u32, (size & 0xFFFF_FFFF) as u32];
    for (place, word) in
        journal_blocks.iter_mut().zip(words.iter().map(|word| u32::from_le_bytes(*word)).chain(size_words))
    {
        *place = word;
    }
    let per_group = count(BLOCKS_PER_GROUP)?;
    Ok(Superblock {
        inodes_count: count(shape.inodes())?,
        blocks_count: shape.blocks,
        free_blocks_count: plan.space.free(),
        free_inodes_count: count(shape.inodes() - written.inodes)?,
        blocks_per_group: per_group,
        clusters_per_group: per_group,
        inodes_per_group: count(shape.inodes_per_group)?,
        write_time: time,
        last_check: time,
        creation_time: time,
        feature_compat: compat::HAS_JOURNAL | compat::EXT_ATTR | compat::RESIZE_INODE | compat::DIR_INDEX,
        feature_incompat: incompat::FILETYPE | incompat::EXTENTS | incompat::SIXTY_FOUR_BIT | incompat::FLEX_BG,
        feature_ro_compat: ro_compat::SPARSE_SUPER
            | ro_compat::LARGE_FILE
            | ro_compat::HUGE_FILE
            | ro_compat::DIR_NLINK
            | ro_compat::EXTRA_ISIZE
            | ro_compat::METADATA_CSUM,
        uuid: options.uuid,
        volume_name: label(&options.label)?,
        reserved_gdt_blocks: u16::try_from(DESCRIPTOR_AREA - shape.descriptor_blocks()).unwrap_or(0),
        journal_inode: inode_number::JOURNAL,
        hash_seed: options.hash_seed,
        journal_backup_type: JOURNAL_BACKUP_BLOCKS,
        journal_blocks,
        default_mount_options: MOUNT_XATTR_USER | MOUNT_ACL,
        flags: FLAG_SIGNED_HASH,
        log_groups_per_flex: LOG_GROUPS_PER_FLEX,
        overhead_blocks: count(shape.overhead())?,
        ..Superblock::default()
    })
}

/// `s_volume_name`.
pub(super) fn label(label: &[u8]) -> Result<[u8; 16], Error> {
    let wrong = |reason| Error::Label { label: label.to_vec(), reason };
    let mut name = [0; 16];
    let place = name.get_mut(..label.len()).ok_or_else(|| wrong("is longer than 16 bytes"))?;
    if label.contains(&0) {
        return Err(wrong("holds a NUL"));
    }
    place.copy_from_slice(label);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_cleared_exactly() {
        for (start, end) in [(0, 0), (0, 1), (3, 5), (5, 8), (7, 9), (0, 64), (3, 77), (32_760, 32_768)] {
            let mut bitmap = [0xFF; BLOCK_BYTES];
            clear(&mut bitmap, start, end);
            for bit in 0..32_768 {
                let set = bitmap[bit as usize / 8] >> (bit % 8) & 1 == 1;
                assert_eq!(set, bit < start || bit >= end, "{start}..{end}: bit {bit}");
            }
        }
    }

    #[test]
    fn labels_fit_or_are_refused() {
        assert_eq!(&label(b"banger").unwrap(), b"banger\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(&label(&[b'x'; 16]).unwrap(), &[b'x'; 16]);
        assert!(label(&[b'x'; 17]).is_err());
        assert!(label(b"a\0b").is_err());
    }
}
