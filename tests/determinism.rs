//! The same input gives the same bytes; other input gives another content id.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::args;
use crate::judges;
use crate::support::image::{assert_same, build};
use crate::support::judge::ask;
use crate::support::layout::host_platform;
use crate::support::program::{PROGRAM, command, source};
use crate::support::{Corpus, Layout, Run, Tar, scratch};

/// Several layers, of which later ones replace, delete and link to what earlier ones have.
fn layers() -> [Tar; 4] {
    let large = vec![b'x'; 3 << 20];
    let many =
        (0..300).fold(Tar::new(), |tar, number| tar.file(&format!("many/{number}"), format!("{number}").repeat(900)));
    [
        many,
        Tar::new()
            .directory("usr", 0o755)
            .directory("usr/lib", 0o755)
            .symlink("lib", "usr/lib")
            .file("usr/large", &large),
        Tar::new().file("lib/library", &large).hardlink("usr/again", "usr/large").whiteout("many/7"),
        Tar::new().file("usr/large", b"replaced").file("many/8", vec![b'8'; 1 << 20]).directory("etc", 0o700),
    ]
}

#[test]
fn threads_do_not_matter() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), layers());
    let [first, other] = ["first", "other"].map(|name| scratch.path().join(name));
    let expected = build(source("oci", layout.path()), &first, args!["--jobs", "1"]);
    for jobs in ["1", "2", "3", "16"] {
        let report = build(source("oci", layout.path()), &other, args!["--jobs", jobs, "--force"]);
        assert_eq!(report.content_id(), expected.content_id(), "--jobs {jobs}");
        assert_same(&first, &other);
    }
}

#[test]
fn a_real_image_is_the_same_with_one_thread_and_with_many() {
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let scratch = scratch();
    let [first, other] = ["first", "other"].map(|name| scratch.path().join(name));
    let expected = build(source("oci", &corpus.layout), &first, args!["--jobs", "1"]);
    for _ in 0..2 {
        let report = build(source("oci", &corpus.layout), &other, args!["--jobs", "4", "--force"]);
        assert_eq!(report.content_id(), expected.content_id());
        assert_same(&first, &other);
    }
}

#[test]
fn a_layout_and_its_archive_give_the_same() {
    judges!("tar");
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let scratch = scratch();
    let archive = scratch.path().join("archive.tar");
    ask("tar", args!["-cf", archive, "-C", corpus.layout, "."]).ok();
    let [first, other] = ["first", "other"].map(|name| scratch.path().join(name));
    let expected = build(source("oci", &corpus.layout), &first, []);
    let report = build(source("oci-archive", &archive), &other, []);
    assert_eq!(report.content_id(), expected.content_id());
    assert_eq!(report.0["manifest_digest"], expected.0["manifest_digest"]);
    assert_same(&first, &other);
}

/// Neither place, time, environment nor umask gets into the image.
#[test]
fn surroundings_do_not_matter() {
    let scratch = scratch();
    let [here, there] = ["here", "there"].map(|name| Layout::of(scratch.path().join(name), layers()));
    let [first, other] = ["first", "other"].map(|name| scratch.path().join(name));
    let expected = build(source("oci", here.path()), &first, []);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let mut shell = Command::new("sh");
    shell.args(args!["-c", "umask 077; exec \"$@\"", "sh", PROGRAM, "build", "oci:there", "-o", "other", "--json"]);
    shell.current_dir(scratch.path()).env("TZ", "Asia/Kathmandu").env("LC_ALL", "tr_TR.UTF-8");
    shell.env("SOURCE_DATE_EPOCH", "1");
    let report = crate::support::image::Report::of(&Run::of(&mut shell).ok());
    assert_eq!(report.content_id(), expected.content_id());
    assert_eq!(there.path().file_name().unwrap(), "there");
    assert_same(&first, &other);
}

#[test]
fn content_ids_tell_what_the_bytes_depend_on() {
    let scratch = scratch();
    let layout = Layout::new(scratch.path().join("layout")).image("latest", &host_platform(), layers()).image(
        "other",
        &host_platform(),
        [Tar::new().file("other", b"other")],
    );
    let addition = scratch.path().join("addition");
    std::fs::write(&addition, b"one").unwrap();
    let add = |target: &str| format!("{}:{target}", addition.display());
    let latest = format!("oci:{}:latest", layout.path().display());
    let other = format!("oci:{}:other", layout.path().display());
    let uuid = "0b0e7a1c-5f3d-4d7e-9a64-2f6c1d9be001";

    let mut ids = BTreeMap::new();
    let mut id = |name: &str, id: String| {
        if let Some(same) = ids.insert(id, name.to_owned()) {
            panic!("{name} and {same} have the same content id");
        }
    };
    id("full", content_id(scratch.path(), &latest, &[]));
    id("plain", content_id(scratch.path(), &latest, &["--guest", "none"]));
    id("hostname", content_id(scratch.path(), &latest, &["--hostname", "box"]));
    id("env", content_id(scratch.path(), &latest, &["--env", "A=b"]));
    id("cmd", content_id(scratch.path(), &latest, &["--cmd", "a b"]));
    id("sshd", content_id(scratch.path(), &latest, &["--sshd"]));
    id("image", content_id(scratch.path(), &other, &[]));
    id("size", content_id(scratch.path(), &latest, &["--size", "777M"]));
    id("label", content_id(scratch.path(), &latest, &["--label", "another"]));
    id("uuid", content_id(scratch.path(), &latest, &["--uuid", uuid]));
    id("add", content_id(scratch.path(), &latest, &["--add", &add("/a")]));
    id("add elsewhere", content_id(scratch.path(), &latest, &["--add", &add("/b")]));
    id("add twice", content_id(scratch.path(), &latest, &["--add", &add("/a"), "--add", &add("/b")]));
    id("add with owner", content_id(scratch.path(), &latest, &["--add", &add("/a"), "--add-owner", "7"]));
    std::fs::write(&addition, b"two").unwrap();
    id("add other content", content_id(scratch.path(), &latest, &["--add", &add("/a")]));
}

/// What banger puts on top is the same each time, and the same with one thread and with many.
#[test]
fn the_guest_layer_is_the_same_each_time() {
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let scratch = scratch();
    let [first, other] = ["first", "other"].map(|name| scratch.path().join(name));
    let options =
        |jobs| args!["--jobs", jobs, "--hostname", "box", "--env", "B=2", "--env", "A=1", "--sshd", "--force"];
    let expected = build(source("oci", &corpus.layout), &first, options("1"));
    let report = build(source("oci", &corpus.layout), &other, options("4"));
    assert_eq!(report.content_id(), expected.content_id());
    assert_same(&first, &other);
}

#[test]
fn content_ids_do_not_tell_what_the_bytes_do_not_depend_on() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), layers());
    let plain = format!("oci:{}", layout.path().display());
    let expected = content_id(scratch.path(), &plain, &[]);
    let latest = format!("{plain}:latest");
    assert_eq!(content_id(scratch.path(), &latest, &[]), expected, "the same image by its name");
    for options in [&["--jobs", "3"][..], &["--checksum"], &["--no-sync"], &["--label", "banger-rootfs"]] {
        assert_eq!(content_id(scratch.path(), &plain, options), expected, "{options:?}");
    }
    let platform = host_platform();
    assert_eq!(content_id(scratch.path(), &plain, &["--platform", &platform]), expected, "the platform that it is for");
}

/// The content id that `--quiet` prints, and nothing else.
#[track_caller]
fn content_id(scratch: &Path, source: &str, options: &[&str]) -> String {
    let image = scratch.join("image");
    let run = Run::of(command().args(args!["build", source, "-o", image, "--quiet", "--force"]).args(options)).ok();
    assert_eq!(run.stderr(), "", "{run}");
    let (id, rest) = run.stdout().split_once('\n').map(|(id, rest)| (id.to_owned(), rest.to_owned())).unwrap();
    assert_eq!(rest, "", "{run}");
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    id
}
