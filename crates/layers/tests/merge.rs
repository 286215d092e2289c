//! The rules of the merge, each with its test. `docs/layers.md` names them.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;

use banger_layers::entry::{Entries, Entry, Kind, Time};
use banger_layers::merge::MergeError;
use banger_layers::tree::{LookupError, Node, Tree};
use banger_layers::xattr::XattrId;
use common::layer::{listing, merge, parse};

/// Merges layers given as text.
fn merged(layers: &[&str]) -> Result<String, MergeError> {
    let layers: Vec<_> = layers.iter().enumerate().map(|(number, text)| parse(number + 1, text)).collect();
    merge(&layers).map(|records| listing(&records))
}

/// Asserts what layers merge to. Lines may be indented.
#[track_caller]
fn check(layers: &[&str], expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found = merged(layers).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "\nfound:\n{found}");
}

/// Asserts the message with which layers are refused.
#[track_caller]
fn refused(layers: &[&str], message: &str) {
    assert_eq!(merged(layers).unwrap_err().to_string(), message);
}

// Parents

#[test]
fn symlinked_parent_is_followed_and_stays() {
    check(
        &["d usr\n d usr/lib\n l lib -> usr/lib\n f usr/lib/ld.so =1", "f lib/x =new\n f lib/ld.so =2"],
        "l lib -> usr/lib @1
         d usr @1
         d usr/lib @1
         f usr/lib/ld.so =2 @2
         f usr/lib/x =new @2",
    );
}

#[test]
fn symlinked_parent_of_the_same_layer_is_followed() {
    check(
        &["l bin -> usr/bin\n d usr/bin\n f bin/sh"],
        "l bin -> usr/bin @1
         d usr @1 implied
         d usr/bin @1
         f usr/bin/sh @1",
    );
}

#[test]
fn dangling_symlinked_parent_makes_what_it_leads_to() {
    check(
        &["l var/run -> ../run/x", "f var/run/pid =7"],
        "d run @2 implied
         d run/x @2 implied
         f run/x/pid =7 @2
         d var @1 implied
         l var/run -> ../run/x @1",
    );
}

#[test]
fn missing_names_before_dotdot_in_a_target_are_not_made() {
    check(&["l a -> b/../c", "f a/f"], "l a -> b/../c @1\n d c @2 implied\n f c/f @2");
}

#[test]
fn absolute_symlink_is_kept_and_relative_to_the_root() {
    check(
        &["l etc/alternatives/awk -> /usr/bin/mawk\n l srv -> /data", "f srv/f"],
        "d data @2 implied
         f data/f @2
         d etc @1 implied
         d etc/alternatives @1 implied
         l etc/alternatives/awk -> /usr/bin/mawk @1
         l srv -> /data @1",
    );
}

#[test]
fn symlink_that_climbs_out_stops_at_the_root() {
    check(
        &["d a\n l a/up -> ../../../../x\n l a/top -> ../../..", "f a/up/f\n f a/top/g"],
        "d a @1
         l a/top -> ../../.. @1
         l a/up -> ../../../../x @1
         f g @2
         d x @2 implied
         f x/f @2",
    );
}

#[test]
fn way_to_a_parent_is_looked_for_again_when_it_may_have_changed() {
    check(
        &["d d\n l l -> d\n f l/x\n d l\n f l/y\n f l\n l l -> e\n f l/z"],
        "d d @1
         f d/x @1
         d e @1 implied
         f e/z @1
         l l -> e @1",
    );
    check(&["f a/b/x\n f a/b\n d a/b\n f a/b/y"], "d a @1 implied\n d a/b @1\n f a/b/y @1");
    // `l` leads to `c` until `b` is made, on a way that starts with `l` itself.
    check(
        &["l l -> b/../c\n l c/top -> /\n f l/x\n l l/top/b -> far/away\n f l/y"],
        "l b -> far/away @1
         d c @1 implied
         l c/top -> / @1
         f c/x @1
         d far @1 implied
         d far/c @1 implied
         f far/c/y @1
         l l -> b/../c @1",
    );
}

#[test]
fn chains_of_symlinks_are_followed() {
    check(
        &["l a -> b/../c/d\n d b\n l c -> /e\n d e/d\n f a/f"],
        "l a -> b/../c/d @1
         d b @1
         l c -> /e @1
         d e @1 implied
         d e/d @1
         f e/d/f @1",
    );
}

#[test]
fn symlink_loops_end_after_forty_hops() {
    refused(&["l a -> b\n l b -> a", "f a/f"], "a/f: more than 40 symlinks on the way, the last of them a");
    refused(&["l a -> a", "f x/../a/f"], "x/../a/f: more than 40 symlinks on the way, the last of them a");
    // The same with a way out: 40 are allowed, 41 are not.
    let chain = |length: usize| {
        let links: Vec<String> = (1..length).map(|n| format!("l l{n} -> l{}", n + 1)).collect();
        format!("{}\n l l{length} -> end\n d end\n f l1/f", links.join("\n"))
    };
    assert!(merged(&[&chain(40)]).unwrap().contains("f end/f @1"));
    refused(&[&chain(41)], "l1/f: more than 40 symlinks on the way, the last of them l41");
}

#[test]
fn symlink_loops_that_nobody_enters_are_kept() {
    check(&["l a -> b\n l b -> a"], "l a -> b @1\n l b -> a @1");
}

#[test]
fn missing_parents_are_made_and_existing_ones_keep_their_metadata() {
    check(
        &["d tmp mode=1777 uid=3 time=5.5 xattr:user.a=1", "f tmp/a/b/c\n f new/f"],
        "d new @2 implied
         f new/f @2
         d tmp mode=1777 uid=3 @5.5 xattr:user.a=1
         d tmp/a @2 implied
         d tmp/a/b @2 implied
         f tmp/a/b/c @2",
    );
}

#[test]
fn implied_parent_has_the_time_of_the_first_entry_below_it() {
    check(&["f a/first time=7.25\n f a/second time=9"], "d a @7.25 implied\n f a/first @7.25\n f a/second @9");
}

#[test]
fn an_entry_describes_an_implied_parent_later() {
    check(&["f a/f\n d a mode=700 time=9"], "d a mode=700 @9\n f a/f @1");
    check(&["f a/f", "d a mode=700"], "d a mode=700 @2\n f a/f @1");
}

#[test]
fn parent_that_is_no_directory_is_an_error() {
    refused(&["f a", "f a/b"], "a/b: a is a file, not a directory");
    refused(&["p x/fifo", "f x/fifo/b/c"], "x/fifo/b/c: x/fifo is a fifo, not a directory");
    refused(&["f f\n l a -> f", "f a/b"], "a/b: f is a file, not a directory");
    refused(&["f f\n l a -> f/../x", "f a/b"], "a/b: f is a file, not a directory");
}

// Names

#[test]
fn dotdot_that_leaves_the_root_is_an_error() {
    for name in ["..", "../x", "/../x", "a/../../x", "./../x", "../.wh.x", "a/b/../../../.wh..wh..opq"] {
        refused(&[&format!("f {name}")], &format!("{name}: the name leaves the root of the image"));
    }
}

#[test]
fn dotdot_inside_is_taken_back_as_written() {
    check(
        &["d a\n l l -> /elsewhere\n f a/../b\n f a/x/.././c\n f l/../d"],
        "d a @1
         f a/c @1
         f b @1
         f d @1
         l l -> /elsewhere @1",
    );
    check(&["f a\n f b", "f x/../.wh.a"], "f b @1");
}

#[test]
fn absolute_and_dotted_names_are_taken_from_the_root() {
    check(
        &["d /layers\n f /layers/app\n f ./x\n f .//y/.//z"],
        "d layers @1
         f layers/app @1
         f x @1
         d y @1 implied
         f y/z @1",
    );
}

#[test]
fn root_entry_applies_to_the_root() {
    for name in [".", "./", "/", "//", "a/.."] {
        check(
            &[&format!("d {name} mode=1700 uid=1 gid=2 time=3.5 xattr:user.r=x\n f f")],
            "d / mode=1700 uid=1 gid=2 @3.5 xattr:user.r=x\n f f @1",
        );
    }
    check(&["d . mode=700 xattr:user.r=x\n f f", "d . uid=4"], "d / uid=4 @2\n f f @1");
}

#[test]
fn root_that_is_no_directory_is_an_error() {
    let table = [
        ("f .", "a file"),
        ("l ./ -> usr", "a symlink"),
        ("h . -> f", "a hardlink"),
        ("c . 1,3", "a device"),
        ("b . 1,3", "a device"),
        ("p .", "a fifo"),
    ];
    for (entry, noun) in table {
        let name = entry.split(' ').nth(1).unwrap();
        refused(&["f f", entry], &format!("{name}: the root of the image cannot be {noun}"));
    }
}

#[test]
fn names_are_bytes_of_up_to_255() {
    let longest = "x".repeat(255);
    check(
        &[&format!("f d/\\xff\\xfe\\x0a\n f {longest}\n f gr\u{fc}n")],
        &format!(
            "d d @1 implied
             f d/\\xff\\xfe\\n @1
             f gr\\xc3\\xbcn @1
             f {longest} @1"
        ),
    );
    let over = "y".repeat(256);
    for name in [over.clone(), format!("a/{over}"), format!("{over}/a"), format!(".wh.{over}")] {
        let message = merged(&[&format!("f {name}")]).unwrap_err().to_string();
        assert_eq!(message, format!("{name}: {over} has 256 bytes, more than the 255 of a file name"));
    }
    // The longest name can be removed, although no file system could hold the marker.
    check(&[&format!("f {longest}\n f a"), &format!("f .wh.{longest}")], "f a @1");
}

#[test]
fn symlink_targets_with_long_names_are_kept_but_lead_nowhere() {
    let over = "y".repeat(256);
    check(&[&format!("l a -> {over}")], &format!("l a -> {over} @1"));
    refused(
        &[&format!("l a -> {over}\n f a/b")],
        &format!("a/b: {over} has 256 bytes, more than the 255 of a file name"),
    );
}

#[test]
fn paths_beyond_4096_and_deep_nesting_are_kept() {
    // The deepest and the longest path that is taken: 65,535 bytes each.
    let deep = ["d"; 32_768].join("/");
    let long = ["e".repeat(255).as_str(); 256].join("/");
    assert_eq!((deep.len(), long.len()), (65_535, 65_535));
    let tree = tree_of(&[(deep.as_bytes(), Kind::Directory), (long.as_bytes(), Kind::Fifo)]);
    assert_eq!(tree.names(), 32_768 + 256);
    assert_eq!(tree.walk().count(), tree.names());
    assert_eq!(tree.inode(tree.lookup(deep.as_bytes()).unwrap()).node, Node::Directory);
    assert_eq!(tree.inode(tree.lookup(long.as_bytes()).unwrap()).node, Node::Fifo);
}

#[test]
fn nesting_beyond_the_limit_is_an_error() {
    // No name is that long, but a symlink can lead deeper.
    let deep = ["d"; 32_768].join("/");
    let (almost, _) = deep.split_at(32_766 * 2 - 1);
    let existing = merged(&[&format!("d {deep}\n l {almost}/l -> d/d\n f {almost}/l/f")]).unwrap_err();
    assert!(matches!(existing, MergeError::TooDeep { .. }), "{existing}");
    let missing = merged(&[&format!("l {almost}/l -> x/y/z\n f {almost}/l/f")]).unwrap_err();
    assert!(matches!(missing, MergeError::TooDeep { .. }), "{missing}");
    assert!(missing.to_string().ends_with("d/d/l/f: below more than 32768 directories"), "{missing}");
}

// Replacing

#[test]
fn directory_over_directory_replaces_metadata_and_keeps_children() {
    check(
        &["d a mode=1777 uid=1 gid=2 time=5.5 xattr:user.old=1\n f a/f", "d a mode=2750 uid=3 xattr:user.new=2"],
        "d a mode=2750 uid=3 @2 xattr:user.new=2\n f a/f @1",
    );
    check(&["d a xattr:user.old=1", "d a"], "d a @2");
}

#[test]
fn anything_over_a_directory_removes_it_with_all_below() {
    for (entry, expected) in
        [("f a =x", "f a =x @2"), ("l a -> b", "l a -> b @2"), ("c a 1,3", "c a 1,3 @2"), ("p a", "p a @2")]
    {
        check(&["d a/b/c\n f a/b/f\n f a/g\n l a/l -> b\n f z", entry], &format!("{expected}\n f z @1"));
    }
    check(&["d a/b\n f z", "h a -> z"], "f a @1 2 names, first a\n f z @1 2 names, first a");
}

#[test]
fn directory_over_anything_replaces_it() {
    for old in ["f a =x", "l a -> b", "h a -> z", "b a 8,0", "p a"] {
        check(&[&format!("f z\n {old}"), "d a\n f a/f"], "d a @2\n f a/f @2\n f z @1");
    }
}

#[test]
fn directory_over_a_symlink_to_a_directory_replaces_the_link() {
    check(
        &["d run/lock\n l var/run -> /run", "d var/run\n f var/run/f"],
        "d run @1 implied
         d run/lock @1
         d var @1 implied
         d var/run @2
         f var/run/f @2",
    );
}

#[test]
fn hardlink_to_what_it_replaces_keeps_it() {
    check(&["f a/b/f =x", "h a -> a/b/f"], "f a =x @1");
}

#[test]
fn last_of_one_path_in_a_layer_wins() {
    check(
        &["f a =1 uid=1 xattr:user.x=1\n f a =2\n f ./b =1\n l b -> a\n d /c\n f c/d/e\n f x/../c =3"],
        "f a =2 @1\n l b -> a @1\n f c =3 @1",
    );
    check(&["f a =1\n f a/../b =2\n d a\n f a/f"], "d a @1\n f a/f @1\n f b =2 @1");
}

// Whiteouts

#[test]
fn whiteout_removes_what_lower_layers_have() {
    check(&["f a\n f b\n d c/d\n f c/d/f\n l l -> a\n f .wh", "f .wh.a\n f .wh.c\n f .wh.l"], "f .wh @1\n f b @1");
    check(&["f a", "f b", "f .wh.a\n f .wh.b"], "");
}

#[test]
fn whiteout_never_removes_what_its_own_layer_brings() {
    for layer in ["f .wh.a\n f a =new", "f a =new\n f .wh.a"] {
        check(&["f a =old\n f b", layer], "f a =new @2\n f b @1");
    }
    for layer in ["f .wh.d\n f d/new", "f d/new\n f .wh.d"] {
        check(&["d d mode=700\n f d/old", layer], "d d @2 implied\n f d/new @2");
    }
    for layer in ["f .wh.d\n d d uid=1", "d d uid=1\n f .wh.d"] {
        check(&["d d mode=700\n f d/old", layer], "d d uid=1 @2");
    }
}

#[test]
fn whiteout_removes_through_a_symlinked_parent() {
    check(
        &["f usr/lib/x\n f usr/lib/y\n l lib -> usr/lib", "f lib/.wh.x"],
        "l lib -> usr/lib @1\n d usr @1 implied\n d usr/lib @1 implied\n f usr/lib/y @1",
    );
}

#[test]
fn whiteout_of_nothing_does_nothing() {
    check(&["f a", "f .wh.b\n f .wh.a.b"], "f a @1");
    check(&["f .wh.b"], "");
    check(&["f a", "f .wh.a", "f .wh.a"], "");
}

#[test]
fn marker_makes_the_directory_that_it_is_in() {
    check(&["f x/.wh.b time=7\n f y/z/.wh..wh..opq"], "d x @7 implied\n d y @1 implied\n d y/z @1 implied");
    check(&["l l -> m/n", "f l/.wh.b"], "l l -> m/n @1\n d m @2 implied\n d m/n @2 implied");
}

#[test]
fn marker_below_something_else_is_an_error_unless_a_directory_replaces_that() {
    refused(&["f a", "f a/.wh.b"], "a/.wh.b: a is a file, not a directory");
    refused(&["f a", "f a/b/.wh..wh..opq"], "a/b/.wh..wh..opq: a is a file, not a directory");
    // An upper layer that replaces a file with a directory marks that opaque: Docker writes exactly this.
    for layer in ["d a\n f a/.wh..wh..opq\n f a/f", "f a/.wh..wh..opq\n d a\n f a/f"] {
        check(&["f a", layer], "d a @2\n f a/f @2");
    }
}

#[test]
fn opaque_removes_what_lower_layers_put_there() {
    check(&["d d mode=700\n f d/a\n d d/sub/x\n f e", "f d/b", "f d/.wh..wh..opq"], "d d mode=700 @1\n f e @1");
}

#[test]
fn opaque_never_removes_what_its_own_layer_puts_there() {
    let expected = "d d @2\n f d/a =new @2\n d d/sub @2 implied\n f d/sub/f @2";
    for layer in [
        "d d\n f d/.wh..wh..opq\n f d/a =new\n f d/sub/f",
        "d d\n f d/a =new\n f d/sub/f\n f d/.wh..wh..opq",
        "f d/sub/f\n f d/a =new\n d d\n f d/.wh..wh..opq",
        "f d/.wh..wh..opq\n f d/sub/f\n f d/a =new\n d d",
    ] {
        check(&["d d mode=700\n f d/a =old\n f d/b\n d d/sub mode=700\n f d/sub/old", layer], expected);
    }
}

#[test]
fn opaque_root_removes_everything_below_the_root() {
    check(&["d . mode=700\n f a\n d b/c", "f .wh..wh..opq\n f d"], "d / mode=700 @1\n f d @2");
}

#[test]
fn opaque_marker_through_a_symlink_empties_what_it_leads_to() {
    check(
        &["f run/a\n l var/run -> /run", "f var/run/.wh..wh..opq"],
        "d run @1 implied\n d var @1 implied\n l var/run -> /run @1",
    );
}

#[test]
fn marker_in_a_directory_that_replaced_a_symlink_does_not_follow_the_symlink() {
    let lower = "f run/a\n f run/b\n l var/run -> /run";
    let expected = "d run @1 implied\n f run/a @1\n f run/b @1\n d var @1 implied\n d var/run @2\n";
    for layer in [
        "d var/run\n f var/run/.wh..wh..opq",
        "f var/run/.wh..wh..opq\n d var/run",
        "d ./var/run/\n f var/run/.wh.a",
        "f var/run/.wh.a\n f /var/run/.wh.b\n d var/run",
    ] {
        check(&[lower, layer], expected);
    }
    // A directory below it is made in the new directory, not where the link led.
    check(&[lower, "f var/run/c/.wh.a\n d var/run"], &format!("{expected} d var/run/c @2 implied"));
    check(&["l a -> b", "f a/.wh..wh..opq\n d a"], "d a @2");
}

#[test]
fn whiteouts_are_whiteouts_whatever_their_type() {
    for marker in [
        "h .wh.a -> .wh..wh.aufs",
        "h .wh.a -> nowhere",
        "l .wh.a -> b",
        "f .wh.a =content",
        "d .wh.a",
        "c .wh.a 0,0",
        "p .wh.a",
        "d .wh.a/",
    ] {
        check(&["f a\n f b", marker], "f b @1");
    }
    check(&["f d/a", "l d/.wh..wh..opq -> x"], "d d @1 implied");
}

#[test]
fn names_of_aufs_are_ignored() {
    check(
        &[
            "f a\n d .wh..wh.orph\n d .wh..wh.plnk\n f .wh..wh.plnk/123.4 =x\n f .wh..wh.aufs\n f d/.wh..wh.x\n f .wh..wh.",
        ],
        "f a @1",
    );
    check(
        &["f a\n f d/b", "f .wh..wh.plnk/.wh.a\n f d/.wh..wh.opq\n f d/.wh..wh..opq.\n f .wh..wh..opq/f"],
        "f a @1\n d d @1 implied\n f d/b @1",
    );
}

#[test]
fn whiteout_of_no_name_is_an_error() {
    for (name, what) in
        [(".wh.", "nothing"), ("a/.wh.", "nothing"), (".wh./", "nothing"), (".wh..", "."), (".wh...", "..")]
    {
        refused(&["f a/b", &format!("f {name}")], &format!("{name}: a whiteout of {what}"));
    }
    check(&["f ...\n f b", "f .wh...."], "f b @1");
}

#[test]
fn whiteout_of_the_root_is_an_error() {
    for name in ["/.wh.", "./.wh..", "a/../.wh."] {
        assert!(matches!(merged(&[&format!("f {name}")]), Err(MergeError::BadWhiteout { .. })), "{name}");
    }
}

#[test]
fn whiteout_prefix_within_a_path_is_a_name() {
    // Only the last component can be a marker. `.wh.a/` is one; what would be below it is not.
    check(
        &["f a/b", "f .wh.a/b\n f a/.wh.b/.wh.c"],
        "d .wh.a @2 implied
         f .wh.a/b @2
         d a @1 implied
         d a/.wh.b @2 implied
         f a/b @1",
    );
}

#[test]
fn markers_are_never_files() {
    check(&["f .wh.a =secret\n f d/.wh..wh..opq =secret\n f .wh..wh.x =secret"], "d d @1 implied");
}

// Hardlinks

#[test]
fn hardlinks_share_one_inode() {
    check(
        &["f a =x uid=4 xattr:user.x=1\n h b -> a\n h d/e/c -> b", "h z -> /d/e/../e/c"],
        "f a =x uid=4 @1 xattr:user.x=1 4 names, first a
         f b =x uid=4 @1 xattr:user.x=1 4 names, first a
         d d @1 implied
         d d/e @1 implied
         f d/e/c =x uid=4 @1 xattr:user.x=1 4 names, first a
         f z =x uid=4 @1 xattr:user.x=1 4 names, first a",
    );
}

#[test]
fn hardlink_to_a_symlink_is_another_name_of_the_symlink() {
    check(&["f f\n l a -> f\n h b -> a"], "l a -> f @1 2 names, first a\n l b -> f @1 2 names, first a\n f f @1");
    check(&["l a -> nowhere", "h b -> ./a"], "l a -> nowhere @1 2 names, first a\n l b -> nowhere @1 2 names, first a");
}

#[test]
fn hardlinks_to_devices_and_fifos() {
    check(
        &["c a 1,3\n h b -> a\n p p\n h q -> p"],
        "c a 1,3 @1 2 names, first a\n c b 1,3 @1 2 names, first a\n p p @1 2 names, first p\n p q @1 2 names, first p",
    );
}

#[test]
fn hardlink_through_symlinked_parents() {
    check(
        &["f usr/lib/f\n l lib -> usr/lib", "h lib/g -> lib/f"],
        "l lib -> usr/lib @1
         d usr @1 implied
         d usr/lib @1 implied
         f usr/lib/f @1 2 names, first usr/lib/f
         f usr/lib/g @1 2 names, first usr/lib/f",
    );
}

#[test]
fn hardlink_names_the_inode_of_the_moment_and_ignores_its_own_metadata() {
    check(&["f a =old", "h b -> a mode=777 uid=9 time=99 xattr:user.h=1\n f a =new"], "f a =new @2\n f b =old @1");
}

#[test]
fn other_names_outlive_a_hardlinks_target() {
    let lower = "f a =x\n h b -> a\n h c -> a";
    check(&[lower, "f .wh.a"], "f b =x @1 2 names, first b\n f c =x @1 2 names, first b");
    check(&[lower, "f a =y"], "f a =y @2\n f b =x @1 2 names, first b\n f c =x @1 2 names, first b");
    check(&[lower, "d a\n f .wh.b"], "d a @2\n f c =x @1");
    check(&["f d/a =x\n h b -> d/a", "f .wh.d"], "f b =x @1");
    check(&["f d/a =x\n h d/b -> d/a\n f e", "f d/.wh..wh..opq"], "d d @1 implied\n f e @1");
}

#[test]
fn hardlink_to_the_same_inode_again_changes_nothing() {
    check(&["f a =x\n h b -> a", "h b -> a\n h a -> b"], "f a =x @1 2 names, first a\n f b =x @1 2 names, first a");
}

#[test]
fn hardlink_to_itself_is_an_error() {
    for (entry, target) in [("a", "a"), ("./a", "/a"), ("l/f", "d/f"), ("d/x/../f", "l/f")] {
        let message = format!("{entry}: a hardlink to {target}, which is itself");
        refused(&["f a\n f d/f\n l l -> d", &format!("h {entry} -> {target}")], &message);
    }
    refused(&["h a -> a"], "a: a hardlink to a, which is itself");
}

#[test]
fn hardlink_to_a_directory_is_an_error() {
    for target in ["d", "l/e", ".", "/", "d/.."] {
        let message = format!("b: a hardlink to {target}, which is a directory");
        refused(&["d d/e\n l l -> d", &format!("h b -> {target}")], &message);
    }
}

#[test]
fn hardlink_to_nothing_is_an_error() {
    refused(&["h b -> a"], "b: a hardlink to a, which does not exist");
    refused(&["f f", "h b -> f/a"], "b: a hardlink to f/a, which does not exist");
    refused(&["l l -> nowhere", "h b -> l/a"], "b: a hardlink to l/a, which does not exist");
    refused(&["f a", "f .wh.a\n h b -> a"], "b: a hardlink to a, which does not exist");
    refused(&["l l -> l", "h b -> l/a"], "b: more than 40 symlinks on the way, the last of them l");
}

#[test]
fn hardlink_to_a_later_entry_is_an_error() {
    refused(&["h b -> a\n f a"], "b: a hardlink to a, which does not exist");
}

#[test]
fn hardlink_to_a_whiteout_is_an_error() {
    refused(&["f a", "f .wh.a\n h b -> .wh.a"], "b: a hardlink to .wh.a, which does not exist");
    refused(&["f .wh..wh.plnk/1\n h b -> .wh..wh.plnk/1"], "b: a hardlink to .wh..wh.plnk/1, which does not exist");
}

#[test]
fn hardlink_whose_target_leaves_the_root_is_an_error() {
    refused(&["f a\n h b -> ../a"], "b: the target ../a of the hardlink leaves the root of the image");
}

#[test]
fn one_inode_has_65000_names_and_no_more() {
    let mut layer = "f a =x".to_owned();
    for number in 1..65_000 {
        layer.push_str(&format!("\n h d/{number} -> a"));
    }
    let found = merged(&[&layer]).unwrap();
    assert!(found.starts_with("f a =x @1 65000 names, first a\n"));
    // Again the same names: none is new.
    assert!(merged(&[&layer, "h d/7 -> a"]).is_ok());
    layer.push_str("\n h d/one-more -> d/5");
    refused(&[&layer], "d/one-more: a hardlink to d/5, which has 65000 names already");
}

// Kinds and metadata

#[test]
fn devices_and_fifos_are_kept() {
    check(
        &["c dev/null 1,3 mode=666\n b dev/big 4095,1048575 gid=6 mode=660\n p run/pipe mode=600"],
        "d dev @1 implied
         b dev/big 4095,1048575 mode=660 gid=6 @1
         c dev/null 1,3 mode=666 @1
         d run @1 implied
         p run/pipe mode=600 @1",
    );
}

#[test]
fn sockets_are_kept() {
    // No archive holds one, but the list of entries does.
    let mut entries = Entries::new();
    let mtime = Time { seconds: 3, nanoseconds: 0 };
    let entry =
        Entry { path: b"run/s", kind: Kind::Socket, mode: 0o755, uid: 1, gid: 2, mtime, xattrs: XattrId::EMPTY };
    entries.push(entry).unwrap();
    let mut tree = Tree::new(mtime);
    banger_layers::merge::apply(&mut tree, 0, &entries).unwrap();
    let socket = tree.inode(tree.lookup(b"run/s").unwrap());
    assert_eq!((socket.node, socket.mode, socket.uid), (Node::Socket, 0o755, 1));
}

#[test]
fn owners_up_to_32_bits_are_kept() {
    check(
        &["f a uid=4294967295 gid=4294967294\n d d uid=65536"],
        "f a uid=4294967295 gid=4294967294 @1\n d d uid=65536 @1",
    );
}

#[test]
fn setuid_setgid_and_sticky_are_kept_on_every_kind() {
    check(
        &["f a mode=4755\n d b mode=2775\n d c mode=7777\n p d mode=1600\n c e 1,2 mode=6000"],
        "f a mode=4755 @1\n d b mode=2775 @1\n d c mode=7777 @1\n p d mode=1600 @1\n c e 1,2 mode=6000 @1",
    );
}

#[test]
fn symlinks_have_mode_0777_and_keep_their_owner() {
    check(&["l a -> b mode=755 uid=7 gid=8 time=9.5"], "l a -> b uid=7 gid=8 @9.5");
}

#[test]
fn times_are_kept() {
    check(
        &["f a time=-1.5\n f b time=4294967296.000000001\n d c time=1\n f c/f time=2"],
        "f a @-1.5\n f b @4294967296.000000001\n d c @1\n f c/f @2",
    );
}

#[test]
fn xattrs_are_kept() {
    check(
        &[
            "f a xattr:security.capability=\\x01\\x00\\x00\\x02 xattr:user.x=\\x0a\\xff\n d d xattr:user.x=\n l l -> a xattr:trusted.t=1",
        ],
        "f a @1 xattr:security.capability=\\x01\\x00\\x00\\x02 xattr:user.x=\\n\\xff
         d d @1 xattr:user.x=
         l l -> a @1 xattr:trusted.t=1",
    );
}

#[test]
fn no_layers_make_an_empty_root() {
    let tree = Tree::new(Time { seconds: 42, nanoseconds: 7 });
    let root = tree.inode(tree.root());
    assert_eq!((root.node, root.mode, root.uid, root.gid), (Node::Directory, 0o755, 0, 0));
    assert_eq!((root.mtime, root.implied, root.layer), (Time { seconds: 42, nanoseconds: 7 }, true, None));
    assert_eq!((tree.walk().count(), tree.names(), tree.contents().count()), (0, 0, 0));
    check(&["", ""], "");
}

// What others ask of the tree

/// A tree of files without content.
fn tree_of(paths: &[(&[u8], Kind<'_>)]) -> Tree {
    let mtime = Time::default();
    let mut entries = Entries::new();
    for &(path, kind) in paths {
        let entry = Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: XattrId::EMPTY };
        entries.push(entry).unwrap();
    }
    let mut tree = Tree::new(mtime);
    banger_layers::merge::apply(&mut tree, 0, &entries).unwrap();
    tree
}

#[test]
fn lookup_follows_symlinks_inside_the_tree() {
    let tree = tree_of(&[
        (b"usr/lib/systemd/systemd", Kind::File { content: 0, size: 9 }),
        (b"lib", Kind::Symlink { target: b"usr/lib" }),
        (b"sbin/init", Kind::Symlink { target: b"/lib/systemd/systemd" }),
        (b"up", Kind::Symlink { target: b"../../../usr" }),
        (b"loop", Kind::Symlink { target: b"loop" }),
        (b"dangling", Kind::Symlink { target: b"nowhere" }),
    ]);
    let init = tree.lookup(b"usr/lib/systemd/systemd").unwrap();
    for path in [
        &b"/sbin/init"[..],
        b"sbin/init",
        b"/../sbin/./init",
        b"up/lib/systemd/systemd",
        b"sbin/../lib/systemd/systemd",
    ] {
        assert_eq!(tree.lookup(path), Ok(init), "{}", path.escape_ascii());
    }
    for root in [&b""[..], b"/", b"..", b"usr/.."] {
        assert_eq!(tree.lookup(root), Ok(tree.root()));
    }
    assert_eq!(tree.lookup(b"nothing"), Err(LookupError::NotFound));
    assert_eq!(tree.lookup(b"nothing/.."), Err(LookupError::NotFound));
    assert_eq!(tree.lookup(b"dangling"), Err(LookupError::NotFound));
    assert_eq!(tree.lookup(b"sbin/init/x"), Err(LookupError::NotDirectory));
    assert_eq!(tree.lookup(b"loop"), Err(LookupError::TooManyLinks));
}

#[test]
fn walk_is_sorted_by_bytes_and_goes_into_directories_first() {
    let tree = tree_of(&[
        (b"b", Kind::Fifo),
        (b"a/z", Kind::Fifo),
        (b"a.b", Kind::Fifo),
        (b"a/b/c", Kind::Fifo),
        (b"\xff", Kind::Fifo),
        (b"B", Kind::Fifo),
    ]);
    let names: Vec<&[u8]> = tree.walk().map(|dirent| dirent.name).collect();
    assert_eq!(names, [&b"B"[..], b"a", b"b", b"c", b"z", b"a.b", b"b", b"\xff"]);
    let top: Vec<&[u8]> = tree.read_dir(tree.root()).map(|dirent| dirent.name).collect();
    assert_eq!(top, [&b"B"[..], b"a", b"a.b", b"b", b"\xff"]);
}
