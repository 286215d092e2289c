//! Hashed directories: an index over linear blocks, by the hash of the names.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#hash-tree-directories>. The first block of the directory is
//! the root, further index nodes may follow, and the leaves are [linear blocks](super::dirent). Root and nodes look to
//! an old reader like linear blocks without entries.
//!
//! An index entry says from which hash on its block holds the names. The lowest bit of that hash is set where names of
//! that very hash stand in the block before too, as happens where names collide at the edge of a leaf.

use super::bytes::{get8, get16, get32, put, put8, put16, put32};
use super::dirent::record_len;
use super::{FileType, Seed, SpecError, at_least, checksum, verify};

pub use super::hash::{Hash, HashVersion, Hasher};

const ROOT: &str = "hash tree root";
const NODE: &str = "hash tree node";

/// Bytes of an index entry.
const ENTRY_BYTES: usize = 8;
/// Bytes of the checksum at the end of a root or node.
const TAIL_BYTES: usize = 8;
/// Bytes of the records of `.` and of `..` at least.
const DOT_BYTES: usize = 12;
/// `dx_root_info`, in the root.
const INFO_AT: usize = 0x18;
/// Bytes of it, `info_length`.
const INFO_BYTES: u8 = 8;
/// Where the entries of the root begin.
const ROOT_ENTRIES_AT: usize = 0x20;
/// Where the entries of a node begin.
const NODE_ENTRIES_AT: usize = 8;
/// Levels of nodes between the root and the leaves at most: 1, or with `largedir` 2.
pub const LEVELS_MAX: u8 = 2;
/// Set in the hash of an index entry whose block continues the names of that hash from the block before.
pub const CONTINUED: u32 = 1;

/// An entry of a root or node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The lowest hash in the block, with [`CONTINUED`]. The first entry of a block has no hash on the disk: it counts
    /// as 0.
    pub hash: u32,
    /// The block, counted in the directory.
    pub block: u32,
}

/// The root of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// `hash_version`: the number of a [`HashVersion`], as it stands.
    pub hash_version: u8,
    /// `indirect_levels`: levels of nodes between the root and the leaves.
    pub levels: u8,
    /// Sorted by hash, at least one.
    pub entries: Vec<IndexEntry>,
}

/// Entries of a root in a block of `block_bytes` bytes: with checksums, 507 of 4096.
#[must_use]
pub const fn root_capacity(block_bytes: usize) -> usize {
    block_bytes.saturating_sub(ROOT_ENTRIES_AT + TAIL_BYTES) / ENTRY_BYTES
}

/// Entries of a node in a block of `block_bytes` bytes: with checksums, 510 of 4096.
#[must_use]
pub const fn node_capacity(block_bytes: usize) -> usize {
    block_bytes.saturating_sub(NODE_ENTRIES_AT + TAIL_BYTES) / ENTRY_BYTES
}

/// Writes the root of directory `own` in `parent` over all of `out`, with its checksum. `seed` is the directory's.
///
/// There are 1 to [`root_capacity`] entries.
pub fn encode_root(own: u32, parent: u32, root: &Root, seed: Seed, out: &mut [u8]) {
    out.fill(0);
    let rest = out.len().saturating_sub(DOT_BYTES);
    let (dot, dot_dot) = out.split_at_mut(out.len().min(DOT_BYTES));
    for (record, inode, name, len) in [(dot, own, &b"."[..], DOT_BYTES), (dot_dot, parent, b"..", rest)] {
        put32(record, 0, inode);
        put16(record, 4, record_len(len));
        put8(record, 6, if name.len() == 1 { 1 } else { 2 });
        put8(record, 7, FileType::Directory.entry_code());
        put(record, 8, name);
    }
    put8(out, INFO_AT + 4, root.hash_version);
    put8(out, INFO_AT + 5, INFO_BYTES);
    put8(out, INFO_AT + 6, root.levels);
    encode_entries(&root.entries, root_capacity(out.len()), ROOT_ENTRIES_AT, seed, out);
}

/// Writes a node over all of `out`, with its checksum. `seed` is the directory's.
///
/// There are 1 to [`node_capacity`] entries.
pub fn encode_node(entries: &[IndexEntry], seed: Seed, out: &mut [u8]) {
    out.fill(0);
    let len = record_len(out.len());
    put16(out, 4, len);
    encode_entries(entries, node_capacity(out.len()), NODE_ENTRIES_AT, seed, out);
}

fn encode_entries(entries: &[IndexEntry], capacity: usize, at: usize, seed: Seed, out: &mut [u8]) {
    debug_assert!((1..=capacity).contains(&entries.len()), "{} entries where {capacity} fit", entries.len());
    let Some(area) = out.get_mut(at..) else {
        return;
    };
    for (place, entry) in area.chunks_exact_mut(ENTRY_BYTES).zip(entries) {
        put32(place, 0, entry.hash);
        put32(place, 4, entry.block);
    }
    // dx_countlimit stands where the first entry's hash would.
    put16(area, 0, record_len(capacity));
    put16(area, 2, record_len(entries.len()));
    let sum = checksum::hash_block(seed, out.get(..used_end(at, entries.len())).unwrap_or(&[]), 0);
    put32(out, used_end(at, capacity).saturating_add(4), sum);
}

/// Where `count` entries end that begin at `at`.
fn used_end(at: usize, count: usize) -> usize {
    at.saturating_add(count.saturating_mul(ENTRY_BYTES))
}

/// Reads the root of a hashed directory, its first block. `seed` is the directory's, given where the file system has
/// `metadata_csum`.
///
/// # Errors
/// [`SpecError`] for a wrong checksum, for counts that do not fit the block, and for hashes that are not sorted.
pub fn decode_root(seed: Option<Seed>, block: &[u8]) -> Result<Root, SpecError> {
    at_least(ROOT, block, ROOT_ENTRIES_AT)?;
    let (hash_version, info_length, levels) =
        (get8(block, INFO_AT + 4), get8(block, INFO_AT + 5), get8(block, INFO_AT + 6));
    if info_length != INFO_BYTES {
        return Err(SpecError::value(ROOT, "info_length", info_length, "not 8"));
    }
    if levels > LEVELS_MAX {
        return Err(SpecError::value(ROOT, "indirect_levels", levels, "deeper than a tree can be"));
    }
    let entries = decode_entries(ROOT, seed, ROOT_ENTRIES_AT, block)?;
    Ok(Root { hash_version, levels, entries })
}

/// Whether a block of a hashed directory, other than its first, is a node and not a leaf: one unused record fills it.
#[must_use]
pub fn is_node(block: &[u8]) -> bool {
    // In a block of 64 KiB the length is written as 65535, or as 0.
    let len = get16(block, 4);
    let fills = usize::from(len) == block.len() || (block.len() > usize::from(u16::MAX) && matches!(len, 0 | u16::MAX));
    get32(block, 0) == 0 && get8(block, 6) == 0 && fills
}

/// Reads a node of a hashed directory, which is neither root nor leaf. `seed` is the directory's, given where the file
/// system has `metadata_csum`.
///
/// # Errors
/// [`SpecError`] for a wrong checksum, for counts that do not fit the block, and for hashes that are not sorted.
pub fn decode_node(seed: Option<Seed>, block: &[u8]) -> Result<Vec<IndexEntry>, SpecError> {
    decode_entries(NODE, seed, NODE_ENTRIES_AT, block)
}

fn decode_entries(
    structure: &'static str,
    seed: Option<Seed>,
    at: usize,
    block: &[u8],
) -> Result<Vec<IndexEntry>, SpecError> {
    let area = at_least(structure, block, block.len().max(at.saturating_add(ENTRY_BYTES)))?.get(at..).unwrap_or(&[]);
    let (limit, count) = (get16(area, 0), get16(area, 2));
    let tail = if seed.is_some() { TAIL_BYTES } else { 0 };
    if usize::from(limit) > area.len().saturating_sub(tail) / ENTRY_BYTES {
        return Err(SpecError::value(structure, "limit", limit, "more than there is room for"));
    }
    if count == 0 || count > limit {
        return Err(SpecError::value(structure, "count", count, "not between 1 and the limit"));
    }
    if let Some(seed) = seed {
        let tail = block.get(used_end(at, limit.into())..).unwrap_or(&[]);
        let used = block.get(..used_end(at, count.into())).unwrap_or(block);
        verify(structure, get32(tail, 4), checksum::hash_block(seed, used, get32(tail, 0)))?;
    }
    let mut entries: Vec<IndexEntry> = Vec::new();
    for place in area.chunks_exact(ENTRY_BYTES).take(count.into()) {
        let hash = if entries.is_empty() { 0 } else { get32(place, 0) };
        if entries.last().is_some_and(|before| before.hash > hash) {
            return Err(SpecError::value(structure, "hash", hash, "below the entry before"));
        }
        entries.push(IndexEntry { hash, block: get32(place, 4) });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(count: u32) -> Vec<IndexEntry> {
        (0..count).map(|i| IndexEntry { hash: i * 1000, block: i + 1 }).collect()
    }

    #[test]
    fn capacities() {
        assert_eq!((root_capacity(4096), node_capacity(4096)), (507, 510));
    }

    #[test]
    fn roots_survive_encoding() {
        let seed = Seed::from_raw(8);
        for count in [1, 2, 507] {
            let root = Root { hash_version: 1, levels: 1, entries: index(count) };
            let mut block = vec![0xAA; 4096];
            encode_root(12, 2, &root, seed, &mut block);
            assert_eq!(decode_root(Some(seed), &block).unwrap(), root);
            assert!(decode_root(Some(Seed::from_raw(9)), &block).is_err());
            let names: Vec<_> = super::super::dirent::entries(&block).map(|e| e.unwrap()).collect();
            assert_eq!(names.iter().map(|e| (e.inode, e.name)).collect::<Vec<_>>(), [(12, &b"."[..]), (2, b"..")]);
        }
    }

    #[test]
    fn nodes_survive_encoding() {
        let seed = Seed::from_raw(8);
        for count in [1, 510] {
            let mut block = vec![0xAA; 4096];
            encode_node(&index(count), seed, &mut block);
            assert_eq!(decode_node(Some(seed), &block).unwrap(), index(count));
            assert_eq!(super::super::dirent::entries(&block).count(), 0);
            assert!(is_node(&block));
            block[14] ^= 1;
            assert!(matches!(decode_node(Some(seed), &block), Err(SpecError::Checksum { .. })));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let root = Root { hash_version: 1, levels: 0, entries: index(5) };
        let broken = |at: usize, value: u8| {
            let mut block = vec![0; 4096];
            encode_root(12, 2, &root, Seed::from_raw(0), &mut block);
            block[at] = value;
            decode_root(None, &block).unwrap_err().to_string()
        };
        assert!(broken(0x1D, 9).contains("info_length"));
        assert!(broken(0x1E, 3).contains("indirect_levels"));
        assert!(broken(0x21, 2).contains("limit is 763"));
        assert!(broken(0x22, 0).contains("count is 0"));
        assert!(broken(0x23, 2).contains("count is 517"));
        assert!(broken(0x2B, 1).contains("hash"));
        assert!(decode_root(None, &[0; 20]).is_err());
        assert!(decode_node(None, &[0; 15]).is_err());
    }
}
