//! POSIX ACLs: from text to the form that system calls and tar's `SCHILY.xattr` have (`linux/posix_acl_xattr.h`).

use super::Names;
use super::text::{self, Entry, Tag};

/// `POSIX_ACL_XATTR_VERSION`.
const VERSION: u32 = 2;
/// `e_id` of entries that are about no named user or group.
const NO_ID: u32 = u32::MAX;

/// `e_tag`.
const fn tag(tag: Tag) -> u16 {
    match tag {
        Tag::Owner => 0x01,
        Tag::User => 0x02,
        Tag::OwningGroup => 0x04,
        Tag::Group => 0x08,
        Tag::Mask => 0x10,
        Tag::Other => 0x20,
    }
}

/// An ACL whose users and groups are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acl {
    /// Sorted, complete, each once: what the kernel takes. The permissions of each entry, and the number of its user or
    /// group.
    entries: Vec<(Tag, u32, u16)>,
    /// The users and groups that have no number, as they were written: their entries are not in the ACL.
    pub(super) unknown: Vec<Vec<u8>>,
}

impl Acl {
    /// The ACL of these entries; `None` where there are none.
    ///
    /// # Errors
    /// What is wrong, for a message.
    pub(super) fn new(entries: Vec<Entry>, names: &Names) -> Result<Option<Self>, Vec<u8>> {
        let mut acl = Self::default();
        for entry in entries {
            match (entry.tag, id(&entry, names)) {
                (Tag::User | Tag::Group, Some(id)) => acl.entries.push((entry.tag, id, entry.permissions)),
                (Tag::User, None) => acl.unknown.push([b"user:", &entry.name[..]].concat()),
                (Tag::Group, None) => acl.unknown.push([b"group:", &entry.name[..]].concat()),
                _ => acl.entries.push((entry.tag, NO_ID, entry.permissions)),
            }
        }
        if acl.entries.is_empty() && acl.unknown.is_empty() {
            return Ok(None);
        }
        acl.complete()?;
        Ok(Some(acl))
    }

    /// Brings the entries into the form that the kernel takes.
    fn complete(&mut self) -> Result<(), Vec<u8>> {
        for (tag, what) in [(Tag::Owner, "the owner"), (Tag::OwningGroup, "the owning group"), (Tag::Other, "others")] {
            match self.entries.iter().filter(|entry| entry.0 == tag).count() {
                1 => {}
                0 => return Err(format!("no entry for {what}").into()),
                _ => return Err(format!("two entries for {what}").into()),
            }
        }
        let named = self.entries.iter().any(|entry| matches!(entry.0, Tag::User | Tag::Group));
        match self.entries.iter().filter(|entry| entry.0 == Tag::Mask).count() {
            // As acl_calc_mask(3): one that takes nothing from anyone.
            0 if named => {
                let group_class = |tag: &Tag| matches!(tag, Tag::User | Tag::OwningGroup | Tag::Group);
                let all = self.entries.iter().filter(|entry| group_class(&entry.0)).fold(0, |all, entry| all | entry.2);
                self.entries.push((Tag::Mask, NO_ID, all));
            }
            0 | 1 => {}
            _ => return Err("two masks".into()),
        }
        self.entries.sort();
        // Two names of one user: what both allow.
        self.entries.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 &= next.2;
            }
            same
        });
        Ok(())
    }

    /// Whether it says no more than a mode can.
    pub(super) fn is_mode(&self) -> bool {
        self.entries.len() == 3
    }

    /// The nine permission bits of a file that has it: as the kernel sets them, the group's are the mask where there is
    /// one.
    pub(super) fn mode(&self) -> u16 {
        let find = |tag| self.entries.iter().find(|entry| entry.0 == tag).map(|entry| entry.2);
        let group = find(Tag::Mask).or_else(|| find(Tag::OwningGroup));
        let [owner, group, other] = [find(Tag::Owner), group, find(Tag::Other)].map(Option::unwrap_or_default);
        owner << 6 | group << 3 | other
    }

    /// The value of the extended attribute.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        for &(of, id, permissions) in &self.entries {
            out.extend(tag(of).to_le_bytes());
            out.extend(permissions.to_le_bytes());
            out.extend(id.to_le_bytes());
        }
        out
    }
}

/// The number of a named user or group: what is written as a number is one; then the image's own; then the number that
/// the archiver put beside the name.
fn id(entry: &Entry, names: &Names) -> Option<u32> {
    let known = if entry.tag == Tag::User { names.user(&entry.name) } else { names.group(&entry.name) };
    text::number(&entry.name).or(known).or(entry.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(b"lisa:x:1000:1\nagain:x:1000:1\n7:x:8:8\n", b"staff:x:50:\nlisa:x:60:\n")
    }

    fn read(text: &str) -> Result<Option<Acl>, Vec<u8>> {
        Acl::new(text::parse(text.as_bytes()).unwrap(), &names())
    }

    #[test]
    fn names_become_numbers() {
        type Row<'a> = (&'a str, &'a [(Tag, u32, u16)], &'a [&'a str]);
        let table: [Row<'_>; 6] = [
            ("user:lisa:rwx", &[(Tag::User, 1000, 7)], &[]),
            ("user:lisa:rwx:502", &[(Tag::User, 1000, 7)], &[]),
            ("user:bart:rwx:502,group:lisa:r--", &[(Tag::User, 502, 7), (Tag::Group, 60, 4)], &[]),
            ("user:7:rwx:9", &[(Tag::User, 7, 7)], &[]),
            ("user:bart:rwx,group:bart:r--,user:4294967295:r--", &[], &["user:bart", "group:bart", "user:4294967295"]),
            ("user:lisa:rw-,user:again:r-x", &[(Tag::User, 1000, 4)], &[]),
        ];
        for (text, expected, unknown) in table {
            let acl = read(&format!("{text},user::rwx,group::r-x,mask::rw-,other::r--")).unwrap().unwrap();
            let named: Vec<_> =
                acl.entries.iter().copied().filter(|entry| matches!(entry.0, Tag::User | Tag::Group)).collect();
            assert_eq!(named, expected, "{text}");
            assert_eq!(acl.unknown, unknown.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), "{text}");
            assert_eq!((acl.mode(), acl.is_mode()), (0o764, false), "{text}");
        }
    }

    #[test]
    fn the_mode_is_that_of_the_kernel() {
        let table = [
            ("u::rwx,g::r-x,o::---", 0o750, true),
            ("u::rw-,g::r--,m::---,o::r--", 0o604, false),
            ("u::rwx,u:lisa:-w-,g::r--,o::--x", 0o761, false),
            ("u::rwx,u:bart:-w-,g::r--,o::--x", 0o741, true),
        ];
        for (text, mode, is_mode) in table {
            let acl = read(text).unwrap().unwrap();
            assert_eq!((acl.mode(), acl.is_mode()), (mode, is_mode), "{text}");
        }
    }

    #[test]
    fn what_the_kernel_would_not_take_is_an_error() {
        let table = [
            ("g::r-x,o::---", "no entry for the owner"),
            ("u::rwx,o::---", "no entry for the owning group"),
            ("u::rwx,g::r-x", "no entry for others"),
            ("u:bart:r", "no entry for the owner"),
            ("u::rwx,u::rwx,g::r-x,o::---", "two entries for the owner"),
            ("u::rwx,g::r-x,m::r,m::r,o::---", "two masks"),
        ];
        for (text, message) in table {
            assert_eq!(read(text), Err(message.into()), "{text}");
        }
        for text in ["", "\n", "# file: a\n"] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn the_value_is_that_of_system_calls() {
        let acl = read("u::rwx,u:lisa:r--,g::r-x,m::r--,o::---").unwrap().unwrap();
        let expected: [&[u8]; 6] = [
            &[2, 0, 0, 0],
            &[1, 0, 7, 0, 255, 255, 255, 255],
            &[2, 0, 4, 0, 0xe8, 3, 0, 0],
            &[4, 0, 5, 0, 255, 255, 255, 255],
            &[0x10, 0, 4, 0, 255, 255, 255, 255],
            &[0x20, 0, 0, 0, 255, 255, 255, 255],
        ];
        assert_eq!(acl.encode(), expected.concat());
    }
}
