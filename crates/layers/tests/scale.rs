//! Large layers come out whole. How long they take is for the benchmark; but what is not linear would be noticed here.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use banger_layers::entry::{Entries, Entry, Kind, Time};
use banger_layers::merge;
use banger_layers::tree::{InodeId, Node, Tree};
use banger_layers::xattr::XattrId;

const FILE: Kind<'_> = Kind::File { content: 0, size: 1 };

fn push(entries: &mut Entries, path: &str, kind: Kind<'_>) {
    let mtime = Time { seconds: 1, nanoseconds: 0 };
    let (path, xattrs) = (path.as_bytes(), XattrId::EMPTY);
    entries.push(Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime, xattrs }).unwrap();
}

fn merged(layers: &[Entries]) -> Tree {
    let mut tree = Tree::new(Time::default());
    for (number, entries) in (0..).zip(layers) {
        merge::apply(&mut tree, number, entries).unwrap();
    }
    tree
}

fn directory(tree: &Tree, path: &str) -> InodeId {
    tree.lookup(path.as_bytes()).unwrap()
}

#[test]
fn half_a_million_entries() {
    let mut entries = Entries::new();
    for number in 0..500_000u32 {
        let (package, module, file) = (number / 500, number / 25 % 20, number % 25);
        let path = format!("app/node_modules/package-{package:04}/lib/module-{module:02}/file-{file:02}.js");
        push(&mut entries, &path, Kind::File { content: number, size: number.into() });
    }
    let tree = merged(&[entries]);
    assert_eq!(tree.names(), 500_000 + 20_000 + 1_000 + 1_000 + 2);
    assert_eq!(tree.walk().count(), tree.names());
    assert!(tree.contents().eq((0..500_000).map(|content| (0, content))));
    let last = tree.inode(directory(&tree, "app/node_modules/package-0999/lib/module-19/file-24.js"));
    assert_eq!(last.node, Node::File { layer: 0, content: 499_999, size: 499_999 });
}

#[test]
fn seventy_thousand_entries_and_65100_subdirectories_in_one_directory() {
    let mut lower = Entries::new();
    for number in 0..70_000 {
        push(&mut lower, &format!("files/{number}"), FILE);
    }
    for number in 0..65_100 {
        push(&mut lower, &format!("directories/{number}"), Kind::Directory);
    }
    // Upper layers replace half of them, remove a third, and at last everything.
    let mut upper = Entries::new();
    for number in (0..70_000).step_by(2) {
        push(&mut upper, &format!("files/{number}"), Kind::Fifo);
    }
    for number in (0..65_100).step_by(2) {
        push(&mut upper, &format!("directories/{number}"), FILE);
    }
    for number in (0..65_100).step_by(3) {
        push(&mut upper, &format!("files/.wh.{number}"), FILE);
        push(&mut upper, &format!("directories/.wh.{number}"), FILE);
    }
    let mut opaque = Entries::new();
    push(&mut opaque, "files/.wh..wh..opq", FILE);
    push(&mut opaque, ".wh.directories", FILE);

    let mut tree = merged(&[lower]);
    assert_eq!(tree.read_dir(directory(&tree, "files")).count(), 70_000);
    assert_eq!(tree.read_dir(directory(&tree, "directories")).count(), 65_100);

    merge::apply(&mut tree, 1, &upper).unwrap();
    // Of the 21,700 removed every other one comes back as something else.
    assert_eq!(tree.read_dir(directory(&tree, "files")).count(), 70_000 - 10_850);
    assert_eq!(tree.read_dir(directory(&tree, "directories")).count(), 65_100 - 10_850);
    let kinds = |path: &str, node: Node<'_>| {
        tree.read_dir(directory(&tree, path)).filter(|dirent| tree.inode(dirent.inode).node == node).count()
    };
    assert_eq!(kinds("files", Node::Fifo), 35_000);
    assert_eq!(kinds("directories", Node::Directory), 32_550 - 10_850);

    merge::apply(&mut tree, 2, &opaque).unwrap();
    assert_eq!(tree.names(), 1);
    assert_eq!((tree.inodes().count(), tree.contents().count()), (2, 0));
}

#[test]
fn layers_that_replace_everything_again_and_again_do_not_grow_the_tree() {
    let mut tree = Tree::new(Time::default());
    let mut slots = 0;
    for layer in 0..50 {
        let mut entries = Entries::new();
        push(&mut entries, ".wh.data", FILE);
        for number in 0..2_000 {
            push(&mut entries, &format!("data/{}/{number}", number % 50), FILE);
        }
        merge::apply(&mut tree, layer, &entries).unwrap();
        assert_eq!(tree.names(), 2_051);
        if layer == 0 {
            slots = tree.inode_slots();
        }
    }
    assert_eq!(tree.inode_slots(), slots);
}

#[test]
fn a_layer_built_to_take_time_is_refused() {
    // Each file is behind 39 symlinks of 1,401 components each.
    let mut entries = Entries::new();
    push(&mut entries, &"d/".repeat(700), Kind::Directory);
    for number in 0..39 {
        let target = format!("{}{}l{}", "d/".repeat(700), "../".repeat(700), number + 1);
        push(&mut entries, &format!("l{number}"), Kind::Symlink { target: target.as_bytes() });
    }
    push(&mut entries, "l39", Kind::Directory);
    for number in 0..10_000 {
        push(&mut entries, &format!("l0/f{number}"), FILE);
        // Whatever is removed makes ways once found worth nothing.
        push(&mut entries, "x", Kind::Directory);
        push(&mut entries, "x", FILE);
    }
    let error = merge::apply(&mut Tree::new(Time::default()), 0, &entries).unwrap_err();
    assert!(matches!(error, merge::MergeError::TooManySteps { .. }), "{error}");
}
