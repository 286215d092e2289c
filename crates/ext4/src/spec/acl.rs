//! POSIX ACLs: the form of system calls and archives, and ext4's own.
//!
//! `system.posix_acl_access` and `system.posix_acl_default` have in system calls, and so in tar archives, a version of
//! 2 and entries of 8 bytes (the kernel's `uapi/linux/posix_acl_xattr.h`). On disk ext4 keeps a version of 1, and
//! leaves out the ID where an entry has none (the kernel's `fs/ext4/acl.h`): `u16` tag, `u16` permissions, and only for
//! named users and groups a `u32` ID.

use super::bytes::{get16, get32};

/// Version of the form in system calls, `POSIX_ACL_XATTR_VERSION`.
const CALL_VERSION: u32 = 2;
/// Version of the form on disk, `EXT4_ACL_VERSION`.
const DISK_VERSION: u32 = 1;
/// Bytes of the version, in both forms.
const HEADER_BYTES: usize = 4;
/// Bytes of an entry in system calls, and of one with an ID on disk.
const LONG_BYTES: usize = 8;
/// Bytes of an entry without an ID on disk.
const SHORT_BYTES: usize = 4;
/// The ID of entries that have none, `ACL_UNDEFINED_ID`.
const NO_ID: u32 = u32::MAX;
/// The bits that permissions may have: read, write, execute.
const PERMISSIONS: u16 = 0o7;

/// `e_tag`: whom an entry is about.
mod tag {
    pub(super) const USER_OBJ: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const GROUP_OBJ: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// Why a value is no ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// Its version is another.
    #[error("the ACL has version {found}, not {want}")]
    Version {
        /// The version that it has.
        found: u32,
        /// The version that it must have.
        want: u32,
    },
    /// It ends within an entry.
    #[error("the ACL of {0} bytes ends within an entry")]
    Length(usize),
    /// An entry has a tag or permissions that do not exist.
    #[error("the ACL has an entry with tag {tag:#x} and permissions {permissions:#o}")]
    Entry {
        /// `e_tag`.
        tag: u16,
        /// `e_perm`.
        permissions: u16,
    },
    /// The kernel would not take the entries: one is missing, doubled, or stands in the wrong place.
    #[error("the ACL's entries are not complete and in order (owner, users, group, groups, mask, others)")]
    Order,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

impl Entry {
    fn has_id(self) -> bool {
        matches!(self.tag, tag::USER | tag::GROUP)
    }
}

/// The form on disk of a value in the form of system calls. An ACL without entries, which says "none", becomes an
/// empty value: such an attribute must not be written.
///
/// # Errors
/// [`AclError`] where `setxattr(2)` would say `EINVAL`.
pub fn to_disk(value: &[u8]) -> Result<Vec<u8>, AclError> {
    let rest = after_version(value, CALL_VERSION)?;
    let (chunks, partial) = rest.as_chunks::<LONG_BYTES>();
    if !partial.is_empty() {
        return Err(AclError::Length(value.len()));
    }
    let entries: Vec<Entry> = chunks.iter().map(|chunk| read_entry(chunk)).collect::<Result<_, _>>()?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    check_order(&entries)?;
    let mut out = DISK_VERSION.to_le_bytes().to_vec();
    for entry in entries {
        out.extend(entry.tag.to_le_bytes());
        out.extend(entry.permissions.to_le_bytes());
        if entry.has_id() {
            out.extend(entry.id.to_le_bytes());
        }
    }
    Ok(out)
}

/// The form of system calls of a value in the form on disk.
///
/// # Errors
/// [`AclError`] if the value is not such a form. The order of entries is not checked.
pub fn from_disk(value: &[u8]) -> Result<Vec<u8>, AclError> {
    let mut rest = after_version(value, DISK_VERSION)?;
    let mut out = CALL_VERSION.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let short = rest.get(..SHORT_BYTES).ok_or(AclError::Length(value.len()))?;
        let entry = read_entry(short)?;
        let bytes = if entry.has_id() { LONG_BYTES } else { SHORT_BYTES };
        let (place, after) = rest.split_at_checked(bytes).ok_or(AclError::Length(value.len()))?;
        let id = if entry.has_id() { get32(place, SHORT_BYTES) } else { NO_ID };
        out.extend(entry.tag.to_le_bytes());
        out.extend(entry.permissions.to_le_bytes());
        out.extend(id.to_le_bytes());
        rest = after;
    }
    Ok(out)
}

fn after_version(value: &[u8], want: u32) -> Result<&[u8], AclError> {
    let (version, rest) = value.split_first_chunk::<HEADER_BYTES>().ok_or(AclError::Length(value.len()))?;
    let found = u32::from_le_bytes(*version);
    if found == want { Ok(rest) } else { Err(AclError::Version { found, want }) }
}

/// Reads an entry; an ID that is not there reads as 0.
fn read_entry(place: &[u8]) -> Result<Entry, AclError> {
    let entry = Entry { tag: get16(place, 0), permissions: get16(place, 2), id: get32(place, 4) };
    let known = matches!(entry.tag, tag::USER_OBJ | tag::USER | tag::GROUP_OBJ | tag::GROUP | tag::MASK | tag::OTHER);
    if known && entry.permissions & !PERMISSIONS == 0 {
        Ok(entry)
    } else {
        Err(AclError::Entry { tag: entry.tag, permissions: entry.permissions })
    }
}

/// What the kernel's `posix_acl_valid` demands: tags in ascending order, exactly one entry each for owner, group and
/// others, at most one mask, and that one if there are named users or groups.
fn check_order(entries: &[Entry]) -> Result<(), AclError> {
    let count = |tag| entries.iter().filter(|entry| entry.tag == tag).count();
    let named = entries.iter().any(|entry| entry.has_id());
    let ordered = entries.is_sorted_by_key(|entry| entry.tag);
    let ids = entries.iter().all(|entry| !entry.has_id() || entry.id != NO_ID);
    let complete = [tag::USER_OBJ, tag::GROUP_OBJ, tag::OTHER].into_iter().all(|tag| count(tag) == 1);
    let masked = count(tag::MASK) == 1 || (count(tag::MASK) == 0 && !named);
    if ordered && ids && complete && masked { Ok(()) } else { Err(AclError::Order) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut out = vec![2, 0, 0, 0];
        for (tag, permissions, id) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(permissions.to_le_bytes());
            out.extend(id.to_le_bytes());
        }
        out
    }

    const FULL: [(u16, u16, u32); 6] =
        [(0x01, 7, NO_ID), (0x02, 5, 1000), (0x04, 5, NO_ID), (0x08, 4, 70_000), (0x10, 7, NO_ID), (0x20, 0, NO_ID)];

    #[test]
    fn both_ways() {
        let disk = to_disk(&call(&FULL)).unwrap();
        assert_eq!(disk.len(), 4 + 4 * 4 + 2 * 8);
        assert_eq!(&disk[..16], [1, 0, 0, 0, 1, 0, 7, 0, 2, 0, 5, 0, 0xE8, 3, 0, 0]);
        assert_eq!(from_disk(&disk).unwrap(), call(&FULL));
    }

    #[test]
    fn an_empty_acl_is_none() {
        assert_eq!(to_disk(&call(&[])), Ok(vec![]));
    }

    #[test]
    fn what_the_kernel_refuses() {
        let [owner, user, group, named, mask, other] = FULL;
        let table: [(&str, Vec<u8>); 10] = [
            ("no owner", call(&[group, other])),
            ("two owners", call(&[owner, owner, group, other])),
            ("a user without a mask", call(&[owner, user, group, other])),
            ("two masks", call(&[owner, group, mask, mask, other])),
            ("out of order", call(&[owner, named, group, mask, other])),
            ("a user without an ID", call(&[owner, (2, 5, NO_ID), group, mask, other])),
            ("an unknown tag", call(&[owner, group, (0x40, 0, 0), other])),
            ("unknown permissions", call(&[owner, group, (0x20, 8, NO_ID)])),
            ("cut short", call(&FULL)[..30].to_vec()),
            ("version 1", vec![1, 0, 0, 0]),
        ];
        for (what, value) in table {
            assert!(to_disk(&value).is_err(), "{what}");
        }
        assert!(to_disk(&[]).is_err());
        assert!(from_disk(&[1, 0, 0]).is_err());
        assert!(from_disk(&[1, 0, 0, 0, 2, 0, 5, 0]).is_err());
        assert!(from_disk(&[2, 0, 0, 0]).is_err());
    }
}
