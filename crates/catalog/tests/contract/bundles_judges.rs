//! Bundles between this crate and GNU tar and zstd: each reads what the other writes.

use crate::bundles::write;
use crate::support::{judge, noise, run, sparse};
use banger_catalog::{Unwatched, bundle};
use banger_oci::Digest;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

const MIB: u64 = 1 << 20;

fn judges() -> bool {
    judge("tar") && judge("zstd")
}

/// A name, a size, and data at some places.
type Shape<'a> = (&'a str, u64, &'a [(u64, &'a [u8])]);

fn images(directory: &Path) -> Vec<std::path::PathBuf> {
    let noise = noise(3 << 20, 9);
    let shapes: [Shape<'_>; 7] = [
        ("empty", 0, &[]),
        ("hole", 50 * MIB, &[]),
        ("full", 3 * MIB, &[(0, &noise)]),
        ("ends in a hole", 90 * MIB + 4096, &[(0, &noise), (20 * MIB, &noise[..5000])]),
        ("ends in data", 90 * MIB, &[(4096 * 7, &noise[..4096]), (90 * MIB - 10, b"0123456789")]),
        ("no whole block", 5 * MIB + 77, &[(5 * MIB + 70, b"1234567")]),
        ("large", 1 << 30, &[((1 << 30) - 4096, b"x")]),
    ];
    let make = |(name, size, data): Shape<'_>| {
        let path = directory.join(name);
        sparse(&path, size, data);
        path
    };
    shapes.map(make).into()
}

#[test]
fn gnu_tar_extracts_ours_with_their_holes() {
    if !judges() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    for image in images(scratch.path()) {
        let out = tempfile::tempdir_in(scratch.path()).unwrap();
        let written = write(&image, out.path());
        run(Command::new("zstd").args(["-q", "-t"]).arg(&written.path));
        let listing = run(Command::new("tar")
            .args(["--zstd", "--numeric-owner", "--full-time", "--utc", "-tvf"])
            .arg(&written.path));
        let lines: Vec<&str> = listing.lines().collect();
        assert_eq!(lines.len(), 2, "{listing}");
        for (line, name) in lines.iter().zip(["manifest.json", "rootfs.ext4"]) {
            assert!(
                line.starts_with("-rw-r--r-- 0/0 ") && line.ends_with(&format!(" 1970-01-01 00:00:00 {name}")),
                "{line}"
            );
        }
        run(Command::new("tar").args(["--zstd", "-xf"]).arg(&written.path).arg("-C").arg(out.path()));
        let extracted = out.path().join("rootfs.ext4");
        run(Command::new("cmp").arg(&image).arg(&extracted));
        let (ours, theirs) = (image.metadata().unwrap(), extracted.metadata().unwrap());
        assert_eq!(theirs.len(), ours.len());
        assert!(theirs.blocks() <= ours.blocks(), "{}: {} {}", image.display(), theirs.blocks(), ours.blocks());
        assert_eq!(theirs.permissions().mode() & 0o777, 0o644);
    }
}

#[test]
fn ours_comes_back_with_its_holes() {
    let scratch = tempfile::tempdir().unwrap();
    for image in images(scratch.path()) {
        let out = tempfile::tempdir_in(scratch.path()).unwrap();
        let written = write(&image, scratch.path());
        let extracted = bundle::read(File::open(&written.path).unwrap(), out.path(), &Unwatched).unwrap();
        run(Command::new("cmp").arg(&image).arg(&extracted.rootfs));
        assert!(extracted.rootfs.metadata().unwrap().blocks() <= image.metadata().unwrap().blocks());
    }
}

#[test]
fn what_gnu_tar_writes_is_read() {
    if !judges() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let image = scratch.path().join("rootfs.ext4");
    let noise = noise(1 << 20, 4);
    sparse(&image, 40 * MIB, &[(0, &noise), (20 * MIB + 1, b"x"), (39 * MIB, &noise[..100])]);
    let bytes = fs::read(&image).unwrap();
    let manifest = serde_json::json!({
        "version": 1, "name": "a", "platform": "linux/amd64",
        "rootfs": { "size": bytes.len(), "sha256": Digest::sha256(&bytes).hex() }
    });
    fs::write(scratch.path().join("manifest.json"), manifest.to_string()).unwrap();
    let ways: [&[&str]; 8] = [
        &["--zstd"],
        &["--zstd", "--sparse"],
        &["--zstd", "--format=gnu", "--sparse"],
        &["--zstd", "--format=posix", "--sparse"],
        &["--zstd", "--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--zstd", "--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--zstd", "--format=ustar", "--owner=0", "--mtime=@0"],
        &["--use-compress-program=zstd -19 --long=27"],
    ];
    for options in ways {
        let out = tempfile::tempdir().unwrap();
        let archive = out.path().join("bundle.tar.zst");
        run(Command::new("tar")
            .args(options)
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(scratch.path())
            .args(["manifest.json", "rootfs.ext4"]));
        let extracted = bundle::read(File::open(&archive).unwrap(), out.path(), &Unwatched).unwrap();
        assert!(fs::read(&extracted.rootfs).unwrap() == bytes, "{options:?}");
        assert!(extracted.rootfs.metadata().unwrap().blocks() * 512 < 2 * MIB, "{options:?}");
    }
}
