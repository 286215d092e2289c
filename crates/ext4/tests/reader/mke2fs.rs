//! Images as mke2fs makes them, of every kind, read back whole.

use banger_ext4::read::{Error, Reader};

use super::{fixture, judge, listing};

/// Options of mke2fs that change the form of what is read.
const KINDS: [&[&str]; 14] = [
    &["-b", "4096"],
    &["-b", "2048"],
    &["-b", "1024"],
    &["-b", "4096", "-O", "^64bit"],
    &["-b", "1024", "-O", "^64bit"],
    &["-b", "4096", "-O", "^metadata_csum"],
    &["-b", "4096", "-O", "^metadata_csum,uninit_bg"],
    &["-b", "4096", "-O", "metadata_csum_seed"],
    &["-b", "4096", "-O", "meta_bg,^resize_inode", "-g", "1024"],
    &["-b", "1024", "-O", "meta_bg,^resize_inode,^sparse_super", "-g", "1024"],
    &["-b", "4096", "-I", "128"],
    &["-b", "4096", "-I", "1024"],
    &["-b", "65536", "-N", "4096"],
    &["-b", "4096", "-O", "bigalloc,^has_journal", "-N", "4096"],
];

#[test]
fn every_kind_is_read_exactly() {
    if !judge::present("every_kind_is_read_exactly", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::PLENTY);
    let mut want = listing::of_directory(tree.path());
    let root = want.remove(&b""[..]).unwrap();
    for options in KINDS {
        let image = fixture::image(Some(tree.path()), "64M", options);
        let reader = Reader::open(image.reopen().unwrap()).unwrap();
        let mut got = listing::of_image(&reader);
        // mke2fs gives the root an owner, times and links of its own.
        assert_eq!(got.remove(&b""[..]).unwrap().file_type, root.file_type);
        listing::assert_same(&got, &want, &options.join(" "));
    }
}

#[test]
fn files_mapped_by_blocks_are_refused() {
    if !judge::present("files_mapped_by_blocks_are_refused", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    let image = fixture::image(Some(tree.path()), "8M", &["-O", "^extents,^64bit"]);
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let error = reader.read_dir(2).unwrap_err();
    assert!(matches!(error, Error::Unsupported { inode: Some(2), .. }), "{error}");
}

#[test]
fn content_in_the_inode_is_refused() {
    if !judge::present("content_in_the_inode_is_refused", &["mke2fs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    let image = fixture::image(Some(tree.path()), "8M", &["-O", "inline_data"]);
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let file = reader.lookup(b"file", super::lookup::KEEP).unwrap();
    let error = reader.copy_to(file, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("content inside of the inode"), "{error}");
}

#[test]
fn attributes_in_inodes_of_their_own_are_refused() {
    if !judge::present("attributes_in_inodes_of_their_own_are_refused", &["mke2fs", "debugfs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "content").unwrap();
    let image = fixture::image(Some(tree.path()), "8M", &["-b", "1024", "-O", "ea_inode"]);
    judge::debugfs_write(image.path(), &format!("ea_set file user.large {}", "x".repeat(3000)));
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let file = reader.lookup(b"file", super::lookup::KEEP).unwrap();
    let error = reader.xattrs(file).unwrap_err();
    assert!(error.to_string().contains("an extended attribute in an inode of its own"), "{error}");
}

#[test]
fn features_that_change_the_reading_are_refused() {
    if !judge::present("features_that_change_the_reading_are_refused", &["mke2fs", "debugfs"]) {
        return;
    }
    let image = fixture::image(None, "8M", &[]);
    assert!(Reader::open(image.reopen().unwrap()).is_ok());
    judge::debugfs_write(image.path(), "feature needs_recovery");
    let error = Reader::open(image.reopen().unwrap()).unwrap_err();
    assert!(error.to_string().contains("a journal that must be replayed"), "{error}");
    let journal = fixture::image(None, "8M", &["-O", "journal_dev"]);
    assert!(Reader::open(journal.reopen().unwrap()).is_err());
}

#[test]
fn what_is_no_file_system_is_said_to_be_none() {
    let cases = [("empty", 0), ("small", 1500), ("zeros", 1 << 20)];
    for (what, len) in cases {
        assert!(Reader::open(vec![0; len]).is_err(), "{what}");
    }
}

#[test]
fn a_file_is_read_from_any_place() {
    if !judge::present("a_file_is_read_from_any_place", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::LITTLE);
    let image = fixture::image(Some(tree.path()), "16M", &["-b", "1024"]);
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    for name in ["sparse", "pieces", "300000 bytes", "hole", "60 bytes"] {
        let want = std::fs::read(tree.path().join("content").join(name)).unwrap();
        let inode = reader.lookup(format!("content/{name}").as_bytes(), super::lookup::KEEP).unwrap();
        let mut step = 1;
        let mut offset = 0;
        while offset < want.len() + 5000 {
            let mut buf = vec![0xAA; step];
            let len = reader.read_at(inode, offset as u64, &mut buf).unwrap();
            let rest = want.get(offset..).unwrap_or(&[]);
            assert_eq!(&buf[..len], &rest[..rest.len().min(step)], "{name} at {offset}");
            offset += step * 3 / 2 + 1;
            step = step * 7 % 20_011;
        }
        let extents = reader.extents(inode).unwrap();
        let stored: u64 = extents.iter().map(|extent| u64::from(extent.len) * 1024).sum();
        assert!(name == "hole" || stored > 0, "{name}");
        assert!(extents.is_sorted_by_key(|extent| extent.logical), "{name}");
        if name == "pieces" {
            assert!(extents.len() >= 20);
            assert_eq!(stored, 20 * 4096);
        }
    }
}
