//! What an upper layer deletes or replaces is nowhere in the image file.

use std::path::Path;

use crate::args;
use crate::judges;
use crate::support::image::build;
use crate::support::judge::{ask, e2fsck};
use crate::support::program::{banger, source};
use crate::support::{Layout, Tar, scratch};

const SECRET: &str = "THE-SECRET-THAT-WAS-DELETED";
const PUBLIC: &str = "WHAT-EVERYONE-MAY-READ";

/// Content of about `size` bytes in which no piece of 64 bytes is without the marker, and no two lines are the same.
fn marked(marker: &str, size: usize) -> Vec<u8> {
    let mut content = Vec::new();
    for number in 0.. {
        if content.len() >= size {
            break;
        }
        content.extend_from_slice(format!("{marker} {number:08}\n").as_bytes());
    }
    content
}

/// How many NUL-terminated pieces of the file contain the marker.
fn count(image: &Path, marker: &str) -> usize {
    // With -z holes are empty lines and not one endless one.
    let run = ask("grep", args!["-z", "-a", "-F", "-c", "-e", marker, image]);
    assert!(run.code().is_some_and(|code| code < 2), "{run}");
    run.stdout().trim().parse().unwrap()
}

#[track_caller]
fn check(name: &str, layers: impl IntoIterator<Item = Tar>, options: [std::ffi::OsString; 2]) {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), layers);
    let image = scratch.path().join("image");
    for jobs in ["1", "2"] {
        let [option, value] = &options;
        build(source("oci", layout.path()), &image, args![option, value, "--jobs", jobs, "--force"]);
        e2fsck(&image, &[]);
        assert_eq!(count(&image, SECRET), 0, "{name}, --jobs {jobs}: the secret is in the image");
        assert_ne!(count(&image, PUBLIC), 0, "{name}, --jobs {jobs}: the search finds nothing at all");
        let public = banger(args!["cat", image, "/public"]).ok();
        assert_eq!(public.output.stdout, marked(PUBLIC, 100_000), "{name}, --jobs {jobs}");
    }
}

fn public() -> Tar {
    Tar::new().file("public", marked(PUBLIC, 100_000))
}

const SIZE: [&str; 2] = ["--size", "256M"];

#[test]
fn deleted_by_an_upper_layer() {
    judges!("grep", "e2fsck");
    for size in [10, 200, 4096, 5000, 70_000, 3 << 20] {
        let secret = Tar::new().file("etc/secret", marked(SECRET, size));
        let layers = [secret, public(), Tar::new().whiteout("etc/secret")];
        check(&format!("{size} bytes"), layers, args![SIZE[0], SIZE[1]]);
    }
}

#[test]
fn replaced_by_an_upper_layer() {
    judges!("grep", "e2fsck");
    let secret = Tar::new().file("etc/secret", marked(SECRET, 300_000)).file("etc/other", marked(SECRET, 99));
    let replaced = Tar::new().file("etc/secret", b"shorter").directory("etc/other", 0o755);
    check("replaced", [secret, public(), replaced], args![SIZE[0], SIZE[1]]);
}

#[test]
fn hidden_by_an_opaque_directory() {
    judges!("grep", "e2fsck");
    let secret = Tar::new().file("etc/secret", marked(SECRET, 300_000)).file("etc/deep/secret", marked(SECRET, 99));
    let opaque = Tar::new().file("etc/.wh..wh..opq", b"").file("etc/new", b"new");
    check("opaque", [secret, public(), opaque], args![SIZE[0], SIZE[1]]);
}

#[test]
fn replaced_within_one_layer() {
    judges!("grep", "e2fsck");
    let layer = Tar::new().file("etc/secret", marked(SECRET, 300_000)).file("etc/secret", b"the last wins");
    check("twice in one layer", [layer, public()], args![SIZE[0], SIZE[1]]);
}

#[test]
fn in_the_target_of_a_deleted_link() {
    judges!("grep", "e2fsck");
    let secret = Tar::new()
        .symlink("link", &format!("{SECRET}-{}", "x".repeat(70)))
        .symlink("short", SECRET)
        .file(&format!("etc/{SECRET}"), b"a name can be a secret too");
    let upper = Tar::new().whiteout("link").whiteout("short").whiteout("etc");
    check("link", [secret, public(), upper], args![SIZE[0], SIZE[1]]);
}

#[test]
fn in_what_a_whiteout_holds() {
    judges!("grep", "e2fsck");
    let layer = Tar::new().file("etc/.wh.something", marked(SECRET, 20_000));
    check("whiteout with content", [public(), layer], args![SIZE[0], SIZE[1]]);
}

/// Superseded data pushes what stays beyond the end of a small image, from where it is moved.
#[test]
fn deleted_before_content_that_has_to_move() {
    judges!("grep", "e2fsck");
    let secret = Tar::new().file("secret", marked(SECRET, 90 << 20));
    let moved = public().file("etc/large", marked(PUBLIC, 10 << 20)).file("etc/secret", marked(SECRET, 3 << 20));
    let upper = Tar::new().whiteout("secret").whiteout("etc/secret");
    check("moved", [secret, moved, upper], args!["--size", "64M"]);
}

/// A name that was linked before stays, and so does the content: it is no secret.
#[test]
fn content_with_another_name_is_kept() {
    let scratch = scratch();
    let first = Tar::new().file("first", marked(PUBLIC, 100_000)).hardlink("second", "first");
    let layout = Layout::of(scratch.path().join("layout"), [first, Tar::new().whiteout("first")]);
    let image = scratch.path().join("image");
    build(source("oci", layout.path()), &image, []);
    assert_eq!(banger(args!["cat", image, "/second"]).ok().output.stdout, marked(PUBLIC, 100_000));
    banger(args!["stat", image, "/first"]).expect(3);
}
