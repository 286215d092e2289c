//! `--add` puts files and trees of the host on top of everything.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::args;
use crate::judges;
use crate::support::image::{assert_same, build};
use crate::support::judge::{ask, e2fsck};
use crate::support::program::{banger, source};
use crate::support::{Layout, Tar, scratch};

/// A merged-usr image with something to replace.
fn layout(scratch: &Path) -> Layout {
    let base = Tar::new()
        .directory("usr", 0o755)
        .directory("usr/lib", 0o755)
        .symlink("lib", "usr/lib")
        .file("usr/lib/replaced", b"from the image")
        .directory("etc", 0o711)
        .file("etc/kept", b"kept")
        .directory("tmp", 0o1777);
    Layout::of(scratch.join("layout"), [base])
}

fn write(path: &Path, content: &[u8], mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What `banger stat --json` says of a path.
#[track_caller]
fn stat(image: &Path, path: &str) -> Value {
    serde_json::from_str(&banger(args!["stat", image, path, "--json"]).ok().stdout()).unwrap()
}

#[track_caller]
fn cat(image: &Path, path: &str) -> Vec<u8> {
    banger(args!["cat", image, path]).ok().output.stdout
}

/// Progress says how much was added: of a file before it is read, of a tree when it has been.
#[test]
fn what_is_added_has_a_size() {
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [image, file, tree] = ["image", "file", "tree"].map(|name| scratch.path().join(name));
    write(&file, &[b'x'; 2_000_000], 0o644);
    write(&tree.join("a/b"), &[b'y'; 500_000], 0o644);
    write(&tree.join("c"), &[b'z'; 1000], 0o644);
    let add = |from: &Path, to: &str| format!("{}:{to}", from.display());
    let options = args!["--add", add(&file, "/srv/file"), "--add", add(&tree, "/srv/tree"), "--no-sync"];
    let run = banger(args!["build", source("oci", layout.path()), "-o", image].into_iter().chain(options)).ok();
    let said = run.stderr();
    let line = |part: &str| said.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{run}"));
    assert!(line("layer 2/3 ").ends_with("file: 1.9 MiB, 1 entry"), "{run}");
    assert!(line("layer 3/3 ").ends_with("tree: 489.2 KiB, 4 entries"), "{run}");
}

#[test]
fn a_file_goes_where_it_is_told() {
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [image, file] = ["image", "file:with:colons"].map(|name| scratch.path().join(name));
    write(&file, b"added\n", 0o4751);
    let add = |target: &str| format!("{}:{target}", file.display());
    let options = args!["--add", add("/etc/added"), "--add", add("/new/deep/"), "--add", add("/usr/lib/replaced")];
    build(source("oci", layout.path()), &image, options);
    e2fsck(&image, &[]);
    for path in ["/etc/added", "/new/deep/file:with:colons", "/usr/lib/replaced"] {
        assert_eq!(cat(&image, path), b"added\n", "{path}");
        let record = stat(&image, path);
        assert_eq!((&record["mode"], &record["uid"], &record["gid"]), (&"4751".into(), &0.into(), &0.into()), "{path}");
        let expected = file.metadata().unwrap();
        let expected = std::os::unix::fs::MetadataExt::mtime(&expected) * 1_000_000_000
            + std::os::unix::fs::MetadataExt::mtime_nsec(&expected);
        assert_eq!(record["mtime_ns"], expected, "{path}");
    }
    // Directories that were missing are root's, those that were there stay as they are.
    assert_eq!((&stat(&image, "/new")["mode"], &stat(&image, "/etc")["mode"]), (&"0755".into(), &"0711".into()));
    assert_eq!(cat(&image, "/etc/kept"), b"kept");
}

#[test]
fn a_tree_is_merged_into_what_is_there() {
    judges!("mkfifo");
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [image, tree] = ["image", "tree"].map(|name| scratch.path().join(name));
    write(&tree.join("lib/systemd/unit"), b"unit\n", 0o644);
    write(&tree.join("lib/replaced"), b"from the host", 0o600);
    write(&tree.join("srv/.hidden"), b"", 0o640);
    symlink("/etc/kept", tree.join("srv/link")).unwrap();
    std::fs::hard_link(tree.join("lib/replaced"), tree.join("srv/same")).unwrap();
    ask("mkfifo", args!["-m", "622", tree.join("srv/fifo")]).ok();
    std::fs::create_dir(tree.join("srv/empty")).unwrap();
    // The host's `lib` is a directory, and the image's is a link: what is below it goes where the link leads.
    let lib = format!("{}:/lib", tree.join("lib").display());
    let srv = format!("{}:/srv", tree.join("srv").display());
    build(source("oci", layout.path()), &image, args!["--add", lib, "--add", srv, "--add-owner", "1000:2000"]);
    e2fsck(&image, &[]);

    let link = stat(&image, "/lib");
    assert_eq!((&link["type"], &link["link"]), (&"symlink".into(), &"usr/lib".into()));
    assert_eq!(cat(&image, "/usr/lib/systemd/unit"), b"unit\n");
    assert_eq!(cat(&image, "/usr/lib/replaced"), b"from the host");
    assert_eq!(stat(&image, "/srv/link")["link"], "/etc/kept");
    assert_eq!(
        (&stat(&image, "/srv/fifo")["type"], &stat(&image, "/srv/fifo")["mode"]),
        (&"fifo".into(), &"0622".into())
    );
    assert_eq!(stat(&image, "/srv/empty")["type"], "directory");
    for path in ["/usr/lib/systemd/unit", "/srv/link", "/srv/.hidden", "/srv/empty", "/srv/fifo"] {
        let record = stat(&image, path);
        assert_eq!((&record["uid"], &record["gid"]), (&1000.into(), &2000.into()), "{path}");
    }
    assert_eq!(stat(&image, "/usr/lib")["uid"], 0, "what was there keeps its owner");
}

#[test]
fn the_root_can_be_the_target() {
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [image, tree] = ["image", "tree"].map(|name| scratch.path().join(name));
    write(&tree.join("lib/new"), b"new", 0o644);
    write(&tree.join("tmp/x"), b"x", 0o644);
    build(source("oci", layout.path()), &image, args!["--add", format!("{}:/", tree.display())]);
    e2fsck(&image, &[]);
    assert_eq!(cat(&image, "/usr/lib/new"), b"new");
    assert_eq!(cat(&image, "/lib/new"), b"new");
    assert_eq!(stat(&image, "/lib")["type"], "symlink");
    assert_eq!(cat(&image, "/etc/kept"), b"kept");
}

#[test]
fn later_additions_win() {
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [image, one, two] = ["image", "one", "two"].map(|name| scratch.path().join(name));
    write(&one, b"one", 0o644);
    write(&two, b"two", 0o644);
    let add = |file: &Path| format!("{}:/etc/file", file.display());
    build(source("oci", layout.path()), &image, args!["--add", add(&one), "--add", add(&two)]);
    assert_eq!(cat(&image, "/etc/file"), b"two");
    build(source("oci", layout.path()), &image, args!["--add", add(&two), "--add", add(&one), "--force"]);
    assert_eq!(cat(&image, "/etc/file"), b"one");
}

/// Neither the order in which the host lists a directory nor where it stands gets into the image.
#[test]
fn a_copy_of_a_tree_gives_the_same_bytes() {
    judges!("cp");
    let scratch = scratch();
    let layout = layout(scratch.path());
    let [first, other, tree, copied] = ["first", "other", "tree", "copied/tree"].map(|name| scratch.path().join(name));
    for number in 0..200 {
        write(&tree.join(format!("{}/{number}", number % 7)), format!("{number}").as_bytes(), 0o644);
    }
    std::fs::create_dir_all(&copied).unwrap();
    // Made in another order, so listed in another order.
    for number in (0..7).rev() {
        ask("cp", args!["-a", tree.join(number.to_string()), copied]).ok();
    }
    ask("touch", args!["-r", tree, copied]).ok();
    let add = |tree: &Path| format!("{}:/srv", tree.display());
    let expected = build(source("oci", layout.path()), &first, args!["--add", add(&tree)]);
    let report = build(source("oci", layout.path()), &other, args!["--add", add(&copied)]);
    assert_eq!(report.content_id(), expected.content_id());
    assert_same(&first, &other);
}
