//! Sets of extended attributes, each distinct set stored once.
//!
//! Hardly any file has attributes, and those that have share a few sets (one capability, one label). A file therefore
//! carries a four-byte [`XattrId`]; the sets stand in an [`XattrTable`], encoded one behind the other.
//!
//! Within a set the names are sorted by their bytes and distinct, so that equal sets have equal bytes.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::limits;

/// A set of extended attributes in an [`XattrTable`]. Means something together with that table only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct XattrId(u32);

impl XattrId {
    /// The set without attributes, the same in every table.
    pub const EMPTY: Self = Self(0);
}

/// The table cannot take another set: there are too many, or they are too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} sets or {} bytes of extended attributes", limits::XATTR_SETS, limits::LAYER_TEXT_BYTES)]
pub struct XattrsFull;

/// Interned sets of extended attributes.
///
/// ```
/// # use banger_layers::xattr::{XattrId, XattrTable};
/// let mut table = XattrTable::new();
/// let set = table.intern(&[(b"user.b", b"2"), (b"user.a", b"1")])?;
/// assert_eq!(set, table.intern(&[(b"user.a", b"1"), (b"user.b", b"2")])?);
/// assert_eq!(table.get(set).collect::<Vec<_>>(), [(&b"user.a"[..], &b"1"[..]), (b"user.b", b"2")]);
/// assert_eq!(table.intern(&[])?, XattrId::EMPTY);
/// # Ok::<(), banger_layers::xattr::XattrsFull>(())
/// ```
#[derive(Default)]
pub struct XattrTable {
    bytes: Vec<u8>,
    /// Where in `bytes` each set ends; the empty set, which ends where it starts, is not in it.
    ends: Vec<u32>,
    by_content: HashTable<u32>,
    hasher: RandomState,
}

impl XattrTable {
    /// A table that knows the empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of the set with these attributes (names with their prefix, as in `security.capability`).
    ///
    /// The order does not matter. Of a name given twice the last counts.
    ///
    /// # Errors
    /// [`XattrsFull`] beyond [`limits::XATTR_SETS`] sets or [`limits::LAYER_TEXT_BYTES`] bytes.
    pub fn intern(&mut self, attributes: &[(&[u8], &[u8])]) -> Result<XattrId, XattrsFull> {
        if attributes.is_empty() {
            return Ok(XattrId::EMPTY);
        }
        let mut sorted = attributes.to_vec();
        // The last of equal names comes first, because the sort is stable and `dedup` keeps the first.
        sorted.reverse();
        sorted.sort_by_key(|(name, _)| *name);
        sorted.dedup_by_key(|(name, _)| *name);

        let mut encoded = Vec::new();
        for (name, value) in sorted {
            for part in [name, value] {
                encoded.extend(u32::try_from(part.len()).map_err(|_| XattrsFull)?.to_le_bytes());
                encoded.extend(part);
            }
        }
        self.intern_encoded(&encoded)
    }

    /// The id that this table has for a set of `other`.
    pub(crate) fn adopt(&mut self, other: &Self, id: XattrId) -> Result<XattrId, XattrsFull> {
        self.intern_encoded(other.encoded(id))
    }

    fn intern_encoded(&mut self, encoded: &[u8]) -> Result<XattrId, XattrsFull> {
        if encoded.is_empty() {
            return Ok(XattrId::EMPTY);
        }
        let hash = self.hasher.hash_one(encoded);
        let Self { bytes, ends, by_content, hasher } = self;
        if let Some(&found) = by_content.find(hash, |&id| slice(bytes, ends, XattrId(id)) == encoded) {
            return Ok(XattrId(found));
        }
        if ends.len() >= limits::XATTR_SETS || bytes.len() + encoded.len() > limits::LAYER_TEXT_BYTES {
            return Err(XattrsFull);
        }
        bytes.extend(encoded);
        ends.push(u32::try_from(bytes.len()).map_err(|_| XattrsFull)?);
        let id = u32::try_from(ends.len()).map_err(|_| XattrsFull)?;
        by_content.insert_unique(hash, id, |&id| hasher.hash_one(slice(bytes, ends, XattrId(id))));
        Ok(XattrId(id))
    }

    /// The attributes of a set, sorted by name. An id of another table gives an arbitrary set or none.
    pub fn get(&self, id: XattrId) -> Xattrs<'_> {
        Xattrs { rest: self.encoded(id) }
    }

    fn encoded(&self, id: XattrId) -> &[u8] {
        slice(&self.bytes, &self.ends, id)
    }

    /// Distinct sets, the empty one not counted.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the empty set is the only one.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of names and values stored, with their length fields.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], id: XattrId) -> &'a [u8] {
    let end_of = |number: Option<usize>| number.and_then(|n| ends.get(n)).map_or(0, |&end| end as usize);
    let Some(last) = (id.0 as usize).checked_sub(1) else {
        return &[];
    };
    bytes.get(end_of(last.checked_sub(1))..end_of(Some(last))).unwrap_or_default()
}

impl fmt::Debug for XattrTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XattrTable").field("sets", &self.ends.len()).field("bytes", &self.bytes.len()).finish()
    }
}

/// The attributes of one set: pairs of name and value, sorted by name.
#[derive(Debug, Clone)]
pub struct Xattrs<'a> {
    rest: &'a [u8],
}

impl<'a> Xattrs<'a> {
    fn part(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(part)
    }
}

impl<'a> Iterator for Xattrs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.part()?, self.part()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_the_last_of_a_name_counts() {
        let mut table = XattrTable::new();
        let plain = table.intern(&[(b"user.a", b"1")]).unwrap();
        let twice = table.intern(&[(b"user.a", b"0"), (b"user.a", b"1")]).unwrap();
        let other = table.intern(&[(b"user.a", b"")]).unwrap();
        let long = vec![7; 70_000];
        let large = table.intern(&[(b"user.big\n", &long), (b"user.a", b"1")]).unwrap();
        assert_eq!(plain, twice);
        assert_eq!(table.len(), 3);
        assert_eq!(table.get(other).collect::<Vec<_>>(), [(&b"user.a"[..], &b""[..])]);
        assert_eq!(table.get(large).collect::<Vec<_>>(), [(&b"user.a"[..], &b"1"[..]), (b"user.big\n", &long)]);
        assert_eq!(table.get(XattrId::EMPTY).count(), 0);
    }

    #[test]
    fn sets_move_between_tables() {
        let mut from = XattrTable::new();
        let mut to = XattrTable::new();
        to.intern(&[(b"user.x", b"y")]).unwrap();
        let id = from.intern(&[(b"security.capability", b"\x01\0\0\x02")]).unwrap();
        let adopted = to.adopt(&from, id).unwrap();
        assert!(from.get(id).eq(to.get(adopted)));
        assert_eq!(to.adopt(&from, XattrId::EMPTY).unwrap(), XattrId::EMPTY);
    }
}
