//! Images as the kernel fills them: hashed directories of every hash, nanoseconds, sockets.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use banger_ext4::read::Reader;

use super::{fixture, judge, listing};

#[test]
fn what_the_kernel_writes_is_read_exactly() {
    if !judge::present("what_the_kernel_writes_is_read_exactly", &["mke2fs", "mount", "loop"]) {
        return;
    }
    for options in [&["-b", "4096"][..], &["-b", "1024"], &["-b", "4096", "-O", "^metadata_csum,^64bit"]] {
        let image = fixture::image(None, "64M", options);
        let mount = judge::Mount::new(image.path());
        let amount = fixture::Amount { nanoseconds: true, sockets: true, ..fixture::PLENTY };
        fs::remove_dir(mount.path().join("lost+found")).unwrap();
        fixture::plant(mount.path(), amount);
        let want = listing::of_directory(mount.path());
        drop(mount);
        let reader = Reader::open(image.reopen().unwrap()).unwrap();
        let got = listing::of_image(&reader);
        assert!(want.values().any(|facts| facts.mtime.1 == 123_456_789));
        listing::assert_same(&got, &want, &options.join(" "));
    }
}

/// Names long enough that a directory of blocks of 1 KiB has nodes between its root and its leaves.
fn long_names() -> impl Iterator<Item = Vec<u8>> {
    (0..1200_u32).map(|number| {
        // From the bytes above 0x7F the signed and unsigned forms of a hash differ.
        let byte = if number.is_multiple_of(2) { b'x' } else { 0xE9 };
        let mut name = number.wrapping_mul(2_654_435_761).to_string().into_bytes();
        name.resize(200 + (number % 50) as usize, byte);
        name
    })
}

#[test]
fn names_are_found_by_every_hash() {
    if !judge::present("names_are_found_by_every_hash", &["mke2fs", "tune2fs", "debugfs", "mount", "loop"]) {
        return;
    }
    // s_flags: 1 for signed and 2 for unsigned hashes.
    let table = [("half_md4", 1), ("half_md4", 2), ("tea", 1), ("tea", 2), ("legacy", 1), ("legacy", 2)];
    for (hash, flags) in table {
        let what = format!("{hash} with s_flags {flags}");
        let image = fixture::image(None, "16M", &["-b", "1024", "-N", "2048"]);
        judge::run("tune2fs", &[OsStr::new("-E"), format!("hash_alg={hash}").as_ref(), image.path().as_os_str()]);
        judge::debugfs_write(image.path(), &format!("ssv flags {flags}"));
        let mount = judge::Mount::new(image.path());
        let directory = mount.path().join("many");
        fs::create_dir(&directory).unwrap();
        for name in long_names() {
            fs::write(directory.join(OsStr::from_bytes(&name)), "").unwrap();
        }
        drop(mount);

        let reader = Reader::open(image.reopen().unwrap()).unwrap();
        assert_eq!(reader.superblock().flags & 3, flags, "{what}");
        let directory = reader.find(2, b"many").unwrap().unwrap();
        let block = reader.extents(directory).unwrap()[0].start * 1024;
        let mut root = [0; 1024];
        std::os::unix::fs::FileExt::read_exact_at(image.as_file(), &mut root, block).unwrap();
        let root = banger_ext4::spec::htree::decode_root(None, &root).unwrap();
        assert_eq!(root.levels, 1, "{what}");

        let mut names: Vec<Vec<u8>> = long_names().collect();
        names.sort_unstable();
        let mut listed: Vec<Vec<u8>> =
            reader.read_dir(directory).unwrap().into_iter().map(|entry| entry.name).collect();
        listed.sort_unstable();
        assert_eq!(listed, names, "{what}");
        for name in names {
            let found = reader.find(directory, &name).unwrap();
            assert!(found.is_some(), "{what}: {}", name.escape_ascii());
        }
        for absent in [&b"absent"[..], b"1", &[0xE9; 255]] {
            assert_eq!(reader.find(directory, absent).unwrap(), None, "{what}");
        }
        for dots in [&b"."[..], b".."] {
            let want = if dots == b"." { directory } else { 2 };
            assert_eq!(reader.find(directory, dots).unwrap(), Some(want), "{what}");
        }
    }
}
