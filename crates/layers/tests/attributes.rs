//! ACLs and other attributes as archivers write them, and what becomes of them in the merged tree.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;

use banger_layers::attributes::{self, LossKind, Names};
use banger_layers::entry::Time;
use banger_layers::merge;
use banger_layers::tree::Tree;

use common::sink::read;
use common::tar::{Archive, Member};

const ACCESS: &str = "SCHILY.acl.access";
const DEFAULT: &str = "SCHILY.acl.default";

/// The tree of these layers, as far as the merge makes it.
fn merged<const N: usize>(layers: [Vec<Member>; N]) -> Tree {
    let mut tree = Tree::new(Time::default());
    for (number, members) in (0..).zip(layers) {
        let archive = members.into_iter().fold(Archive::new(), Archive::with);
        merge::apply(&mut tree, number, &read(&archive.finished()).unwrap().entries).unwrap();
    }
    tree
}

/// A file's mode and attributes, values as hexadecimal digits.
fn facts(tree: &Tree, path: &str) -> (u16, Vec<(String, String)>) {
    let inode = tree.inode(tree.lookup(path.as_bytes()).unwrap());
    let show = |(name, value): (&[u8], &[u8])| {
        let value = value.iter().map(|byte| format!("{byte:02x}")).collect();
        (String::from_utf8(name.to_vec()).unwrap(), value)
    };
    (inode.mode, tree.xattrs(inode.xattrs).map(show).collect())
}

/// An ACL in the form of system calls, in hexadecimal digits.
fn acl(entries: &[(u16, u16, u32)]) -> String {
    let entries = entries.iter().map(|(tag, permissions, id)| {
        let bytes = [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    format!("02000000{}", entries.collect::<String>())
}

const NONE: u32 = u32::MAX;

fn names() -> Names {
    Names::new(b"root:x:0:0\nlisa:x:1000:1000\n", b"staff:x:50:\n")
}

/// What is lost, as (kind, files, first path, detail).
fn complete(tree: &mut Tree) -> Vec<(LossKind, u64, String, String)> {
    let losses = attributes::complete(tree, &names()).unwrap();
    assert!(!attributes::are_pending(tree));
    losses.into_iter().map(|loss| (loss.kind, loss.files, loss.path.to_string(), loss.detail.to_string())).collect()
}

#[test]
fn acls_get_the_numbers_of_the_image_s_own_users_and_groups() {
    let text = "user::rwx,user:lisa:rw-:502,user:bart:r--:503,group::r-x,group:staff:-wx,mask::rwx,other::---";
    let mut tree = merged([vec![
        Member::directory("dir").mode(0o2770).pax(ACCESS, text).pax(DEFAULT, "u::rwx\ng::r-x\no::---\n"),
        Member::file("file", "").mode(0o670).pax(ACCESS, text).pax("SCHILY.xattr.user.a", "b"),
        Member::file("plain", "").mode(0o640),
    ]]);
    assert!(attributes::are_pending(&tree));
    assert_eq!(complete(&mut tree), []);
    let full = acl(&[(1, 7, NONE), (2, 4, 503), (2, 6, 1000), (4, 5, NONE), (8, 3, 50), (16, 7, NONE), (32, 0, NONE)]);
    let (mode, attributes) = facts(&tree, "dir");
    assert_eq!(mode, 0o2770);
    assert_eq!(attributes[0], ("system.posix_acl_access".into(), full.clone()));
    let inherited = acl(&[(1, 7, NONE), (4, 5, NONE), (32, 0, NONE)]);
    assert_eq!(attributes[1..], [("system.posix_acl_default".into(), inherited)]);
    let (mode, attributes) = facts(&tree, "file");
    // The owner's bits are the ACL's too, as if setfacl(1) had set it.
    assert_eq!(mode, 0o770);
    assert_eq!(attributes, [("system.posix_acl_access".into(), full), ("user.a".into(), "62".into())]);
    assert_eq!(facts(&tree, "plain"), (0o640, vec![]));
}

/// The mode's group bits are the mask while there is an ACL: what is left of one must not make rights of them.
#[test]
fn an_acl_that_is_left_out_leaves_no_rights_behind() {
    let minimal = "user::rw-,group::r--,other::---";
    let unknown = "user::rw-,user:bart:rwx,group::r--,mask::rwx,other::---";
    let mut tree = merged([vec![
        Member::file("minimal", "").mode(0o670).pax(ACCESS, minimal),
        Member::file("unknown", "").mode(0o670).pax(ACCESS, unknown),
        Member::file("unreadable", "").mode(0o4675).pax(ACCESS, "user::rw-,everyone@:rwx"),
        Member::file("incomplete", "").mode(0o676).pax(ACCESS, "user::rw-,mask::rwx,other::rw-"),
        Member::directory("default").mode(0o775).pax(DEFAULT, "nonsense"),
        Member::file("empty", "").mode(0o670).pax(ACCESS, "\n").pax(DEFAULT, ""),
    ]]);
    let losses = complete(&mut tree);
    assert_eq!(
        losses,
        [
            (LossKind::UnreadableAcl, 2, "incomplete".into(), "no entry for the owning group".into()),
            (LossKind::UnreadableDefault, 1, "default".into(), "nonsense".into()),
            (LossKind::UnknownName, 1, "unknown".into(), "user:bart".into()),
        ]
    );
    assert_eq!(facts(&tree, "minimal"), (0o640, vec![]));
    let (mode, attributes) = facts(&tree, "unknown");
    let rest = acl(&[(1, 6, NONE), (4, 4, NONE), (16, 7, NONE), (32, 0, NONE)]);
    assert_eq!((mode, attributes), (0o670, vec![("system.posix_acl_access".into(), rest)]));
    assert_eq!(facts(&tree, "unreadable"), (0o4605, vec![]));
    assert_eq!(facts(&tree, "incomplete"), (0o606, vec![]));
    assert_eq!(facts(&tree, "default"), (0o775, vec![]));
    assert_eq!(facts(&tree, "empty"), (0o670, vec![]));
}

#[test]
fn the_form_of_system_calls_is_what_counts_where_both_are() {
    let own = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255];
    let mut tree = merged([vec![
        Member::file("both", "")
            .mode(0o644)
            .pax(ACCESS, "u::rwx,g::rwx,o::rwx")
            .pax("SCHILY.xattr.system.posix_acl_access", own),
    ]]);
    assert_eq!(complete(&mut tree), []);
    assert_eq!(
        facts(&tree, "both"),
        (0o644, vec![("system.posix_acl_access".into(), "0200000001000600ffffffff".into())])
    );
}

#[test]
fn what_no_image_can_have_is_counted_once_for_each_kind() {
    let acl = "user::rwx,user:lisa:rwx,group::r-x,mask::rwx,other::---";
    let mac = |path: &str| Member::file(path, "").pax("LIBARCHIVE.xattr.com.apple.provenance", "AQ");
    let mut tree = merged([
        vec![
            Member::file("replaced", "").pax("SCHILY.fflags", "nodump"),
            Member::file("a", "").pax("SCHILY.fflags", "immutable").pax("SCHILY.acl.ace", "owner@:rwx:allow"),
        ],
        vec![
            Member::file("replaced", ""),
            Member::directory(".").pax("SCHILY.fflags", "nodump"),
            mac("b/c"),
            mac("b/d").pax("SCHILY.xattr.system.nfs4_acl", "x").pax("SCHILY.xattr.user.kept", "1"),
            Member::hardlink("e", "b/d"),
            Member::file("w", "").pax("MSWINDOWS.rawsd", "AQ").pax("MSWINDOWS.fileattr", "32"),
            Member::symlink("link", "a").pax(ACCESS, acl),
            Member::file("default", "").pax(DEFAULT, acl),
            Member::file("odd", "").pax("comment", "x").pax("SCHILY.ino", "5"),
        ],
    ]);
    let losses = attributes::complete(&mut tree, &names()).unwrap();
    let said: Vec<String> = losses.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "left out of \"a\": NFSv4 ACLs (SCHILY.acl.ace)",
            "left out of 2 files, the first is \"/\": file flags (SCHILY.fflags)",
            "left out of \"w\": attributes of Windows (MSWINDOWS.fileattr)",
            "left out of 2 files, the first is \"b/c\": extended attributes that an image cannot have \
             (com.apple.provenance)",
            "left out of \"link\": ACLs, which symbolic links cannot have (SCHILY.acl.access)",
            "left out of \"default\": default ACLs, which only directories can have (SCHILY.acl.default)",
        ]
    );
    assert_eq!(facts(&tree, "e").1, [("user.kept".to_owned(), "31".to_owned())]);
    for path in ["a", "b/c", "w", "link", "default", "odd", "/"] {
        assert_eq!(facts(&tree, path).1, [], "{path}");
    }
    assert_eq!(facts(&tree, "default").0, 0o644);
}
