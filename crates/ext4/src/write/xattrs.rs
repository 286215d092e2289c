//! Sets of extended attributes: kept once each, however many nodes have them, and encoded.
//!
//! Attributes go into the inode's spare 96 bytes first, in the order in which a block sorts them, as long as each still
//! fits; the others go into one block. Inodes with the same set share the block, up to [`SHARED_MAX`] of them: ACLs
//! and the like are mostly the same on whole trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Error;
use crate::spec::inode::BODY_XATTR_BYTES;
use crate::spec::xattr::{
    XattrEntry, block_bytes, body_bytes, encode_block, encode_body, full_name, index, sort, split_name,
};
use crate::spec::{BLOCK_BYTES, acl};

/// The most inodes that share a block, `EXT4_XATTR_REFCOUNT_MAX`.
pub(super) const SHARED_MAX: u32 = 1024;

/// A set of extended attributes of one [`Tree`](super::Tree), made by [`Tree::xattrs`](super::Tree::xattrs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Xattrs(u32);

impl Xattrs {
    /// No attributes: the same in every tree.
    pub const NONE: Self = Self(0);
}

/// The sets that there are. A set is kept packed: of each attribute the index, the name's and the value's
/// length, name, value.
#[derive(Debug, Default)]
pub(super) struct XattrSets {
    sets: Vec<Arc<[u8]>>,
    known: BTreeMap<Arc<[u8]>, Xattrs>,
}

impl XattrSets {
    pub(super) fn intern<'b>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'b [u8], &'b [u8])>,
    ) -> Result<Xattrs, Error> {
        let mut values = Vec::new();
        for (name, value) in pairs {
            let wrong = |reason: &dyn ToString| Error::Xattr { name: name.to_vec(), reason: reason.to_string() };
            let (number, rest) = split_name(name).ok_or_else(|| wrong(&"has a name that ext4 cannot hold"))?;
            let value = match number {
                index::ACL_ACCESS | index::ACL_DEFAULT => {
                    let disk = acl::to_disk(value).map_err(|e| wrong(&format!("is bad: {e}")))?;
                    if disk.is_empty() {
                        continue;
                    }
                    disk
                }
                // ext4 keeps its own things there, such as the data of inline files: a set that came from outside
                // must not be taken for them.
                index::SYSTEM => return Err(wrong(&"is in a namespace that ext4 keeps to itself")),
                _ => value.to_vec(),
            };
            values.push((number, rest, value));
        }
        let mut entries: Vec<XattrEntry<'_>> =
            values.iter().map(|(index, name, value)| XattrEntry { index: *index, name, value }).collect();
        sort(&mut entries);
        if entries.is_empty() {
            return Ok(Xattrs::NONE);
        }
        for (one, other) in entries.iter().zip(entries.iter().skip(1)) {
            if (one.index, one.name) == (other.index, other.name) {
                return Err(Error::Xattr {
                    name: full_name(one.index, one.name).unwrap_or_default(),
                    reason: "is there twice".into(),
                });
            }
        }
        check_space(&entries)?;
        self.keep(&pack(&entries))
    }

    fn keep(&mut self, packed: &[u8]) -> Result<Xattrs, Error> {
        if let Some(&known) = self.known.get(packed) {
            return Ok(known);
        }
        let number = u32::try_from(self.sets.len() + 1)
            .map_err(|_| Error::TooMany { what: "sets of extended attributes", limit: u32::MAX.into() })?;
        let packed: Arc<[u8]> = packed.into();
        self.sets.push(Arc::clone(&packed));
        self.known.insert(packed, Xattrs(number));
        Ok(Xattrs(number))
    }

    /// Number of sets; [`Xattrs`] are at most that.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The index of a set in lists of [`len`](Self::len) items.
    pub(super) fn index(set: Xattrs) -> Option<usize> {
        set.0.checked_sub(1).map(|index| index as usize)
    }

    /// Whether the set of this index needs a block.
    pub(super) fn needs_block(&self, set: usize) -> bool {
        !self.halves(set).1.is_empty()
    }

    /// The bytes of the set in an inode.
    pub(super) fn body(&self, set: usize) -> [u8; BODY_XATTR_BYTES] {
        let mut body = [0; BODY_XATTR_BYTES];
        let fits = encode_body(&self.halves(set).0, &mut body);
        debug_assert!(fits, "what goes into the inode was chosen to fit");
        body
    }

    /// The block of the set that `references` inodes share, but for its checksum.
    pub(super) fn block(&self, set: usize, references: u32, out: &mut [u8; BLOCK_BYTES]) {
        let fits = encode_block(&self.halves(set).1, references, out);
        debug_assert!(fits, "sets that do not fit are refused");
    }

    /// What of a set goes into the inode and what into the block.
    fn halves(&self, set: usize) -> (Vec<XattrEntry<'_>>, Vec<XattrEntry<'_>>) {
        split(unpack(self.sets.get(set).map_or(&[], |set| set)))
    }
}

/// What goes into the inode and what into the block, of a sorted set.
fn split<'a>(entries: impl IntoIterator<Item = XattrEntry<'a>>) -> (Vec<XattrEntry<'a>>, Vec<XattrEntry<'a>>) {
    let (mut body, mut block) = (Vec::new(), Vec::new());
    for entry in entries {
        body.push(entry);
        if body_bytes(&body) > BODY_XATTR_BYTES {
            body.pop();
            block.push(entry);
        }
    }
    (body, block)
}

fn check_space(entries: &[XattrEntry<'_>]) -> Result<(), Error> {
    let (body, block) = split(entries.iter().copied());
    if block_bytes(&block) <= BLOCK_BYTES {
        return Ok(());
    }
    let largest = entries.iter().max_by_key(|entry| entry.space());
    Err(Error::XattrsTooLarge {
        size: body_bytes(&body) + block_bytes(&block),
        largest: largest.and_then(|entry| full_name(entry.index, entry.name)).unwrap_or_default(),
    })
}

fn pack(entries: &[XattrEntry<'_>]) -> Vec<u8> {
    let mut packed = Vec::new();
    for entry in entries {
        // Both lengths fit: the set as a whole fits into a block.
        let value_len = u16::try_from(entry.value.len()).unwrap_or(u16::MAX);
        packed.push(entry.index);
        packed.push(u8::try_from(entry.name.len()).unwrap_or(u8::MAX));
        packed.extend(value_len.to_le_bytes());
        packed.extend(entry.name);
        packed.extend(entry.value);
    }
    packed
}

fn unpack(mut packed: &[u8]) -> impl Iterator<Item = XattrEntry<'_>> {
    std::iter::from_fn(move || {
        let (&[index, name_len, low, high], rest) = packed.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(name_len.into())?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        packed = rest;
        Some(XattrEntry { index, name, value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(sets: &mut XattrSets, pairs: &[(&[u8], &[u8])]) -> Result<Xattrs, Error> {
        sets.intern(pairs.iter().copied())
    }

    #[test]
    fn equal_sets_are_kept_once_whatever_their_order() {
        let mut sets = XattrSets::default();
        let one = intern(&mut sets, &[(b"user.a", b"1"), (b"security.b", b"2")]).unwrap();
        let two = intern(&mut sets, &[(b"security.b", b"2"), (b"user.a", b"1")]).unwrap();
        let three = intern(&mut sets, &[(b"user.a", b"2")]).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, three);
        assert_eq!(intern(&mut sets, &[]).unwrap(), Xattrs::NONE);
        assert_eq!(sets.len(), 2);
    }

    #[test]
    fn the_inode_is_filled_first() {
        let mut sets = XattrSets::default();
        let capability = [7; 20];
        let large = vec![8; 3900];
        let set = intern(&mut sets, &[(b"security.capability", &capability), (b"user.large", &large)]).unwrap();
        let (body, block) = sets.halves(XattrSets::index(set).unwrap());
        assert_eq!(body.len(), 1);
        assert_eq!((body[0].name, body[0].value), (&b"capability"[..], &capability[..]));
        assert_eq!((block[0].name, block[0].value.len()), (&b"large"[..], 3900));
        assert!(sets.needs_block(0));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let mut sets = XattrSets::default();
        // Header 32, end 4, entry 16 + 4.
        let most = vec![1; 4096 - 32 - 4 - 20];
        intern(&mut sets, &[(b"user.name", &most)]).unwrap();
        let more = vec![1; most.len() + 1];
        let error = intern(&mut sets, &[(b"user.s", b"x"), (b"user.name", &more)]).unwrap_err();
        assert!(matches!(&error, Error::XattrsTooLarge { largest, .. } if largest == b"user.name"), "{error}");
        for (name, value) in [
            (&b"user."[..], &b"x"[..]),
            (b"nobody.knows", b"x"),
            (b"system.data", b"x"),
            (b"system.posix_acl_access", b"x"),
        ] {
            let error = intern(&mut sets, &[(name, value)]).unwrap_err();
            assert!(matches!(&error, Error::Xattr { name: said, .. } if said == name), "{error}");
        }
        let twice = intern(&mut sets, &[(b"user.a", b"1"), (b"user.a", b"2")]);
        assert!(matches!(twice, Err(Error::Xattr { .. })));
    }

    #[test]
    fn an_acl_that_says_nothing_is_left_out() {
        let mut sets = XattrSets::default();
        let none = intern(&mut sets, &[(b"system.posix_acl_access", &2_u32.to_le_bytes())]);
        assert_eq!(none.unwrap(), Xattrs::NONE);
    }
}
