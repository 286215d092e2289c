//! Bundles: what goes in comes out, with its holes; the same image makes the same bytes.

use crate::support::{Watcher, names, noise, sparse, told};
use banger_catalog::bundle::{self, Boot, Manifest, Written};
use banger_catalog::{Error, ErrorKind, Unwatched};
use banger_oci::Digest;
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

pub(crate) fn threads(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

pub(crate) fn write(rootfs: &Path, directory: &Path) -> Written {
    let manifest = Manifest::new("debian", "linux/amd64");
    bundle::write(&manifest, &File::open(rootfs).unwrap(), rootfs, directory, threads(2), &Unwatched).unwrap()
}

#[test]
fn what_goes_in_comes_out() {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    let size = 64 * MIB;
    sparse(&image, size, &[(0, &noise(100_000, 1)), (30 * MIB + 5, b"x"), (size - 1, b"y")]);
    let mut manifest = Manifest::new("debian-bookworm", "linux/arm64/v8");
    manifest.distro = Some("debian".to_owned());
    manifest.source = Some("docker.io/library/debian:bookworm".to_owned());
    manifest.digest = Some(Digest::sha256(b"m").to_string());
    manifest.content_id = Some("c".to_owned());
    manifest.boot = Some(Boot { mode: "systemd".to_owned(), why: "/sbin/init".to_owned() });
    manifest.kernel_ref = Some("linux-6.1".to_owned());
    manifest.kernel_version = Some("6.1.0".to_owned());
    manifest.label = Some("root".to_owned());
    manifest.config = Some(serde_json::json!({ "os": "linux", "a": [1, null] }));
    let watcher = Watcher::default();
    let opened = File::open(&image).unwrap();
    let written = bundle::write(&manifest, &opened, &image, scratch.path(), threads(2), &watcher).unwrap();

    let bytes = fs::read(&written.path).unwrap();
    assert_eq!(written.size, bytes.len() as u64);
    assert_eq!(written.sha256, Digest::sha256(&bytes));
    let name = format!("debian-bookworm-{}.tar.zst", &written.sha256.hex()[..16]);
    assert_eq!(names(scratch.path()), [&*name, "image", "out"]);
    assert_eq!(watcher.received.into_inner(), size);

    let watcher = Watcher::default();
    let extracted = bundle::read(&bytes[..], &out, &watcher).unwrap();
    assert_eq!(watcher.received.into_inner(), size);
    assert_eq!(extracted.rootfs, out.join("rootfs.ext4"));
    assert_eq!(names(&out), ["rootfs.ext4"]);
    assert!(fs::read(&extracted.rootfs).unwrap() == fs::read(&image).unwrap());
    assert!(extracted.rootfs.metadata().unwrap().blocks() * 512 < 200_000);
    manifest.rootfs = extracted.manifest.rootfs.clone();
    assert_eq!(extracted.manifest, manifest);
    assert_eq!(extracted.manifest.architecture(), "arm64");
    assert_eq!(manifest.rootfs.size, size);
}

#[test]
fn the_same_image_makes_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    // More than two of zstd's jobs.
    let noise = noise(40 << 20, 3);
    let size = 100 * MIB;
    let data = [(MIB, &noise[..35 << 20]), (80 * MIB, &noise[35 << 20..])];
    let holes = sparse(&path("holes"), size, &data);
    let zeros = vec![0; usize::try_from(size).unwrap()];
    let full = sparse(&path("full"), size, &[(0, &zeros), data[0], data[1]]);
    assert!(full.metadata().unwrap().blocks() > holes.metadata().unwrap().blocks());
    let manifest = Manifest::new("debian", "linux/amd64");
    let mut found = Vec::new();
    for (name, count) in [("holes", 1), ("holes", 2), ("full", 3), ("full", 7), ("holes", 2)] {
        let out = tempfile::tempdir_in(scratch.path()).unwrap();
        let image = File::open(path(name)).unwrap();
        let written = bundle::write(&manifest, &image, &path(name), out.path(), threads(count), &Unwatched).unwrap();
        found.push((written.sha256, written.path.file_name().unwrap().to_owned()));
        // Again into the same place: it is the same file.
        bundle::write(&manifest, &image, &path(name), out.path(), threads(count), &Unwatched).unwrap();
        assert_eq!(names(out.path()).len(), 1);
    }
    found.dedup();
    assert_eq!(found.len(), 1);
}

#[test]
fn nothing_is_left_of_what_was_not_to_go_on() {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    sparse(&image, 20 * MIB, &[(0, &noise(10 << 20, 1))]);
    let written = write(&image, scratch.path());
    let bytes = fs::read(&written.path).unwrap();
    for enough in [1, 5 * MIB] {
        let watcher = || Watcher { enough, ..Watcher::default() };
        let error = bundle::read(&bytes[..], &out, &watcher()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        let opened = File::open(&image).unwrap();
        let manifest = Manifest::new("debian", "linux/amd64");
        let error = bundle::write(&manifest, &opened, &image, &out, threads(2), &watcher()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(names(&out).is_empty());
    }
    // One that is in the way is not touched.
    fs::write(out.join("rootfs.ext4"), "somebody's").unwrap();
    let error = bundle::read(&bytes[..], &out, &Unwatched).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", told(&error));
    assert_eq!(fs::read(out.join("rootfs.ext4")).unwrap(), b"somebody's");
}

/// A watcher that changes the file behind the writer's back.
struct Meddler<'a>(&'a File);

impl banger_catalog::Watch for Meddler<'_> {
    fn advanced(&self, _done: u64, _total: u64) {
        self.0.write_all_at(b"other", 15 * MIB).unwrap();
    }
}

#[test]
fn a_root_file_system_that_changes_meanwhile_is_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    let file = sparse(&image, 20 * MIB, &[(0, &noise(20 << 20, 1))]);
    let manifest = Manifest::new("debian", "linux/amd64");
    let error = bundle::write(&manifest, &file, &image, &out, threads(2), &Meddler(&file)).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert!(names(&out).is_empty());
}

#[test]
fn manifests_that_could_not_be_read_again_are_not_written() {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    let file = sparse(&image, 4 * KIB, &[]);
    let mut large = Manifest::new("a", "linux/amd64");
    large.config = Some(serde_json::json!("x".repeat(9 << 20)));
    for manifest in
        [Manifest::new("A", "linux/amd64"), Manifest::new("a/b", "linux/amd64"), Manifest::new("a", "x y"), large]
    {
        let error = bundle::write(&manifest, &file, &image, &out, threads(1), &Unwatched).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(names(&out).is_empty());
    }
}

#[test]
fn more_holes_than_a_map_has_room_for() {
    let scratch = tempfile::tempdir().unwrap();
    let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
    fs::create_dir(&out).unwrap();
    // Every second block: half as many runs again as a map may have.
    let blocks = 98_304_u64;
    let mut file = File::options().read(true).write(true).create_new(true).open(&image).unwrap();
    let pattern = [vec![1; 4096], vec![0; 4096]].concat().repeat(128);
    for _ in 0..blocks / 256 {
        file.write_all(&pattern).unwrap();
    }
    let written = write(&image, scratch.path());
    let extracted = bundle::read(File::open(&written.path).unwrap(), &out, &Unwatched).unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut first).unwrap();
    File::open(&extracted.rootfs).unwrap().read_to_end(&mut second).unwrap();
    assert!(first == second);
    let limit = u64::try_from(banger_catalog::limits::RUNS).unwrap();
    assert!(blocks / 2 > limit, "the map has room for all of them");
    // They come out all the same.
    assert!(extracted.rootfs.metadata().unwrap().blocks() * 512 < first.len() as u64 * 6 / 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_of_all_shapes(
        size in prop_oneof![0..3 * 4096_u64, 0..8 * MIB],
        data in prop::collection::vec((0..8 * MIB, 1..70_000_usize, any::<u64>(), any::<bool>()), 0..8),
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let (image, out) = (scratch.path().join("image"), scratch.path().join("out"));
        fs::create_dir(&out).unwrap();
        let file = sparse(&image, size, &[]);
        for (offset, length, seed, zeros) in data {
            let bytes = if zeros { vec![0; length] } else { noise(length, seed) };
            let length = bytes.len().min(usize::try_from(size.saturating_sub(offset)).unwrap());
            file.write_all_at(&bytes[..length], offset.min(size)).unwrap();
        }
        let written = write(&image, scratch.path());
        let extracted = bundle::read(File::open(&written.path).unwrap(), &out, &Unwatched).unwrap();
        let (first, second) = (fs::read(&image).unwrap(), fs::read(&extracted.rootfs).unwrap());
        prop_assert!(first == second);
        let data = first.chunks(4096).filter(|block| block.iter().any(|&byte| byte != 0)).count() as u64;
        prop_assert!(extracted.rootfs.metadata().unwrap().blocks() * 512 <= data * 4096);
    }
}
