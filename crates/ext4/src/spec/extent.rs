//! Extent trees: where the blocks of a file stand.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#extent-tree>. A node is a header and entries of 12 bytes
//! each, sorted by logical block. The root stands in the inode's `i_block`, has room for [`ROOT_CAPACITY`] entries and
//! no checksum of its own; the others fill a block and end in a checksum.

use super::bytes::{get16, get32, high32, join, low16, low32, put16, put32};
use super::{Seed, SpecError, at_least, checksum, verify};

const NAME: &str = "extent node";

/// `eh_magic`.
pub const MAGIC: u16 = 0xF30A;
/// Bytes of the header, of an extent, and of an index entry alike.
pub const ENTRY_BYTES: usize = 12;
/// Entries of the root in the inode.
pub const ROOT_CAPACITY: usize = 4;
/// The deepest tree that the kernel takes: five levels of index above the leaves.
pub const DEPTH_MAX: u16 = 5;
/// Blocks that one extent covers at most. `ee_len` beyond it marks an unwritten extent.
pub const LENGTH_MAX: u32 = 32768;
/// Blocks of the longest extent that is written: one less, as in libext2fs (`EXT_UNINIT_MAX_LEN`). Some readers take
/// [`LENGTH_MAX`] itself for the mark of an unwritten extent, and read zeros.
pub const WRITTEN_MAX: u32 = LENGTH_MAX - 1;
/// Bytes of the checksum at the end of a node in a block.
const TAIL_BYTES: usize = 4;

/// Consecutive blocks of a file that stand in consecutive blocks of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// `ee_block`: the first block, counted in the file.
    pub logical: u32,
    /// `ee_len`: number of blocks, 1 to [`LENGTH_MAX`] ([`LENGTH_MAX`] - 1 if unwritten).
    pub len: u32,
    /// `ee_start_lo` and `_hi`, 48 bits: the first block, counted in the file system.
    pub start: u64,
    /// Whether the blocks are allocated but were never written, and so read as zeros.
    pub unwritten: bool,
}

/// A node further down, and what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentIndex {
    /// `ei_block`: the first block of the file that the child covers.
    pub logical: u32,
    /// `ei_leaf_lo` and `_hi`, 48 bits: the block of the child.
    pub child: u64,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// The lowest level: extents.
    Leaf(Vec<Extent>),
    /// A level above.
    Index {
        /// `eh_depth`: levels below this one, 1 to [`DEPTH_MAX`].
        depth: u16,
        /// The nodes of the next level, at least one.
        children: Vec<ExtentIndex>,
    },
}

/// Entries of a node of `bytes` bytes: 4 in an inode, 340 in a block of 4096 bytes.
#[must_use]
pub const fn capacity(bytes: usize) -> usize {
    bytes.saturating_sub(ENTRY_BYTES) / ENTRY_BYTES
}

/// Writes a leaf over all of `out`, the 60 bytes of `i_block` or a block (which [`seal`] then completes).
///
/// There are at most [`capacity`] extents, sorted, none overlapping another.
pub fn encode_leaf(extents: &[Extent], out: &mut [u8]) {
    encode_header(extents.len(), 0, out);
    for (place, extent) in out.chunks_exact_mut(ENTRY_BYTES).skip(1).zip(extents) {
        put32(place, 0, extent.logical);
        let unwritten = if extent.unwritten { LENGTH_MAX } else { 0 };
        put16(place, 4, low16(extent.len.saturating_add(unwritten)));
        put16(place, 6, low16(high32(extent.start)));
        put32(place, 8, low32(extent.start));
    }
}

/// Writes an index node, with `depth` levels below it, over all of `out`, the 60 bytes of `i_block` or a block (which
/// [`seal`] then completes).
///
/// There are at most [`capacity`] children, sorted.
pub fn encode_index(depth: u16, children: &[ExtentIndex], out: &mut [u8]) {
    encode_header(children.len(), depth, out);
    for (place, index) in out.chunks_exact_mut(ENTRY_BYTES).skip(1).zip(children) {
        put32(place, 0, index.logical);
        put32(place, 4, low32(index.child));
        put16(place, 8, low16(high32(index.child)));
    }
}

fn encode_header(entries: usize, depth: u16, out: &mut [u8]) {
    let max = capacity(out.len());
    debug_assert!(entries <= max, "{entries} entries in a node for {max}");
    out.fill(0);
    put16(out, 0, MAGIC);
    put16(out, 2, count(entries));
    put16(out, 4, count(max));
    put16(out, 6, depth);
}

/// A number of entries: of at most 64 KiB, so that it fits.
fn count(entries: usize) -> u16 {
    u16::try_from(entries).unwrap_or(u16::MAX)
}

/// Writes the checksum at the end of a node in a block. `seed` is the inode's.
pub fn seal(seed: Seed, block: &mut [u8]) {
    let at = tail_at(get16(block, 4));
    let sum = checksum::extent_block(seed, block.get(..at).unwrap_or(&[]));
    put32(block, at, sum);
}

/// Where the tail stands: behind as many entries as the node could have.
fn tail_at(max: u16) -> usize {
    usize::from(max).saturating_add(1).saturating_mul(ENTRY_BYTES)
}

/// Reads a node: `i_block`, or a block. `seed` is the inode's, given where there is a checksum to check: in a block
/// of a file system with `metadata_csum`.
///
/// # Errors
/// [`SpecError`] for a wrong magic number or checksum, entries that are not sorted or overlap, an empty extent, an
/// empty index, and a tree too deep.
pub fn decode(seed: Option<Seed>, bytes: &[u8]) -> Result<Node, SpecError> {
    at_least(NAME, bytes, ENTRY_BYTES)?;
    let magic = get16(bytes, 0);
    if magic != MAGIC {
        return Err(SpecError::Magic { structure: NAME, found: magic.into() });
    }
    let (entries, max, depth) = (get16(bytes, 2), get16(bytes, 4), get16(bytes, 6));
    if usize::from(max) > capacity(bytes.len()) {
        return Err(SpecError::value(NAME, "eh_max", max, "more than there is room for"));
    }
    if entries > max {
        return Err(SpecError::value(NAME, "eh_entries", entries, "more than eh_max"));
    }
    if depth > DEPTH_MAX {
        return Err(SpecError::value(NAME, "eh_depth", depth, "deeper than a tree can be"));
    }
    if let Some(seed) = seed {
        let at = tail_at(max);
        at_least(NAME, bytes, at.saturating_add(TAIL_BYTES))?;
        let computed = checksum::extent_block(seed, bytes.get(..at).unwrap_or(bytes));
        verify(NAME, get32(bytes, at), computed)?;
    }
    let places = bytes.chunks_exact(ENTRY_BYTES).skip(1).take(entries.into());
    if depth == 0 { decode_leaf(places) } else { decode_index(depth, places) }
}

fn decode_leaf<'a>(places: impl Iterator<Item = &'a [u8]>) -> Result<Node, SpecError> {
    let mut end = 0_u64;
    let mut extents = Vec::new();
    for place in places {
        let logical = get32(place, 0);
        let field = u32::from(get16(place, 4));
        let unwritten = field > LENGTH_MAX;
        let len = if unwritten { field.saturating_sub(LENGTH_MAX) } else { field };
        if len == 0 {
            return Err(SpecError::value(NAME, "ee_len", field, "an empty extent"));
        }
        if u64::from(logical) < end {
            return Err(SpecError::value(NAME, "ee_block", logical, "before the end of the extent before"));
        }
        end = u64::from(logical).saturating_add(len.into());
        if end > 1 << 32 {
            return Err(SpecError::value(NAME, "ee_len", len, "beyond the last block of a file"));
        }
        extents.push(Extent { logical, len, start: join(get32(place, 8), get16(place, 6).into()), unwritten });
    }
    Ok(Node::Leaf(extents))
}

fn decode_index<'a>(depth: u16, places: impl Iterator<Item = &'a [u8]>) -> Result<Node, SpecError> {
    let mut children: Vec<ExtentIndex> = Vec::new();
    for place in places {
        let logical = get32(place, 0);
        if children.last().is_some_and(|before| before.logical >= logical) {
            return Err(SpecError::value(NAME, "ei_block", logical, "not after the entry before"));
        }
        children.push(ExtentIndex { logical, child: join(get32(place, 4), get16(place, 8).into()) });
    }
    if children.is_empty() {
        return Err(SpecError::value(NAME, "eh_entries", 0_u32, "an index without children"));
    }
    Ok(Node::Index { depth, children })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(count: u32) -> Vec<Extent> {
        (0..count)
            .map(|i| Extent {
                logical: i * 40_000,
                len: 32768 - (i % 2),
                start: 0x7FFF_0000_0000 + u64::from(i),
                unwritten: i % 2 == 1,
            })
            .collect()
    }

    #[test]
    fn capacities() {
        assert_eq!(capacity(60), ROOT_CAPACITY);
        assert_eq!([1024, 2048, 4096].map(capacity), [84, 169, 340]);
    }

    #[test]
    fn leaves_survive_encoding() {
        let seed = Seed::from_raw(5);
        let mut root = [0xAA; 60];
        encode_leaf(&extents(4), &mut root);
        assert_eq!(decode(None, &root).unwrap(), Node::Leaf(extents(4)));

        let mut block = [0xAA; 4096];
        encode_leaf(&extents(340), &mut block);
        seal(seed, &mut block);
        assert_eq!(decode(Some(seed), &block).unwrap(), Node::Leaf(extents(340)));
        for at in [0, 2, 12, 4091, 4092, 4095] {
            let mut broken = block;
            broken[at] ^= 1;
            assert!(decode(Some(seed), &broken).is_err(), "byte {at}");
        }
    }

    #[test]
    fn indexes_survive_encoding() {
        let children: Vec<ExtentIndex> =
            (0..4).map(|i| ExtentIndex { logical: i * 9, child: 0xFFFF_0000_0000 + u64::from(i) }).collect();
        let mut root = [0; 60];
        encode_index(3, &children, &mut root);
        assert_eq!(decode(None, &root).unwrap(), Node::Index { depth: 3, children });
    }

    #[test]
    fn an_empty_file_has_an_empty_leaf() {
        let mut root = [0; 60];
        encode_leaf(&[], &mut root);
        assert_eq!(decode(None, &root).unwrap(), Node::Leaf(vec![]));
    }

    #[test]
    fn nonsense_is_refused() {
        let extent = |logical, len| Extent { logical, len, start: 1, unwritten: false };
        let leaf = |entries: &[Extent]| {
            let mut root = [0; 60];
            encode_leaf(entries, &mut root);
            decode(None, &root).unwrap_err().to_string()
        };
        assert!(leaf(&[extent(5, 2), extent(6, 1)]).contains("ee_block is 6"));
        assert!(leaf(&[extent(0, 0)]).contains("ee_len is 0"));
        assert!(leaf(&[extent(u32::MAX, 2)]).contains("ee_len is 2"));

        let field = |at: usize, value: u8| {
            let mut root = [0; 60];
            encode_leaf(&extents(4), &mut root);
            root[at] = value;
            decode(None, &root).unwrap_err().to_string()
        };
        assert!(field(0, 0).contains("magic"));
        assert!(field(2, 5).contains("eh_entries"));
        assert!(field(4, 5).contains("eh_max"));
        assert!(field(6, 6).contains("eh_depth"));
        assert!(decode(None, &[0x0A, 0xF3]).is_err());

        let mut root = [0; 60];
        encode_index(1, &[], &mut root);
        assert!(decode(None, &root).is_err());
    }
}
