//! Bundles that are none: each is refused with what is wrong, and leaves nothing.

use crate::support::{names, noise, told};
use banger_catalog::{ErrorKind, Unwatched, bundle};
use banger_oci::Digest;
use serde_json::json;
use tar_core::EntryType;
use tar_core::builder::{HeaderBuilder, PaxBuilder};

const ROOTFS: &str = "rootfs.ext4";
const MANIFEST: &str = "manifest.json";

fn content() -> Vec<u8> {
    noise(10_000, 5)
}

fn manifest(size: u64, digest: &Digest) -> Vec<u8> {
    let rootfs = json!({ "size": size, "sha256": digest.hex() });
    json!({ "version": 1, "name": "a", "platform": "linux/amd64", "rootfs": rootfs }).to_string().into_bytes()
}

fn right_manifest() -> Vec<u8> {
    manifest(10_000, &Digest::sha256(&content()))
}

fn member(name: &str, kind: EntryType, link: &str, size: u64, data: &[u8]) -> Vec<u8> {
    let mut header = HeaderBuilder::new_ustar();
    header.path(name).unwrap().mode(0o644).unwrap().size(size).unwrap().link_name(link).unwrap();
    let mut bytes = header.entry_type(kind).finish().as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    member(name, EntryType::Regular, "", data.len() as u64, data)
}

fn other(name: &str, kind: EntryType, link: &str) -> Vec<u8> {
    member(name, kind, link, 0, &[])
}

/// A sparse file in format 1.0.
fn sparse(name: &str, realsize: u64, map: &str, data: &[u8]) -> Vec<u8> {
    let mut pax = PaxBuilder::new();
    pax.add("GNU.sparse.major", "1").add("GNU.sparse.minor", "0").add("GNU.sparse.name", name);
    pax.add_u64("GNU.sparse.realsize", realsize);
    let pax = pax.finish();
    let mut stored = map.as_bytes().to_vec();
    stored.resize(stored.len().next_multiple_of(512), 0);
    stored.extend_from_slice(data);
    [member("p", EntryType::XHeader, "", pax.len() as u64, &pax), file("GNUSparseFile.0/x", &stored)].concat()
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Reads a bundle that is none: what is told of it.
fn refused(name: &str, bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let error = bundle::read(bytes, directory.path(), &Unwatched).expect_err(name);
    assert_eq!(error.kind(), ErrorKind::Integrity, "{name}: {}", told(&error));
    assert!(names(directory.path()).is_empty(), "{name}");
    told(&error)
}

#[test]
fn archives_that_are_no_bundles() {
    let (good, rootfs) = (file(MANIFEST, &right_manifest()), file(ROOTFS, &content()));
    let digest = Digest::sha256(&content());
    let foreign = "does not belong there";
    let hole = |size: u64| manifest(size, &digest);
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("nothing", vec![], "has no manifest.json"),
        ("no root file system", vec![good.clone()], "has no rootfs.ext4"),
        ("no manifest", vec![rootfs.clone()], "has no manifest.json before its rootfs.ext4"),
        ("the wrong order", vec![rootfs.clone(), good.clone()], "has no manifest.json before its rootfs.ext4"),
        ("an extra file", vec![good.clone(), rootfs.clone(), file("evil", b"x")], "has a file in it, evil, which"),
        ("an extra file between", vec![good.clone(), file("evil", b"x"), rootfs.clone()], "a file in it, evil"),
        ("an extra file first", vec![file("evil", b"x"), good.clone(), rootfs.clone()], "a file in it, evil"),
        ("a large file first", vec![file("evil", &vec![1; 10 << 20]), good.clone()], "a file in it, evil"),
        ("an empty file", vec![good.clone(), rootfs.clone(), file("evil", b"")], foreign),
        ("a manifest twice", vec![good.clone(), good.clone(), rootfs.clone()], "a file in it, manifest.json"),
        ("a root file system twice", vec![good.clone(), rootfs.clone(), rootfs.clone()], "a file in it, rootfs.ext4"),
        (
            "a symbolic link",
            vec![good.clone(), other(ROOTFS, EntryType::Symlink, "/dev/sda")],
            "a symbolic link in it, rootfs.ext4",
        ),
        (
            "a hard link",
            vec![good.clone(), other(ROOTFS, EntryType::Link, "manifest.json")],
            "a hard link in it, rootfs.ext4",
        ),
        (
            "a manifest that is a link",
            vec![other(MANIFEST, EntryType::Symlink, "/etc/passwd"), rootfs.clone()],
            "a symbolic link",
        ),
        ("a directory", vec![other("./", EntryType::Directory, ""), good.clone(), rootfs.clone()], "a directory in it"),
        ("a device", vec![good.clone(), other(ROOTFS, EntryType::Block, "")], "a device in it"),
        ("a pipe", vec![good.clone(), other(ROOTFS, EntryType::Fifo, "")], "a pipe in it"),
        ("an absolute path", vec![good.clone(), file("/rootfs.ext4", &content())], "a file in it, /rootfs.ext4"),
        ("a path that climbs", vec![good.clone(), file("../rootfs.ext4", &content())], "a file in it, ../rootfs.ext4"),
        ("another spelling", vec![good.clone(), file("./rootfs.ext4", &content())], "a file in it, ./rootfs.ext4"),
        ("a whiteout", vec![good.clone(), rootfs.clone(), file(".wh.x", b"")], foreign),
        ("no JSON", vec![file(MANIFEST, b"{"), rootfs.clone()], "manifest.json cannot be read: EOF"),
        ("an empty manifest", vec![file(MANIFEST, b""), rootfs.clone()], "manifest.json cannot be read"),
        ("another version", vec![file(MANIFEST, br#"{"version":2}"#), rootfs.clone()], "it is of version 2"),
        (
            "a large manifest",
            vec![file(MANIFEST, &vec![b' '; (9 << 20) + 1])],
            "manifest.json has more than 9437184 bytes",
        ),
        ("a manifest of holes", vec![sparse(MANIFEST, 1 << 40, "0\n", b"")], "manifest.json has more than"),
        ("other bytes", vec![good.clone(), file(ROOTFS, &noise(10_000, 6))], "its digest is sha256:"),
        ("a byte more", vec![file(MANIFEST, &hole(9_999)), rootfs.clone()], "it has more than its 9999 bytes"),
        ("a byte less", vec![file(MANIFEST, &hole(10_001)), rootfs.clone()], "it has 10000 bytes instead of 10001"),
        ("none of the bytes", vec![good.clone(), file(ROOTFS, b"")], "it has 0 bytes instead of 10000"),
        (
            "too large for anybody",
            vec![file(MANIFEST, &hole((1 << 40) + 1)), rootfs.clone()],
            "has more than 1099511627776",
        ),
        (
            "a hole too long",
            vec![good.clone(), sparse(ROOTFS, 1 << 50, "0\n", b"")],
            "it has more than its 10000 bytes",
        ),
        ("a hole of zeros", vec![good.clone(), sparse(ROOTFS, 10_000, "0\n", b"")], "its digest is"),
        (
            "a map that overlaps",
            vec![good.clone(), sparse(ROOTFS, 10_000, "2\n0\n10\n5\n10\n", &[1; 20])],
            "starts before the end",
        ),
        ("a map that leaves", vec![good.clone(), sparse(ROOTFS, 10_000, "1\n9999\n2\n", &[1; 2])], "leaves the file"),
        ("a map of nothing", vec![good.clone(), sparse(ROOTFS, 10_000, "x", b"")], "malformed"),
        (
            "a map of ten million",
            vec![good.clone(), sparse(ROOTFS, 10_000, "10000000\n", b"")],
            "more than 1048576 runs",
        ),
        ("an unknown type", vec![good.clone(), other("x", EntryType::Other(b'M'), "")], "cannot be read"),
    ];
    for (name, members, message) in cases {
        for bytes in [compressed(&archive(&members)), archive(&members)] {
            let told = refused(name, &bytes);
            assert!(told.contains(message), "{name}: {told}");
        }
    }
}

#[test]
fn what_follows_the_end() {
    let good = archive(&[file(MANIFEST, &right_manifest()), file(ROOTFS, &content())]);
    let more = |bytes: &[u8]| [&good[..], bytes].concat();
    let late = more(&[&vec![0; 3 << 20][..], b"x"].concat());
    let cases = [
        ("garbage in the archive", compressed(&more(b"garbage")), format!("at byte {} of it", good.len())),
        ("another archive", compressed(&more(&good)), "follows the end".to_owned()),
        ("garbage far behind", compressed(&late), format!("at byte {} of it", late.len() - 1)),
        ("garbage behind the frame", [compressed(&good), b"garbage".to_vec()].concat(), "foreign bytes".to_owned()),
        ("another frame", [compressed(&good), compressed(b"x")].concat(), "follows the end".to_owned()),
    ];
    for (name, bytes, message) in cases {
        let told = refused(name, &bytes);
        assert!(told.contains(&message), "{name}: {told}");
    }
    // Zeros fill the last record of tar, and may fill a tape.
    for bytes in [compressed(&more(&vec![0; 9216])), compressed(&more(&vec![0; 3 << 20])), good.clone()] {
        let directory = tempfile::tempdir().unwrap();
        bundle::read(&bytes[..], directory.path(), &Unwatched).unwrap();
    }
}

#[test]
fn cut_off_anywhere() {
    let good = archive(&[file(MANIFEST, &right_manifest()), file(ROOTFS, &content())]);
    let whole = compressed(&good);
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        refused(&format!("the first {length} bytes"), &whole[..length]);
    }
    // Compressed again after it was cut: only the archive can tell. Between two members it looks complete.
    for length in (0..good.len() - 1024).step_by(512) {
        refused(&format!("the first {length} bytes of the archive"), &compressed(&good[..length]));
    }
}

#[test]
fn bombs() {
    // 40 GiB of zeros in some frames, declared honestly: out of proportion.
    let frame = compressed(&vec![0; 1 << 30]);
    let size = 40_u64 << 30;
    let mut header = HeaderBuilder::new_gnu();
    header.path(ROOTFS).unwrap().size(size).unwrap();
    let head = [file(MANIFEST, &manifest(size, &Digest::sha256(b""))), header.finish().as_bytes().to_vec()].concat();
    let told = refused("zeros", &[compressed(&head), frame.repeat(40)].concat());
    assert!(told.contains("times its size"), "{told}");

    // A frame that wants 2 GiB of memory.
    let told = refused("a window", b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00");
    assert!(told.contains("needs a window of 2147483648 bytes"), "{told}");
    let told = refused("xz", b"\xfd7zXZ\0");
    assert!(told.contains("compressed with xz"), "{told}");
}
