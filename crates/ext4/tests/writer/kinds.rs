//! Everything that an inode can be comes back from the kernel as it went in.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use crate::common::{
    Bench, Mounted, content, debugfs, directory, dumpe2fs, empty, missing, node, noise, options, tree,
};
use banger_ext4::spec::inode::Timestamp;
use banger_ext4::write::{Content, Kind, MAX_FILE_SIZE, Node, NodeId, Options, Xattrs};

#[test]
fn features_are_those_that_guests_want() {
    let bench = Bench::new();
    bench.finish(tree(), &[], &options());
    let Some(said) = dumpe2fs(&bench.path) else { return };
    let field = |name: &str| {
        let line =
            said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {said}"));
        line.trim().to_owned()
    };
    assert_eq!(
        field("Filesystem features:"),
        "has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file \
         dir_nlink extra_isize metadata_csum"
    );
    for (name, value) in [
        ("Filesystem volume name:", "test-label"),
        ("Filesystem UUID:", "30313233-3435-3637-3839-616263646566"),
        ("Directory Hash Seed:", "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a"),
        ("Filesystem state:", "clean"),
        ("Default mount options:", "user_xattr acl"),
        ("Block count:", "262144"),
        ("Inode count:", "65536"),
        ("Filesystem created:", "Tue Nov 14 22:13:20 2023"),
        ("Last checked:", "Tue Nov 14 22:13:20 2023"),
        ("Mount count:", "0"),
        ("Flex block group size:", "16"),
        ("Journal backup:", "inode blocks"),
        ("Total journal size:", "32M"),
        ("Journal features:", "(none)"),
        ("Reserved GDT blocks:", "255"),
        ("Default directory hash:", "half_md4"),
        ("Filesystem flags:", "signed_directory_hash"),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    assert!(said.contains("INODE_UNINIT, BLOCK_UNINIT, ITABLE_ZEROED"), "{said}");
}

#[test]
fn an_image_that_holds_little_takes_little() {
    let bench = Bench::new();
    bench.finish(tree(), &[], &Options { size: Some(10 << 30), ..options() });
    let allocated = fs::metadata(&bench.path).unwrap().blocks() * 512;
    // The descriptors with their backups, the lists of the resize inode, and a few blocks more.
    assert!(allocated < 3 << 20, "{allocated} bytes");
}

#[test]
fn every_kind_of_file_comes_back() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    let data = noise(1, 300_001);
    let big = content(&mut writer, &data);
    let small = content(&mut writer, b"x");
    let segment = writer.done().unwrap();

    let mut tree = tree();
    let sub = tree.add(NodeId::ROOT, b"sub", Node { mode: 0o3775, uid: 5, gid: 6, ..node(Kind::Directory) }).unwrap();
    let file = |index| Kind::File(Content { segment: 0, index });
    let owner = Node { mode: 0o6711, uid: u32::MAX - 1, gid: 0x1234_5678, ..node(file(big)) };
    let big_node = tree.add(sub, b"big", owner).unwrap();
    tree.add(sub, b"small", node(file(small))).unwrap();
    tree.link(NodeId::ROOT, b"hardlink", big_node).unwrap();
    empty(&mut tree, sub, "empty");
    let mut targets = Vec::new();
    for len in [1, 59, 60, 61, 4095] {
        let (name, target) = (format!("link{len}"), vec![b't'; len]);
        let link =
            tree.add(sub, name.as_bytes(), Node { mode: 0o777, uid: 7, ..node(Kind::Symlink(&target)) }).unwrap();
        tree.link(sub, format!("{name}-again").as_bytes(), link).unwrap();
        targets.push((name, target));
    }
    let devices = [(5, 1), (255, 255), (256, 3), (4, 256), (4095, 1_048_575)];
    for (major, minor) in devices {
        tree.add(sub, format!("c{major}-{minor}").as_bytes(), node(Kind::CharDevice { major, minor })).unwrap();
        tree.add(sub, format!("b{major}-{minor}").as_bytes(), node(Kind::BlockDevice { major, minor })).unwrap();
    }
    tree.add(sub, b"fifo", node(Kind::Fifo)).unwrap();
    tree.add(sub, b"socket", node(Kind::Socket)).unwrap();
    let raw: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').chain([b'x'; 1]).collect();
    assert_eq!(raw.len(), 255);
    tree.add(sub, &raw, node(Kind::File(Content::EMPTY))).unwrap();
    tree.set_root(Node { mode: 0o1751, uid: 9, ..node(Kind::Directory) });
    bench.finish(tree, &[segment], &options());

    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let root = mounted.path();
    let stat = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    assert_eq!((stat("").mode(), stat("").uid(), stat("").nlink()), (0o41_751, 9, 4));
    assert_eq!((stat("sub").mode(), stat("sub").uid(), stat("sub").gid()), (0o43_775, 5, 6));
    let metadata = stat("sub/big");
    assert_eq!((metadata.mode(), metadata.uid(), metadata.gid()), (0o106_711, u32::MAX - 1, 0x1234_5678));
    assert_eq!((metadata.nlink(), metadata.ino()), (2, stat("hardlink").ino()));
    assert_eq!(fs::read(root.join("hardlink")).unwrap(), data);
    assert_eq!(fs::read(root.join("sub/small")).unwrap(), b"x");
    assert_eq!(stat("sub/empty").len(), 0);
    for (name, target) in targets {
        let path = root.join("sub").join(&name);
        assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), target);
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.nlink(), metadata.len()), (7, 2, target.len() as u64));
    }
    for (major, minor) in devices {
        for kind in ["c", "b"] {
            let metadata = stat(&format!("sub/{kind}{major}-{minor}"));
            let kinds = (metadata.file_type().is_char_device(), metadata.file_type().is_block_device());
            assert_eq!(kinds, (kind == "c", kind == "b"));
            let number = metadata.rdev();
            assert_eq!((rustix::fs::major(number), rustix::fs::minor(number)), (major, minor));
        }
    }
    assert!(stat("sub/fifo").file_type().is_fifo());
    assert!(stat("sub/socket").file_type().is_socket());
    assert!(fs::exists(root.join("sub").join(std::ffi::OsStr::from_bytes(&raw))).unwrap());
    let lost_found = stat("lost+found");
    assert_eq!((lost_found.ino(), lost_found.mode(), lost_found.len()), (11, 0o40_700, 16_384));
}

#[test]
fn times_are_kept_to_the_nanosecond_from_1901_to_2446() {
    let times = [
        (0, 0),
        (-1, 999_999_999),
        (Timestamp::MIN_SECONDS, 1),
        (i64::from(i32::MAX) + 1, 5),
        (1 << 32, 999_999_999),
        (3 << 32, 7),
        (Timestamp::MAX_SECONDS, 999_999_999),
    ];
    let beyond = [(i64::MIN, Timestamp::MIN_SECONDS), (i64::MAX, Timestamp::MAX_SECONDS)];
    let bench = Bench::new();
    let mut tree = tree();
    for (seconds, nanoseconds) in times.into_iter().chain(beyond.map(|(given, _)| (given, 3))) {
        let mtime = Timestamp { seconds, nanoseconds };
        let name = format!("t{seconds}");
        tree.add(NodeId::ROOT, name.as_bytes(), Node { mtime, ..node(Kind::Directory) }).unwrap();
    }
    bench.finish(tree, &[], &options());
    let Some(mounted) = Mounted::new(&bench.path, "ro,noatime") else { return };
    for (seconds, nanoseconds) in times {
        let metadata = fs::metadata(mounted.path().join(format!("t{seconds}"))).unwrap();
        let expected = (seconds, i64::from(nanoseconds));
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), expected);
        assert_eq!((metadata.ctime(), metadata.ctime_nsec()), expected);
        assert_eq!((metadata.atime(), metadata.atime_nsec()), expected);
    }
    for (given, clamped) in beyond {
        let metadata = fs::metadata(mounted.path().join(format!("t{given}"))).unwrap();
        assert_eq!(metadata.mtime(), clamped);
    }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65_536];
    let len = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

/// An ACL as system calls have it: owner rwx, user 1000 r, group r-x, mask r-x, others nothing.
fn acl() -> Vec<u8> {
    let none = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [(1, 7, none), (2, 4, 1000), (4, 5, none), (16, 5, none), (32, 0, none)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

#[test]
fn extended_attributes_come_back_from_inode_and_block() {
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let large = noise(3, 3500);
    let odd = b"new\nline\0and \xff";
    let acl = acl();
    let sets: [&[(&str, &[u8])]; 6] = [
        &[("security.capability", &capability)],
        &[("user.large", &large), ("user.odd", odd), ("security.capability", &capability)],
        &[("system.posix_acl_access", &acl), ("system.posix_acl_default", &acl)],
        &[("user.empty", b"")],
        &[("trusted.thing", b"1"), ("user.b", b"22"), ("user.a", b"333"), ("user.longer-name", b"4444")],
        &[("user.na\u{ef}ve-\u{fc}n\u{ef}c\u{f6}d\u{e9}", &large)],
    ];
    let bench = Bench::new();
    let mut tree = tree();
    for (index, set) in sets.iter().enumerate() {
        let xattrs = tree.xattrs(set.iter().map(|&(name, value)| (name.as_bytes(), value))).unwrap();
        tree.add(NodeId::ROOT, format!("dir{index}").as_bytes(), Node { xattrs, ..node(Kind::Directory) }).unwrap();
    }
    // More inodes than can share one block.
    let xattrs = tree.xattrs([(&b"user.large"[..], &large[..])]).unwrap();
    let many = directory(&mut tree, NodeId::ROOT, "many");
    for index in 0..2500 {
        let file = Node { xattrs, ..node(Kind::File(Content::EMPTY)) };
        tree.add(many, index.to_string().as_bytes(), file).unwrap();
    }
    for (name, kind) in [
        ("link", Kind::Symlink(b"dir0")),
        ("longlink", Kind::Symlink(&[b'x'; 100])),
        ("fifo", Kind::Fifo),
        ("device", Kind::CharDevice { major: 1, minor: 3 }),
    ] {
        let xattrs = tree.xattrs([(&b"trusted.t"[..], &large[..]), (&b"security.s"[..], &b"v"[..])]).unwrap();
        tree.add(NodeId::ROOT, name.as_bytes(), Node { xattrs, ..node(kind) }).unwrap();
    }
    bench.finish(tree, &[], &options());
    let shared = debugfs(&bench.path, "stat /many/0").unwrap_or_default();
    assert!(shared.is_empty() || shared.contains("Blockcount: 8\n"), "{shared}");

    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let root = mounted.path();
    for (index, set) in sets.iter().enumerate() {
        let path = root.join(format!("dir{index}"));
        for &(name, value) in *set {
            assert_eq!(xattr(&path, name).as_deref(), Some(value), "{name} of dir{index}");
        }
        let mut list = vec![0; 4096];
        let len = rustix::fs::llistxattr(&path, &mut list[..]).unwrap();
        assert_eq!(list[..len].iter().filter(|&&byte| byte == 0).count(), set.len(), "dir{index}");
    }
    for index in 0..2500 {
        assert_eq!(xattr(&root.join("many").join(index.to_string()), "user.large").as_ref(), Some(&large));
    }
    for name in ["link", "longlink", "fifo", "device"] {
        assert_eq!(xattr(&root.join(name), "trusted.t").as_ref(), Some(&large), "{name}");
        assert_eq!(xattr(&root.join(name), "security.s").as_deref(), Some(&b"v"[..]), "{name}");
    }
}

#[test]
fn the_kernel_obeys_acls_that_were_written() {
    let bench = Bench::new();
    let mut tree = tree();
    let acl = acl();
    let xattrs = tree.xattrs([(&b"system.posix_acl_access"[..], &acl[..])]).unwrap();
    let file = Node { mode: 0o750, xattrs, ..node(Kind::File(Content::EMPTY)) };
    tree.add(NodeId::ROOT, b"file", file).unwrap();
    bench.finish(tree, &[], &options());
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let Some(output) = crate::common::judge("getfacl", &["-n", mounted.path().join("file").to_str().unwrap()]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    for line in ["user::rwx", "user:1000:r--", "group::r-x", "mask::r-x", "other::---"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn holes_and_many_extents_come_back() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    // Every other block is a hole: as many extents as blocks.
    let mut files = Vec::new();
    for blocks in [4_u64, 5, 340, 341, 1361, 3000] {
        writer.begin().unwrap();
        for block in 0..blocks {
            writer.write(&noise(block + 1, 4096)).unwrap();
            writer.skip(4096).unwrap();
        }
        files.push((blocks, writer.finish().unwrap()));
    }
    writer.begin().unwrap();
    writer.skip(MAX_FILE_SIZE - 5).unwrap();
    writer.write(b"12345").unwrap();
    let huge = writer.finish().unwrap();
    writer.begin().unwrap();
    writer.skip(123_456_789).unwrap();
    let hole = writer.finish().unwrap();
    let segment = writer.done().unwrap();
    let mut tree = tree();
    for &(blocks, index) in &files {
        let file = node(Kind::File(Content { segment: 0, index }));
        tree.add(NodeId::ROOT, blocks.to_string().as_bytes(), file).unwrap();
    }
    tree.add(NodeId::ROOT, b"huge", node(Kind::File(Content { segment: 0, index: huge }))).unwrap();
    tree.add(NodeId::ROOT, b"hole", node(Kind::File(Content { segment: 0, index: hole }))).unwrap();
    bench.finish(tree, &[segment], &options());
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    for (blocks, _) in files {
        let path = mounted.path().join(blocks.to_string());
        let read = fs::read(&path).unwrap();
        assert_eq!(read.len() as u64, blocks * 8192);
        for (pair, seed) in read.chunks(8192).zip(1..) {
            assert!(pair[..4096] == noise(seed, 4096) && pair[4096..].iter().all(|&b| b == 0));
        }
    }
    let file = fs::File::open(mounted.path().join("huge")).unwrap();
    let mut end = [0; 10];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut end, MAX_FILE_SIZE - 10).unwrap();
    assert_eq!(&end, b"\0\0\0\0\x0012345");
    let metadata = file.metadata().unwrap();
    assert_eq!((metadata.len(), metadata.blocks()), (MAX_FILE_SIZE, 8));
    let hole = fs::metadata(mounted.path().join("hole")).unwrap();
    assert_eq!((hole.len(), hole.blocks()), (123_456_789, 0));
}

#[test]
fn no_extent_is_longer_than_those_of_libext2fs() {
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    writer.begin().unwrap();
    // Group 1 has a head and group 2 has none: 65,279 blocks stand together, and so do those behind the next heads.
    let piece = noise(1, 1 << 20);
    for _ in 0..600 {
        writer.write(&piece).unwrap();
    }
    let index = writer.finish().unwrap();
    let segment = writer.done().unwrap();
    let mut tree = tree();
    tree.add(NodeId::ROOT, b"long", node(Kind::File(Content { segment: 0, index }))).unwrap();
    // A size at which the journal alone has 131,072 blocks.
    bench.finish(tree, &[segment], &Options { size: Some(100 << 30), ..options() });
    for file in ["/long", "<8>"] {
        let Some(said) = debugfs(&bench.path, &format!("extents {file}")) else { return };
        // The line of an extent has two ranges, that of an index node has one.
        let leaves = said.lines().filter(|line| line.matches('-').count() == 2);
        let lengths: Vec<u64> = leaves.filter_map(|line| line.split_whitespace().last()?.parse().ok()).collect();
        assert_eq!(lengths.iter().max(), Some(&32_767), "{file}: {said}");
        assert!(!said.contains("Uninit"), "{said}");
    }
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let read = fs::read(mounted.path().join("long")).unwrap();
    assert!(read.len() == 600 << 20 && read.chunks(1 << 20).all(|chunk| chunk == piece));
}

#[test]
fn a_tree_s_own_lost_found_is_used() {
    let bench = Bench::new();
    let mut tree = tree();
    empty(&mut tree, NodeId::ROOT, "before");
    let lost_found =
        tree.add(NodeId::ROOT, b"lost+found", Node { mode: 0o711, uid: 3, ..node(Kind::Directory) }).unwrap();
    empty(&mut tree, lost_found, "#123");
    empty(&mut tree, NodeId::ROOT, "after");
    bench.finish(tree, &[], &options());
    let Some(mounted) = Mounted::new(&bench.path, "ro") else { return };
    let metadata = fs::metadata(mounted.path().join("lost+found")).unwrap();
    assert_eq!((metadata.ino(), metadata.mode(), metadata.uid(), metadata.len()), (11, 0o40_711, 3, 16_384));
    assert!(fs::exists(mounted.path().join("lost+found/#123")).unwrap());
    assert!(fs::exists(mounted.path().join("before")).unwrap() && fs::exists(mounted.path().join("after")).unwrap());
}

#[test]
fn mistakes_of_the_caller_are_errors() {
    use banger_ext4::Error;
    use banger_ext4::write::Segment;
    type Make = fn(&Bench) -> (banger_ext4::write::Tree, Vec<Segment>);
    let cases: [(&str, Make); 6] = [
        ("same name twice", |_| {
            let mut tree = tree();
            let sub = directory(&mut tree, NodeId::ROOT, "sub");
            empty(&mut tree, sub, "a");
            empty(&mut tree, sub, "a");
            (tree, vec![])
        }),
        ("lost+found is a file", |_| {
            let mut tree = tree();
            empty(&mut tree, NodeId::ROOT, "lost+found");
            (tree, vec![])
        }),
        ("unknown content", |_| {
            let mut tree = tree();
            tree.add(NodeId::ROOT, b"a", node(Kind::File(Content { segment: 0, index: 0 }))).unwrap();
            (tree, vec![])
        }),
        ("content of two files", |bench| {
            let mut writer = bench.image.content();
            writer.place(0).unwrap();
            content(&mut writer, b"x");
            let mut tree = tree();
            for name in [b"a", b"b"] {
                tree.add(NodeId::ROOT, name, node(Kind::File(Content { segment: 0, index: 0 }))).unwrap();
            }
            (tree, vec![writer.done().unwrap()])
        }),
        ("segment without a place", |bench| {
            let mut writer = bench.image.content();
            content(&mut writer, b"x");
            (tree(), vec![writer.done().unwrap()])
        }),
        ("segments over each other", |bench| {
            let segments = [1, 2].map(|_| {
                let mut writer = bench.image.content();
                content(&mut writer, b"x");
                writer.place(0).unwrap();
                writer.done().unwrap()
            });
            (tree(), segments.into())
        }),
    ];
    for (what, make) in cases {
        let bench = Bench::new();
        let (tree, segments) = make(&bench);
        let error = bench.image.finish(tree, &segments, &options()).expect_err(what);
        match what {
            "same name twice" => assert!(matches!(error, Error::DuplicateName { path } if path == b"/sub/a")),
            "lost+found is a file" => assert!(matches!(error, Error::LostFound)),
            _ => assert!(matches!(error, Error::Misuse(_)), "{what}: {error}"),
        }
    }
    let bench = Bench::new();
    let mut other = tree();
    let foreign: Xattrs = other.xattrs([(&b"user.a"[..], &b"b"[..])]).unwrap();
    let mut tree = tree();
    tree.add(NodeId::ROOT, b"a", Node { xattrs: foreign, ..node(Kind::Fifo) }).unwrap();
    assert!(matches!(bench.image.finish(tree, &[], &options()), Err(Error::Misuse(_))));

    let mut writer = bench.image.content();
    assert!(matches!(writer.write(b"x"), Err(Error::Misuse(_))));
    writer.begin().unwrap();
    assert!(matches!(writer.begin(), Err(Error::Misuse(_))));
    writer.skip(MAX_FILE_SIZE).unwrap();
    assert!(matches!(writer.write(b"x"), Err(Error::FileTooLong { .. })));
    assert!(matches!(writer.done(), Err(Error::Misuse(_))));
}

#[test]
fn the_judges_do_judge() {
    let bench = Bench::new();
    bench.finish(tree(), &[], &options());
    let copy = bench.copy();
    // The root directory's inode, in the first inode table: one byte of its mode.
    let Some(said) = debugfs(&copy, "imap <2>") else { return missing("debugfs") };
    let block: u64 = said.split("located at block ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0x42], block * 4096 + 0x100).unwrap();
    let judged = std::panic::catch_unwind(|| crate::common::e2fsck(&copy));
    assert!(judged.is_err(), "e2fsck accepts a broken image");
}
