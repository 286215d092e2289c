//! Archives that GNU tar makes of real files, in each of its formats.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod common;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use banger_layers::entry::Kind;

use common::sink::{Layer, read};

/// Whether the program is there. Where judges are required it must be.
fn judge(program: &str) -> bool {
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        let required =
            std::env::var_os("CI").is_some() || std::env::var("BANGER_JUDGES").is_ok_and(|value| value == "required");
        assert!(!required, "{program} is missing");
        eprintln!("SKIPPED: {program} is missing");
    }
    found
}

/// Archives a directory.
fn tar(directory: &Path, options: &[&str]) -> Layer {
    let output = Command::new("tar")
        .args(["--sort=name", "-C"])
        .arg(directory)
        .args(options)
        .args(["-cf", "-", "."])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    read(&output.stdout).unwrap()
}

const MIB: u64 = 1 << 20;

/// Files of all kinds that can be made without privileges.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("dir/sub")).unwrap();
    fs::set_permissions(root.join("dir"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(root.join("dir/file"), "content").unwrap();
    fs::hard_link(root.join("dir/file"), root.join("dir/sub/link")).unwrap();
    symlink("../dir/file", root.join("symlink")).unwrap();
    symlink("t/".repeat(200), root.join("long-symlink")).unwrap();
    let long = root.join("long").join("x".repeat(120)).join("y".repeat(120));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("z".repeat(200)), "deep").unwrap();
    let setuid = File::options().create(true).write(true).truncate(true).mode(0o755).open(root.join("setuid"));
    setuid.unwrap().set_permissions(fs::Permissions::from_mode(0o4711)).unwrap();
    assert!(
        Command::new("touch")
            .args(["-d", "1955-11-05 06:15:00.5 UTC"])
            .arg(root.join("setuid"))
            .status()
            .unwrap()
            .success()
    );

    // 40 runs of data, more than a header has room for in any form, and a hole at the end.
    let mut sparse = File::create(root.join("sparse")).unwrap();
    for piece in 0..40_u8 {
        sparse.seek(SeekFrom::Start(u64::from(piece) * MIB / 4)).unwrap();
        sparse.write_all(&[piece + 1; 5000]).unwrap();
    }
    sparse.set_len(12 * MIB).unwrap();
    File::create(root.join("hole")).unwrap().set_len(5 * MIB).unwrap();
}

/// Compares a layer with the files it was made of.
fn assert_same(layer: &Layer, root: &Path, nanoseconds: bool) {
    let mut names = 0;
    let mut pending = vec![root.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mut name = format!("./{}", path.strip_prefix(root).unwrap().display());
        if metadata.is_dir() {
            if path != root {
                name.push('/');
            }
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        names += 1;
        let entry = layer.entry(&name);
        assert_eq!(u32::from(entry.mode), metadata.mode() & 0o7777, "{name}");
        assert_eq!((entry.uid, entry.gid), (metadata.uid(), metadata.gid()), "{name}");
        assert_eq!(entry.mtime.seconds, metadata.mtime(), "{name}");
        if nanoseconds {
            assert_eq!(i64::from(entry.mtime.nanoseconds), metadata.mtime_nsec(), "{name}");
        }
        match entry.kind {
            Kind::Directory => assert!(metadata.is_dir(), "{name}"),
            Kind::Symlink { target } => {
                assert_eq!(target, fs::read_link(&path).unwrap().as_os_str().as_encoded_bytes());
            }
            Kind::File { size, content } => {
                assert_eq!(size, metadata.len(), "{name}");
                assert!(content_of(layer, content) == fs::read(&path).unwrap(), "{name}");
            }
            Kind::Hardlink { target } => {
                let target = root.join(str::from_utf8(target).unwrap());
                assert_eq!(fs::metadata(target).unwrap().ino(), metadata.ino(), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(layer.entries.len(), names);
}

/// A content in full, large holes too.
fn content_of(layer: &Layer, content: u32) -> Vec<u8> {
    let content = &layer.contents[content as usize];
    let mut bytes = Vec::new();
    let mut rest = &content.bytes[..];
    for &(offset, length) in &content.holes {
        let (data, tail) = rest.split_at(offset as usize - bytes.len());
        bytes.extend(data);
        bytes.resize((offset + length) as usize, 0);
        // Small holes are among the bytes already.
        rest = if length <= MIB { &tail[length as usize..] } else { tail };
    }
    bytes.extend(rest);
    bytes
}

#[test]
fn all_formats_of_gnu_tar() {
    if !judge("tar") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    make_tree(directory.path());
    for (options, nanoseconds) in [
        (&["--format=gnu"][..], false),
        (&["--format=oldgnu"], false),
        (&["--format=pax"], true),
        (&["--format=gnu", "--sparse"], false),
        (&["--format=oldgnu", "--sparse"], false),
        (&["--format=pax", "--sparse", "--sparse-version=0.0"], true),
        (&["--format=pax", "--sparse", "--sparse-version=0.1"], true),
        (&["--format=pax", "--sparse", "--sparse-version=1.0"], true),
        (&["--format=gnu", "--blocking-factor=200"], false),
    ] {
        eprintln!("tar {options:?}");
        let layer = tar(directory.path(), options);
        assert_same(&layer, directory.path(), nanoseconds);
        if options.contains(&"--sparse") {
            assert!(layer.content("./sparse").holes.len() >= 40, "{options:?}");
            assert_eq!(layer.content("./hole").holes, [(0, 5 * MIB)]);
        }
    }
}

#[test]
fn the_short_formats_of_gnu_tar() {
    if !judge("tar") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("d".repeat(90)).join("e".repeat(50))).unwrap();
    fs::write(directory.path().join("d".repeat(90)).join("file"), "content").unwrap();
    symlink("file", directory.path().join("link")).unwrap();
    assert_same(&tar(directory.path(), &["--format=ustar"]), directory.path(), false);
    fs::remove_dir_all(directory.path().join("d".repeat(90))).unwrap();
    assert_same(&tar(directory.path(), &["--format=v7"]), directory.path(), false);
}

#[test]
fn large_owners_and_labels_of_gnu_tar() {
    if !judge("tar") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "content").unwrap();
    for format in ["--format=gnu", "--format=pax"] {
        let options = [format, "--owner=:4294967294", "--group=:3000000000", "--mtime=@-86400", "--label=a label"];
        let layer = tar(directory.path(), &options);
        let entry = layer.entry("./file");
        assert_eq!((entry.uid, entry.gid, entry.mtime.seconds), (4_294_967_294, 3_000_000_000, -86_400));
        assert_eq!(layer.paths(), [&b"./"[..], b"./file"]);
    }
    // Incremental: directories list their names in their data.
    let layer = tar(directory.path(), &["--format=gnu", "--incremental"]);
    assert_eq!(layer.paths(), [&b"./"[..], b"./file"]);
    assert_eq!(layer.entry("./").kind, Kind::Directory);
}

#[test]
fn xattrs_of_gnu_tar() {
    if !judge("tar") || !judge("setfattr") {
        return;
    }
    // Temporary directories may be on a file system that has none.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "content").unwrap();
    let value = "0x010a0036206b6579 0aff".replace(' ', "");
    let status = Command::new("setfattr").args(["-n", "user.binary", "-v", &value]).arg(&file).status().unwrap();
    assert!(status.success(), "the file system takes no attributes");
    let layer = tar(directory.path(), &["--format=pax", "--xattrs"]);
    assert_eq!(layer.xattrs("./file"), [(&b"user.binary"[..], &b"\x01\n\x006 key\n\xff"[..])]);
}
