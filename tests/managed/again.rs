//! What is here is not made again: a second name for the same thing is a row, and nothing else.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bench::{SMALL, import, layers, site};
use crate::args;
use crate::support::managed::{disk_usage, files_of};
use crate::support::program::source;
use crate::support::registry::{Content, Server};
use crate::support::{Layout, Managed, Run, judge};

/// Bytes of the large layer: far more than a row takes.
const LARGE: usize = 4_000_000;

/// Bytes that a row may take: pages of the database and of its log, and what a daemon says in its own log.
const ROW: u64 = 128 << 10;

fn rootfs(image: &Value) -> PathBuf {
    image["rootfs"].as_str().unwrap().into()
}

/// Pulls, for an answer that says what it is.
#[track_caller]
fn pull(managed: &Managed, source: &str, name: &str, options: &[&str]) -> Value {
    managed.json([&["pull", source, "--name", name], options].concat()).remove(0)
}

/// The same image under two names, one after the other.
#[track_caller]
fn check_shared(managed: &Managed, first: &Value, second: &Value) {
    assert_eq!(first["id"], second["id"]);
    let [one, other] = [first, second].map(|image| rootfs(image).metadata().unwrap());
    assert_eq!((one.dev(), one.ino()), (other.dev(), other.ino()), "one file");
    let name = |image: &Value| image["name"].as_str().unwrap().to_owned();
    assert_eq!(managed.show(&name(first))["shared_with"], serde_json::json!([name(second)]));
    managed.assert_sound();
    managed.run(["image", "rm", &name(first)]).ok();
    managed.assert_sound();
    assert_eq!(managed.images(), [name(second)]);
    assert_eq!(rootfs(second).metadata().unwrap().ino(), one.ino());
    judge::e2fsck(&rootfs(second), &[]);
    managed.run(["image", "rm", &name(second)]).ok();
    managed.assert_sound();
    assert!(!rootfs(second).exists());
}

/// A registry with two tags for one image.
fn registry(managed: &Managed) -> (Server, PathBuf) {
    let layout = Layout::of(managed.user.path("layout"), layers(7, LARGE)).path().to_owned();
    let mut content = Content::of(&layout);
    let copy = content.clone();
    content.add(&copy, "latest", "other");
    (content.serve(), layout)
}

fn pulled_twice(managed: &Managed) {
    import(managed, "linux");
    let (server, layout) = registry(managed);
    let reference = server.reference("some/image:latest");
    let first = pull(managed, &reference, "one", &SMALL);
    assert!(!server.blobs().is_empty());
    for (reference, what) in [(&reference, "the same"), (&server.reference("some/image:other"), "another tag")] {
        server.forget();
        let before = disk_usage(&managed.user.home());
        assert!(before > LARGE as u64);
        let second = pull(managed, reference, "two", &SMALL);
        let grown = disk_usage(&managed.user.home()).saturating_sub(before);
        assert!(grown < ROW, "{what}: {grown} bytes more");
        let blobs: Vec<String> = server.blobs().into_iter().map(|request| request.target).collect();
        assert_eq!(blobs, [""; 0], "{what}: what is here is not asked for");
        assert_eq!(second["source"], reference.as_str());
        assert_eq!(first["id"], second["id"]);
        managed.run(["image", "rm", "two", "--quiet"]).ok();
    }
    // Where it was found makes no other image of it.
    let second = pull(managed, source("oci", &layout).to_str().unwrap(), "two", &SMALL);
    // Its options do.
    for options in [&["--hostname", "other"][..], &["--guest", "none"], &["--no-kernel"], &["--size", "80M"]] {
        let size: &[&str] = if options[0] == "--size" { &[] } else { &SMALL };
        let other = pull(managed, &reference, "other", &[options, size].concat());
        assert_ne!(other["id"], first["id"], "{options:?}");
        managed.run(["image", "rm", "other", "--quiet"]).ok();
    }
    check_shared(managed, &first, &second);
}

#[test]
fn a_second_pull_by_the_same_process_as_the_first() {
    pulled_twice(&Managed::with_daemon());
}

#[test]
fn a_second_pull_by_another_process() {
    pulled_twice(&Managed::new());
}

#[test]
fn a_bundle_twice() {
    for managed in [Managed::new(), Managed::with_daemon()] {
        let server = files_of(&site(&managed));
        managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
        let first = pull(&managed, "web", "one", &[]);
        server.forget();
        let before = disk_usage(&managed.user.home());
        let second = pull(&managed, "web", "two", &[]);
        let grown = disk_usage(&managed.user.home()).saturating_sub(before);
        assert!(grown < ROW, "{grown} bytes more");
        let asked: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(asked, ["/catalog.json"]);
        managed.run(["kernel", "rm", "remote", "--quiet"]).ok();
        check_shared(&managed, &first, &second);
    }
}

/// What somebody else makes of a registered image's file is not the registered image's business.
#[test]
fn a_promoted_image_is_its_own() {
    let managed = Managed::new();
    import(&managed, "linux");
    let file = managed.user.path("disk.ext4");
    let layout = Layout::of(managed.user.path("layout"), layers(7, 50_000));
    let built = managed.command(args!["build", source("oci", layout.path()), "-o", &file, "--size", "64M"]).output();
    assert!(built.unwrap().status.success());
    managed.run(args!["image", "register", "mine", &file]).ok();
    let registered = managed.show("mine");
    assert_eq!((rootfs(&registered), &registered["managed"]), (file.clone(), &Value::from(false)));
    managed.run(["image", "promote", "mine", "--quiet"]).ok();
    let promoted = managed.show("mine");
    assert_eq!(promoted["managed"], true);
    same_bytes(&file, &rootfs(&promoted));
    std::fs::write(&file, "gone").unwrap();
    managed.assert_sound();
    managed.run(["image", "rm", "mine", "--quiet"]).ok();
    managed.assert_sound();
    assert_eq!(std::fs::read(&file).unwrap(), b"gone", "what was registered stays");
}

#[track_caller]
fn same_bytes(one: &Path, other: &Path) {
    Run::of(std::process::Command::new("cmp").args([one, other])).ok();
}
