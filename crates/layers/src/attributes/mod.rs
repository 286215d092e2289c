//! Attributes that mean something only when the whole tree is known, and those that no tree can have.
//!
//! Archivers write ACLs as text with names (`SCHILY.acl.access`, `SCHILY.acl.default`). The numbers of these names are
//! in the image's own `etc/passwd` and `etc/group`, and any layer may change those. So the reader of archives keeps such
//! a record as a *pending* attribute, in the sets of extended attributes that entries have anyway; the merge knows nothing of it.
//! When the last layer is merged, [`complete`] makes real attributes of them, and counts what must be left out.
//!
//! The name of a pending attribute is a NUL and the key in the archive; no real name has a NUL.
//!
//! With an ACL the mode of a file changes its meaning: the group's three bits are the ACL's mask, the most that any
//! entry but the owner's and others' can give. So an ACL that is left out must not leave these bits behind.

mod acl;
mod loss;
mod names;
mod text;

use std::collections::BTreeMap;

pub use self::loss::{Loss, LossKind};
pub use self::names::Names;

use self::acl::Acl;
use self::loss::Losses;
use crate::tree::{InodeId, Node, Tree};
use crate::xattr::{XattrId, Xattrs, XattrsFull};

/// Key of a file's ACL as text.
const ACL_ACCESS: &[u8] = b"SCHILY.acl.access";
/// Key of the ACL as text that what is made in a directory gets.
const ACL_DEFAULT: &[u8] = b"SCHILY.acl.default";
/// Keys of what has no place in an image. Those that end in a dot stand for all that begin with them.
const LOST: [(&[u8], LossKind); 3] = [
    (b"SCHILY.acl.ace", LossKind::Nfs4Acl),
    (b"SCHILY.fflags", LossKind::FileFlags),
    (b"MSWINDOWS.", LossKind::Windows),
];
/// What extended attributes are called whose pending attribute has their own name.
const XATTR: &[u8] = b"xattr.";
/// Namespaces of extended attributes that a layer may fill.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// What a pending attribute's name begins with.
const PENDING: u8 = 0;

/// Extended attributes that are ACLs, in the form of system calls.
const XATTR_ACCESS: &[u8] = b"system.posix_acl_access";
const XATTR_DEFAULT: &[u8] = b"system.posix_acl_default";

/// The pending attribute of a record in an archive; none where the record is no attribute of a file.
pub(crate) fn of_record<'a>(key: &[u8], value: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    if [ACL_ACCESS, ACL_DEFAULT].contains(&key) {
        return Some((pending(key), value));
    }
    // What the record says is not needed, and would make each set another one.
    (loss_of(key).is_some() && !value.is_empty()).then(|| (pending(key), &b""[..]))
}

/// The pending attribute in the place of an extended attribute that no image can have; none for one that it can.
pub(crate) fn of_xattr(name: &[u8]) -> Option<Vec<u8>> {
    let known = [XATTR_ACCESS, XATTR_DEFAULT].contains(&name)
        || NAMESPACES.iter().any(|namespace| name.strip_prefix(*namespace).is_some_and(|rest| !rest.is_empty()));
    (!known).then(|| pending(&[XATTR, name].concat()))
}

fn pending(key: &[u8]) -> Vec<u8> {
    [&[PENDING], key].concat()
}

fn loss_of(key: &[u8]) -> Option<LossKind> {
    let matches = |of: &[u8]| if of.ends_with(b".") { key.starts_with(of) } else { key == of };
    LOST.iter().find(|(of, _)| matches(of)).map(|&(_, kind)| kind)
}

/// Whether files of the tree have attributes that [`complete`] has to see to.
pub fn are_pending(tree: &Tree) -> bool {
    tree.inodes().any(|(_, inode)| is_pending(tree.xattrs(inode.xattrs)))
}

/// Names are sorted, so a set with a pending attribute has one first.
fn is_pending(mut set: Xattrs<'_>) -> bool {
    set.next().is_some_and(|(name, _)| name.first() == Some(&PENDING))
}

/// Makes real attributes of those that are pending: ACLs get numbers for their names, which are those of `names` where
/// it has them, and the modes of their files follow. Returns what is left out.
///
/// # Errors
/// [`XattrsFull`] if the tree cannot take the ACLs.
pub fn complete(tree: &mut Tree, names: &Names) -> Result<Vec<Loss>, XattrsFull> {
    let mut losses = Losses::default();
    let mut completed: BTreeMap<(XattrId, Class), Completed> = BTreeMap::new();
    let mut changes: Vec<(InodeId, (XattrId, Class))> = Vec::new();
    let mut visit = |id: InodeId, path: &dyn Fn() -> Vec<u8>| {
        let inode = tree.inode(id);
        let key = (inode.xattrs, Class::of(&inode.node));
        let result = completed.entry(key).or_insert_with(|| Completed::new(tree.xattrs(inode.xattrs), key.1, names));
        for (kind, detail) in &result.losses {
            losses.add(*kind, detail, path);
        }
        changes.push((id, key));
    };
    let mut seen = vec![false; tree.inode_slots()];
    let mut is_new = |id: InodeId| {
        let seen = seen.get_mut(id.index());
        is_pending(tree.xattrs(tree.inode(id).xattrs)) && seen.is_some_and(|seen| !std::mem::replace(seen, true))
    };
    if is_new(tree.root()) {
        visit(tree.root(), &|| b"/".to_vec());
    }
    for dirent in tree.walk() {
        if is_new(dirent.inode) {
            visit(dirent.inode, &|| tree.path_of(dirent));
        }
    }

    let mut interned = BTreeMap::new();
    for (key, result) in &completed {
        let attributes: Vec<(&[u8], &[u8])> =
            result.attributes.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        interned.insert(*key, tree.xattr_table_mut().intern(&attributes)?);
    }
    for (id, key) in changes {
        if let (Some(&xattrs), Some(result)) = (interned.get(&key), completed.get(&key)) {
            tree.set_attributes(id, xattrs, |mode| mode & !result.cleared | result.set);
        }
    }
    Ok(losses.into_vec())
}

/// What it depends on, beside the set, which attributes a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Directory,
    Symlink,
    Other,
}

impl Class {
    fn of(node: &Node<'_>) -> Self {
        match node {
            Node::Directory => Self::Directory,
            Node::Symlink { .. } => Self::Symlink,
            _ => Self::Other,
        }
    }
}

/// A set of attributes without those that were pending.
#[derive(Debug, Default)]
struct Completed {
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// What is left out, each kind once, with the first of the kind.
    losses: Vec<(LossKind, Vec<u8>)>,
    /// Bits of the mode that files with this set do not have.
    cleared: u16,
    /// Bits of the mode that they have.
    set: u16,
}

impl Completed {
    fn new(set: Xattrs<'_>, class: Class, names: &Names) -> Self {
        let mut completed = Self::default();
        let (mut access, mut default) = (None, None);
        for (name, value) in set {
            let Some((&PENDING, key)) = name.split_first() else {
                completed.attributes.push((name.to_vec(), value.to_vec()));
                continue;
            };
            match key {
                ACL_ACCESS => access = Some(value),
                ACL_DEFAULT => default = Some(value),
                _ => match key.strip_prefix(XATTR) {
                    Some(name) => completed.lose(LossKind::Namespace, name),
                    None => completed.lose(loss_of(key).unwrap_or(LossKind::Namespace), key),
                },
            }
        }
        completed.acls(access.unwrap_or_default(), default.unwrap_or_default(), class, names);
        completed
    }

    fn acls(&mut self, access: &[u8], default: &[u8], class: Class, names: &Names) {
        let has = |completed: &Self, name| completed.attributes.iter().any(|(known, _)| known == name);
        let mut inherited = Vec::new();
        // An ACL in the form of system calls has the numbers that the archiver saw: it says the same, and more exactly.
        if !has(self, XATTR_ACCESS) {
            match text::parse(access) {
                Ok(entries) => {
                    let (of_default, own) = entries.into_iter().partition(|entry| entry.default);
                    inherited = of_default;
                    self.set_access(Acl::new(own, names), class);
                }
                Err(part) => self.set_access(Err(part.to_vec()), class),
            }
        }
        if !has(self, XATTR_DEFAULT) {
            match text::parse(default) {
                Ok(entries) => {
                    inherited.extend(entries);
                    self.set_default(Acl::new(inherited, names), class);
                }
                Err(part) => self.set_default(Err(part.to_vec()), class),
            }
        }
    }

    fn set_access(&mut self, acl: Result<Option<Acl>, Vec<u8>>, class: Class) {
        match acl {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) if class == Class::Symlink => self.lose(LossKind::AclOfLink, ACL_ACCESS),
            Ok(Some(acl)) => {
                self.unknown(&acl);
                (self.cleared, self.set) = (0o777, acl.mode());
                if !acl.is_mode() {
                    self.attributes.push((XATTR_ACCESS.to_vec(), acl.encode()));
                }
            }
            Err(problem) => {
                self.lose(LossKind::UnreadableAcl, &problem);
                // They are the mask, which may be more than the owning group had.
                self.cleared = 0o070;
            }
        }
    }

    fn set_default(&mut self, acl: Result<Option<Acl>, Vec<u8>>, class: Class) {
        match acl {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) if class != Class::Directory => self.lose(LossKind::DefaultAclOfFile, ACL_DEFAULT),
            Ok(Some(acl)) => {
                self.unknown(&acl);
                self.attributes.push((XATTR_DEFAULT.to_vec(), acl.encode()));
            }
            Err(problem) => self.lose(LossKind::UnreadableDefault, &problem),
        }
    }

    fn unknown(&mut self, acl: &Acl) {
        if let Some(first) = acl.unknown.first() {
            self.lose(LossKind::UnknownName, first);
        }
    }

    fn lose(&mut self, kind: LossKind, detail: &[u8]) {
        if self.losses.iter().all(|(known, _)| *known != kind) {
            self.losses.push((kind, detail.to_vec()));
        }
    }
}
