//! Scripts can rely on the exit codes, and people on the hints.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::args;
use crate::support::image::build;
use crate::support::layout::host_platform;
use crate::support::program::{banger, command, source};
use crate::support::scratch::names;
use crate::support::{Layout, Run, Tar, scratch};

fn layer() -> Tar {
    Tar::new().directory("etc", 0o755).file("etc/motd", "hello\n".repeat(2000))
}

/// Builds `source` and expects that nothing comes of it.
#[track_caller]
fn refused(scratch: &Path, source: &str, options: &[&str], code: i32) -> Run {
    let image = scratch.join("image");
    let run = Run::of(command().args(args!["build", source, "-o", image]).args(options)).expect(code);
    assert!(!image.exists());
    assert!(run.stdout().is_empty(), "{run}");
    assert!(run.stderr().lines().any(|line| line.starts_with("error: ")), "{run}");
    run
}

#[test]
fn two_for_a_command_line_that_is_wrong() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let source = format!("oci:{}", layout.path().display());
    for arguments in [&[][..], &["no-such-command"], &["build"], &["build", &source], &["ls"], &["cat", "image"]] {
        banger(arguments).expect(2);
    }
    for options in [
        &["--no-such-option"][..],
        &["--size", "2X"],
        &["--size", "2GB"],
        &["--platform", "linux"],
        &["--label", "more-than-16-bytes"],
        &["--uuid", "none"],
        &["--add", "nothing"],
        &["--add-owner", "root"],
        &["--jobs", "0"],
    ] {
        refused(scratch.path(), &source, options, 2);
    }
    for source in ["", "layout", "nosuch:layout", "debian:bookworm"] {
        refused(scratch.path(), source, &[], 2).says("hint: ");
    }
}

#[test]
fn two_where_a_choice_is_left_open() {
    let scratch = scratch();
    let layout = Layout::new(scratch.path().join("layout")).image("one", &host_platform(), [layer()]).image(
        "two",
        &host_platform(),
        [layer().file("two", b"2")],
    );
    let source = format!("oci:{}", layout.path().display());
    refused(scratch.path(), &source, &[], 2)
        .says("one, two")
        .says(&format!("hint: name one of them, such as {source}:one"));
    banger(args!["build", format!("{source}:two"), "-o", scratch.path().join("image")]).ok();
}

#[test]
fn three_for_what_is_not_there() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let source = format!("oci:{}", layout.path().display());
    let nothing = scratch.path().join("nothing");
    for scheme in ["oci", "oci-archive", "docker-archive", "tar"] {
        refused(scratch.path(), &format!("{scheme}:{}", nothing.display()), &[], 3);
    }
    refused(scratch.path(), &format!("{source}:nosuch"), &[], 3).says(&format!("{source}:latest"));
    refused(scratch.path(), &source, &["--add", &format!("{}:/etc/x", nothing.display())], 3);
    banger(args!["build", source, "-o", nothing.join("image")])
        .expect(3)
        .says("hint: make the directory first: mkdir -p ");
    let layer = layout.first_manifest()["layers"][0].clone();
    std::fs::remove_file(layout.blob_path(&layer)).unwrap();
    refused(scratch.path(), &source, &[], 3);

    for command in ["ls", "cat", "stat"] {
        banger(args![command, nothing, "/"]).expect(3);
    }
}

#[test]
fn three_for_a_platform_that_is_not_there() {
    let scratch = scratch();
    let layout = Layout::new(scratch.path().join("layout"))
        .index("latest", [("linux/s390x", layer()), ("linux/riscv64", layer())]);
    let source = format!("oci:{}", layout.path().display());
    let hint = "hint: choose one of them, such as --platform linux/riscv64";
    refused(scratch.path(), &source, &[], 3).says(hint).says("linux/s390x");
    // An image that is there, but that the agent does not run in.
    let other = ["--platform", "linux/s390x"];
    refused(scratch.path(), &source, &other, 2).says("for linux/s390x").says("hint: --guest none");
    let image = scratch.path().join("image");
    Run::of(command().args(args!["build", source, "-o", image, "--guest", "none"]).args(other)).ok();
}

#[test]
fn six_for_a_layer_that_is_not_what_its_digest_says() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let source = format!("oci:{}", layout.path().display());
    let manifest = layout.first_manifest();
    let layer = layout.blob_path(&manifest["layers"][0]);
    let good = std::fs::read(&layer).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();

    // In a file's content, where no parser notices; in the padding; shorter; longer; empty.
    let mut content = good.clone();
    content[2000] ^= 1;
    let mut padding = good.clone();
    *padding.last_mut().unwrap() ^= 1;
    let mut longer = good.clone();
    longer.extend_from_slice(&[0; 512]);
    for bad in [content, padding, good[..good.len() - 512].to_owned(), longer, Vec::new()] {
        std::fs::write(&layer, bad).unwrap();
        refused(scratch.path(), &source, &[], 6).says(digest);
    }
    std::fs::write(&layer, good).unwrap();
    banger(args!["build", source, "-o", scratch.path().join("image")]).ok();
}

#[test]
fn six_for_documents_that_are_not_what_they_should_be() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let source = format!("oci:{}", layout.path().display());
    let manifest = layout.first_manifest();
    let config = layout.blob_path(&manifest["config"]);
    let good = std::fs::read(&config).unwrap();
    let bad = String::from_utf8(good.clone()).unwrap().replace("linux", "linus");
    std::fs::write(&config, bad).unwrap();
    refused(scratch.path(), &source, &[], 6).says(manifest["config"]["digest"].as_str().unwrap());
    std::fs::write(&config, good).unwrap();

    let index = layout.path().join("index.json");
    for bad in ["", "{", "[]", "null", r#"{"schemaVersion":2}"#, "\0\0\0\0"] {
        std::fs::write(&index, bad).unwrap();
        refused(scratch.path(), &source, &[], 6);
    }
    let descriptor = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../etc/passwd", "size": 1 });
    std::fs::write(&index, json!({ "schemaVersion": 2, "manifests": [descriptor] }).to_string()).unwrap();
    refused(scratch.path(), &source, &[], 6);
}

#[test]
fn six_for_archives_that_are_malformed() {
    let scratch = scratch();
    let archive = scratch.path().join("archive.tar");
    let good = layer().finish();
    let mut header = good.clone();
    header[3] ^= 1;
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("no archive", b"not a tar archive, but long enough to hold a header".repeat(40), ""),
        ("bad header", header, ""),
        ("cut in a file", good[..2048].to_owned(), "etc/motd"),
        ("climbs out", Tar::new().file("../escape", b"x").finish(), "../escape"),
        ("no such target", Tar::new().hardlink("link", "nothing").finish(), "nothing"),
    ];
    for (name, bytes, named) in cases {
        std::fs::write(&archive, bytes).unwrap();
        let run = refused(scratch.path(), &format!("tar:{}", archive.display()), &[], 6);
        assert!(run.stderr().contains(named), "{name}: {run}");
    }
}

#[test]
fn six_for_an_image_that_is_no_file_system() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    for content in [Vec::new(), vec![0; 100], vec![0; 1 << 20], b"x".repeat(5000)] {
        std::fs::write(&image, content).unwrap();
        for command in ["ls", "cat", "stat"] {
            banger(args![command, image, "/etc"]).expect(6);
        }
    }
}

#[test]
fn seven_for_a_size_that_is_too_small() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let source = format!("oci:{}", layout.path().display());
    for size in ["0", "1", "1M", "67108863"] {
        refused(scratch.path(), &source, &["--size", size], 7).says("hint: --size 64M is enough");
    }
    banger(args!["build", source, "-o", scratch.path().join("image"), "--size", "64M"]).ok();
}

#[test]
fn one_for_anything_else() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer()]);
    let image = scratch.path().join("image");
    build(source("oci", layout.path()), &image, []);
    // A directory is not a file, and a file is not a directory.
    banger(args!["cat", image, "/etc"]).expect(1).says("/etc is a directory");
    banger(args!["ls", scratch.path()]).expect(1);
    assert_eq!(names(scratch.path()), ["image", "layout"]);
}

#[test]
fn paths_in_an_image_that_are_not_there() {
    let scratch = scratch();
    let layout =
        Layout::of(scratch.path().join("layout"), [layer().symlink("dangling", "nowhere").symlink("loop", "loop")]);
    let image = scratch.path().join("image");
    build(source("oci", layout.path()), &image, []);
    for path in ["/nothing", "/etc/nothing/deeper", "/etc/motd/below", "/dangling/x"] {
        banger(args!["ls", image, path]).expect(3);
        banger(args!["cat", image, path]).expect(3);
        banger(args!["stat", image, path]).expect(3);
    }
    banger(args!["cat", image, "/dangling"]).expect(3);
    banger(args!["cat", image, "/loop"]).expect(3);
    banger(args!["stat", image, "/loop"]).ok();
}

/// Nobody is told when the reader of a pipe has seen enough.
#[test]
fn a_closed_pipe_is_no_error() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer().file("large", vec![b'x'; 4 << 20])]);
    let image = scratch.path().join("image");
    build(source("oci", layout.path()), &image, []);
    for arguments in [
        args!["ls", image].to_vec(),
        args!["ls", image, "-R", "--json"].to_vec(),
        args!["cat", image, "/large"].to_vec(),
        args!["--help"].to_vec(),
    ] {
        let mut child = command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn standard_output_on_a_full_disk_is_an_error() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [layer().file("large", vec![b'x'; 4 << 20])]);
    let image = scratch.path().join("image");
    build(source("oci", layout.path()), &image, []);
    for arguments in [args!["ls", image], args!["stat", image], args!["build", "--help"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        Run::of(command().args(arguments).stdout(full)).expect(7).says("error: cannot write to standard output");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    Run::of(command().args(args!["cat", image, "/large"]).stdout(full)).expect(7);
}
