//! Extended attributes: in the space that an inode has left, then in one block.
//!
//! <https://docs.kernel.org/filesystems/ext4/dynamic.html#extended-attributes>. Both forms are a list of entries that
//! grows from the front, ends in four zero bytes, and points to values that grow from the back. A name's well-known
//! prefix is a number. Attributes whose value stands in an inode of its own (`ea_inode`) are not written, and read as
//! an error.
//!
//! POSIX ACLs have another form on disk than in system calls: [`super::acl`] converts.

use super::bytes::{get8, get16, get32, put, put8, put16, put32};
use super::{NAME_MAX, Seed, SpecError, at_least, checksum, verify};

const NAME: &str = "xattr";
const BLOCK: &str = "xattr block";

/// `h_magic`, of the block and of the inode body alike.
pub const MAGIC: u32 = 0xEA02_0000;
/// Bytes of the block's header.
pub const BLOCK_HEADER_BYTES: usize = 32;
/// Bytes of the inode body's header.
pub const BODY_HEADER_BYTES: usize = 4;
/// Zero bytes that end the list of entries.
pub const END_BYTES: usize = 4;
/// Bytes of an entry before its name.
const ENTRY_HEADER_BYTES: usize = 16;
/// Entries and values take multiples of this.
const ALIGNMENT: usize = 4;
/// Offset of `h_checksum` in the block's header.
const CHECKSUM_AT: usize = 0x10;

/// The field that an error names for a value that stands in an inode of its own.
pub const VALUE_INODE: &str = "e_value_inum";

/// `e_name_index`: the prefix of a name, as a number.
pub mod index {
    /// `user.`
    pub const USER: u8 = 1;
    /// `system.posix_acl_access`, with nothing after it.
    pub const ACL_ACCESS: u8 = 2;
    /// `system.posix_acl_default`, with nothing after it.
    pub const ACL_DEFAULT: u8 = 3;
    /// `trusted.`
    pub const TRUSTED: u8 = 4;
    /// `security.`
    pub const SECURITY: u8 = 6;
    /// `system.`
    pub const SYSTEM: u8 = 7;
}

/// Prefixes and their numbers. ACLs come before `system.`, of which they are special cases.
const PREFIXES: [(u8, &[u8]); 6] = [
    (index::ACL_ACCESS, b"system.posix_acl_access"),
    (index::ACL_DEFAULT, b"system.posix_acl_default"),
    (index::USER, b"user."),
    (index::TRUSTED, b"trusted."),
    (index::SECURITY, b"security."),
    (index::SYSTEM, b"system."),
];

/// Splits a full name (`user.mime_type`) into the number of its prefix and the rest, as an entry has them.
/// `None` if the prefix is unknown, or the rest is empty or longer than 255 bytes, or holds a NUL.
#[must_use]
pub fn split_name(full: &[u8]) -> Option<(u8, &[u8])> {
    let (number, rest) =
        PREFIXES.iter().find_map(|(number, prefix)| full.strip_prefix(*prefix).map(|rest| (*number, rest)))?;
    let is_acl = matches!(number, index::ACL_ACCESS | index::ACL_DEFAULT);
    let fits = if is_acl { rest.is_empty() } else { !rest.is_empty() && rest.len() <= NAME_MAX };
    (fits && !rest.contains(&0)).then_some((number, rest))
}

/// The full name of an entry. `None` if the number of its prefix is unknown.
#[must_use]
pub fn full_name(number: u8, rest: &[u8]) -> Option<Vec<u8>> {
    let (_, prefix) = PREFIXES.iter().find(|(known, _)| *known == number)?;
    Some([prefix, rest].concat())
}

/// An attribute as it stands on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XattrEntry<'a> {
    /// `e_name_index`: [`index`].
    pub index: u8,
    /// `e_name`: what follows the prefix, at most 255 bytes.
    pub name: &'a [u8],
    /// The value, in ext4's own form.
    pub value: &'a [u8],
}

impl XattrEntry<'_> {
    /// Bytes that the entry and its value take, in the body or in a block.
    #[must_use]
    pub fn space(&self) -> usize {
        padded(ENTRY_HEADER_BYTES.saturating_add(self.name.len())).saturating_add(padded(self.value.len()))
    }

    /// What entries are sorted by.
    fn key(&self) -> (u8, usize, &[u8]) {
        (self.index, self.name.len(), self.name)
    }

    /// `e_hash` of an entry in a block.
    fn hash(&self) -> u32 {
        let name = self.name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
        self.value.chunks(ALIGNMENT).fold(name, |hash, group| {
            let mut word = [0; ALIGNMENT];
            put(&mut word, 0, group);
            mix(hash, u32::from_le_bytes(word))
        })
    }
}

/// One step of the hash of a value, and of the hash of a block.
fn mix(hash: u32, word: u32) -> u32 {
    hash.rotate_left(16) ^ word
}

/// A length with its padding.
fn padded(bytes: usize) -> usize {
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX)
}

/// Sorts entries as a block must have them: by prefix, length of the name, and name.
pub fn sort(entries: &mut [XattrEntry<'_>]) {
    entries.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
}

/// Bytes that entries need in an inode's body; 0 for none.
#[must_use]
pub fn body_bytes(entries: &[XattrEntry<'_>]) -> usize {
    space(BODY_HEADER_BYTES, entries)
}

/// Bytes that entries need in a block; 0 for none.
#[must_use]
pub fn block_bytes(entries: &[XattrEntry<'_>]) -> usize {
    space(BLOCK_HEADER_BYTES, entries)
}

fn space(header: usize, entries: &[XattrEntry<'_>]) -> usize {
    if entries.is_empty() {
        return 0;
    }
    entries.iter().map(XattrEntry::space).fold(header.saturating_add(END_BYTES), usize::saturating_add)
}

/// Writes the body form over all of `out` (from the magic number to the end of the inode) and says whether the
/// entries fit. They need [`body_bytes`] bytes; without entries `out` is zeros.
#[must_use]
pub fn encode_body(entries: &[XattrEntry<'_>], out: &mut [u8]) -> bool {
    out.fill(0);
    if entries.is_empty() {
        return true;
    }
    if body_bytes(entries) > out.len() {
        return false;
    }
    put32(out, 0, MAGIC);
    // Offsets of values count from the first entry, and hashes are left out.
    let Some(area) = out.get_mut(BODY_HEADER_BYTES..) else { return false };
    encode_entries(entries, 0, |_| 0, area);
    true
}

/// Writes the block form over all of `out` and says whether the entries fit. They need [`block_bytes`] bytes and are
/// [sorted](sort). `references` is the number of inodes that share the block. [`seal_block`] completes the block once
/// its place is known.
#[must_use]
pub fn encode_block(entries: &[XattrEntry<'_>], references: u32, out: &mut [u8]) -> bool {
    out.fill(0);
    if block_bytes(entries) > out.len() {
        return false;
    }
    encode_entries(entries, BLOCK_HEADER_BYTES, |entry| entry.hash(), out);
    put32(out, 0x0, MAGIC);
    put32(out, 0x4, references);
    put32(out, 0x8, 1);
    put32(out, 0xC, entries.iter().map(XattrEntry::hash).fold(0, mix));
    true
}

/// Writes entries from `at` on and values from the end of `area` back.
fn encode_entries(entries: &[XattrEntry<'_>], at: usize, hash: fn(&XattrEntry<'_>) -> u32, area: &mut [u8]) {
    let (mut at, mut end) = (at, area.len());
    for entry in entries {
        let offset = end.saturating_sub(padded(entry.value.len()));
        let Some(place) = area.get_mut(at..) else { return };
        put8(place, 0, u8::try_from(entry.name.len()).unwrap_or(u8::MAX));
        put8(place, 1, entry.index);
        put32(place, 8, u32::try_from(entry.value.len()).unwrap_or(u32::MAX));
        put32(place, 12, hash(entry));
        put(place, ENTRY_HEADER_BYTES, entry.name);
        if !entry.value.is_empty() {
            put16(place, 2, u16::try_from(offset).unwrap_or(u16::MAX));
            put(area, offset, entry.value);
            end = offset;
        }
        at = at.saturating_add(padded(ENTRY_HEADER_BYTES.saturating_add(entry.name.len())));
    }
}

/// Writes the checksum of an xattr block that will stand at block `number`. `seed` is the file system's.
pub fn seal_block(seed: Seed, number: u64, block: &mut [u8]) {
    let sum = checksum::xattr_block(seed, number, block);
    put32(block, CHECKSUM_AT, sum);
}

/// Reads the attributes in an inode's body, from [`super::inode::body_xattrs`]. No magic number means no attributes.
///
/// # Errors
/// [`SpecError`] for entries or values that do not fit in the body.
pub fn decode_body(body: &[u8]) -> Result<Vec<XattrEntry<'_>>, SpecError> {
    if body.len() < BODY_HEADER_BYTES || get32(body, 0) != MAGIC {
        return Ok(Vec::new());
    }
    let area = body.get(BODY_HEADER_BYTES..).unwrap_or(&[]);
    decode_entries(area, 0)
}

/// Reads the attributes in the block at `number`. `seed` is the file system's, given where it has `metadata_csum`.
///
/// # Errors
/// [`SpecError`] for a wrong magic number or checksum, and for entries or values that do not fit in the block.
pub fn decode_block(seed: Option<Seed>, number: u64, block: &[u8]) -> Result<Vec<XattrEntry<'_>>, SpecError> {
    at_least(BLOCK, block, BLOCK_HEADER_BYTES)?;
    let magic = get32(block, 0);
    if magic != MAGIC {
        return Err(SpecError::Magic { structure: BLOCK, found: magic });
    }
    let blocks = get32(block, 0x8);
    if blocks != 1 {
        return Err(SpecError::value(BLOCK, "h_blocks", blocks, "not 1"));
    }
    if let Some(seed) = seed {
        verify(BLOCK, get32(block, CHECKSUM_AT), checksum::xattr_block(seed, number, block))?;
    }
    decode_entries(block, BLOCK_HEADER_BYTES)
}

fn decode_entries(area: &[u8], at: usize) -> Result<Vec<XattrEntry<'_>>, SpecError> {
    let mut entries = Vec::new();
    let mut at = at;
    loop {
        let place = area.get(at..).unwrap_or(&[]);
        // Names and indexes are never both zero: four zero bytes end the list. So does the end of the area.
        if place.len() < ENTRY_HEADER_BYTES || get32(place, 0) == 0 {
            return Ok(entries);
        }
        let (name_len, number) = (get8(place, 0), get8(place, 1));
        let (offset, inode, size) = (get16(place, 2), get32(place, 4), get32(place, 8));
        let Some(name) = place.get(ENTRY_HEADER_BYTES..).and_then(|rest| rest.get(..name_len.into())) else {
            return Err(SpecError::value(NAME, "e_name_len", name_len, "beyond the end"));
        };
        if inode != 0 {
            return Err(SpecError::value(NAME, VALUE_INODE, inode, "a value in an inode of its own"));
        }
        let value = match usize::try_from(size) {
            Ok(0) => Some(&[][..]),
            Ok(size) => area.get(offset.into()..).and_then(|rest| rest.get(..size)),
            Err(_) => None,
        };
        let Some(value) = value else {
            return Err(SpecError::value(NAME, "e_value_size", size, "beyond the end"));
        };
        entries.push(XattrEntry { index: number, name, value });
        at = at.saturating_add(padded(ENTRY_HEADER_BYTES.saturating_add(name.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<XattrEntry<'static>> {
        let mut entries = vec![
            XattrEntry { index: index::SECURITY, name: b"capability", value: &[1; 20] },
            XattrEntry { index: index::USER, name: b"long", value: b"seven b" },
            XattrEntry { index: index::USER, name: b"abc", value: b"" },
            XattrEntry { index: index::ACL_ACCESS, name: b"", value: &[2; 28] },
        ];
        sort(&mut entries);
        entries
    }

    #[test]
    fn names_have_prefixes() {
        type Case = (&'static [u8], Option<(u8, &'static [u8])>);
        let table: [Case; 11] = [
            (b"user.a", Some((1, b"a"))),
            (b"system.posix_acl_access", Some((2, b""))),
            (b"system.posix_acl_default", Some((3, b""))),
            (b"trusted.overlay.opaque", Some((4, b"overlay.opaque"))),
            (b"security.capability", Some((6, b"capability"))),
            (b"system.data", Some((7, b"data"))),
            (b"user.", None),
            (b"user.a\0b", None),
            (b"unknown.a", None),
            (b"system.posix_acl_access.more", None),
            (b"", None),
        ];
        for (full, want) in table {
            let got = split_name(full);
            assert_eq!(got, want, "{}", String::from_utf8_lossy(full));
            if let Some((number, rest)) = got {
                assert_eq!(full_name(number, rest).unwrap(), full);
            }
        }
        assert!(split_name(&[b"user.".as_slice(), &[b'x'; 255]].concat()).is_some());
        assert!(split_name(&[b"user.".as_slice(), &[b'x'; 256]].concat()).is_none());
        assert_eq!(full_name(0, b"x"), None);
    }

    #[test]
    fn sorted_by_prefix_then_length_then_name() {
        let order: Vec<_> = sample().iter().map(|entry| (entry.index, entry.name)).collect();
        assert_eq!(order, [(1, &b"abc"[..]), (1, b"long"), (2, b""), (6, b"capability")]);
    }

    #[test]
    fn bodies_survive_encoding() {
        let need = body_bytes(&sample());
        assert_eq!(need, 4 + 4 + 20 + (20 + 8) + (16 + 28) + (28 + 20));
        let mut body = vec![0xAA; need];
        assert!(encode_body(&sample(), &mut body));
        assert_eq!(decode_body(&body).unwrap(), sample());
        let mut short = vec![0; need - 1];
        assert!(!encode_body(&sample(), &mut short));
        assert!(encode_body(&[], &mut body));
        assert_eq!(decode_body(&body).unwrap(), []);
    }

    #[test]
    fn blocks_survive_encoding() {
        let seed = Seed::from_raw(1);
        let mut block = vec![0xAA; 4096];
        assert!(encode_block(&sample(), 3, &mut block));
        seal_block(seed, 99, &mut block);
        assert_eq!(decode_block(Some(seed), 99, &block).unwrap(), sample());
        assert!(decode_block(Some(seed), 98, &block).is_err());
        let mut exact = vec![0; block_bytes(&sample())];
        assert!(encode_block(&sample(), 1, &mut exact));
        assert_eq!(decode_block(None, 0, &exact).unwrap(), sample());
        exact.pop();
        assert!(!encode_block(&sample(), 1, &mut exact));
    }

    #[test]
    fn nonsense_is_refused() {
        let broken = |at: usize, value: u8| {
            let mut block = vec![0; 1024];
            assert!(encode_block(&sample(), 3, &mut block));
            block[at] = value;
            decode_block(None, 0, &block).map(|_| ()).unwrap_err().to_string()
        };
        assert!(broken(0, 1).contains("magic"));
        assert!(broken(8, 2).contains("h_blocks"));
        // The second entry, of `user.long`, begins at 52.
        assert!(broken(52 + 5, 1).contains("e_value_inum"));
        assert!(broken(52 + 9, 4).contains("e_value_size"));
        assert!(broken(52 + 3, 4).contains("e_value_size"));
        assert!(decode_block(None, 0, &[0; 31]).is_err());
    }
}
