//! Damaged images: reading ends, with or without an error, and never in a panic.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use banger_ext4::read::{Error, LastLink, Reader, Source};
use banger_ext4::spec::extent::{self, Extent, ExtentIndex};
use banger_ext4::spec::htree::{self, CONTINUED, Hasher, IndexEntry};
use banger_ext4::spec::{FileType, GroupDescriptor, Seed, Superblock};

use super::{fixture, judge};

/// Far more than reading one small image takes, however it is damaged.
const PATIENCE: Duration = Duration::from_secs(20);
/// As much of each file as is read: damage can make a file look larger than any disk.
const CONTENT_BYTES: u64 = 1 << 20;

/// An image in memory of which only the beginning can be read.
struct Cut<'a> {
    bytes: &'a [u8],
    readable: usize,
}

impl Source for Cut<'_> {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes[..self.readable].get(offset as usize..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
}

/// Reads all that there is and returns how much went well and how much did not.
fn read_everything<S: Source>(source: S) -> (usize, usize) {
    let started = Instant::now();
    let (mut good, mut bad) = (0, 0);
    let mut count = |ok: bool| if ok { good += 1 } else { bad += 1 };
    match Reader::open(source) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            count(false);
        }
        Ok(reader) => {
            let mut buf = vec![0; 65536];
            for entry in reader.walk(2) {
                count(entry.is_ok());
                let Ok(entry) = entry else { continue };
                let number = entry.stat.number;
                count(reader.xattrs(number).is_ok());
                count(reader.lookup(&entry.path, LastLink::Follow).is_ok());
                match entry.stat.file_type {
                    FileType::Regular => {
                        let mut offset = 0;
                        while offset < entry.stat.size.min(CONTENT_BYTES) {
                            let read = reader.read_at(number, offset, &mut buf);
                            count(read.is_ok());
                            let Ok(len @ 1..) = read else { break };
                            offset += len as u64;
                        }
                        count(reader.read_at(number, entry.stat.size.saturating_sub(10), &mut buf).is_ok());
                        count(reader.extents(number).is_ok());
                    }
                    FileType::Symlink => count(reader.read_link(number).is_ok()),
                    FileType::Directory => {
                        count(reader.find(number, b"absent").is_ok());
                        count(reader.find(number, b"..").is_ok());
                    }
                    _ => {}
                }
                assert!(started.elapsed() < PATIENCE, "reading does not end");
            }
            for number in 0..=reader.superblock().inodes_count.min(200) {
                count(reader.stat(number).is_ok());
            }
        }
    }
    (good, bad)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// A small image of everything. The one with checksums notices damage; the one without has to live with it.
fn small_image(options: &[&str]) -> Vec<u8> {
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::LITTLE);
    let image = fixture::image(Some(tree.path()), "4M", &[&["-N", "256", "-O", "^has_journal"], options].concat());
    if judge::present("hashed directories", &["e2fsck"]) {
        // Directories that fill several blocks become hashed. (It exits with 1 for having changed something.)
        let _ = std::process::Command::new("e2fsck").args(["-fyD"]).arg(image.path()).output().unwrap();
    }
    std::fs::read(image.path()).unwrap()
}

const KINDS: [&[&str]; 2] = [&["-b", "1024"], &["-b", "1024", "-O", "^metadata_csum"]];

#[test]
fn flipped_bytes() {
    if !judge::present("flipped_bytes", &["mke2fs", "root"]) {
        return;
    }
    for options in KINDS {
        let whole = small_image(options);
        let (all, none) = read_everything(whole.clone());
        assert!(all > 500 && none > 0, "{all} {none}");
        // What is not zero, without the content of files: damage there cannot be noticed.
        let content = content_blocks(&whole);
        let used: Vec<usize> =
            (0..whole.len()).filter(|at| whole[*at] != 0 && !content.contains(&(*at as u64 / 1024))).collect();
        let mut numbers = Numbers(42);
        let mut noticed = 0;
        for round in 0..600 {
            let mut image = whole.clone();
            // One byte at first, then more and more of them.
            for _ in 0..=round / 60 {
                let at = used[numbers.below(used.len())];
                image[at] ^= 1 << numbers.below(8);
            }
            let (good, bad) = read_everything(image);
            noticed += usize::from((good, bad) != (all, none));
        }
        assert!(noticed > 200, "{noticed} of 600 were noticed");
    }
}

/// Blocks of the content of files.
fn content_blocks(image: &[u8]) -> BTreeSet<u64> {
    let reader = Reader::open(image.to_vec()).unwrap();
    let stats = reader.walk(2).map(|entry| entry.unwrap().stat);
    let files = stats.filter(|stat| stat.file_type == FileType::Regular);
    files
        .flat_map(|stat| reader.extents(stat.number).unwrap())
        .flat_map(|extent| extent.start..extent.start + u64::from(extent.len))
        .collect()
}

#[test]
fn blocks_of_nonsense() {
    if !judge::present("blocks_of_nonsense", &["mke2fs", "root"]) {
        return;
    }
    for options in KINDS {
        let whole = small_image(options);
        let mut numbers = Numbers(7);
        for block in (1..whole.len() / 1024).step_by(3) {
            if whole[block * 1024..][..1024].iter().all(|&byte| byte == 0) {
                continue;
            }
            let mut image = whole.clone();
            let from = numbers.below(whole.len() / 1024);
            match block % 3 {
                0 => image[block * 1024..][..1024].fill(0),
                1 => image[block * 1024..][..1024].fill(0xFF),
                _ => image.copy_within(from * 1024..(from + 1) * 1024, block * 1024),
            }
            read_everything(image);
        }
    }
}

#[test]
fn images_cut_short() {
    if !judge::present("images_cut_short", &["mke2fs", "root"]) {
        return;
    }
    let whole = small_image(KINDS[0]);
    for len in (0..whole.len()).step_by(40_007) {
        let cut = whole[..len].to_vec();
        let error = Reader::open(cut).unwrap_err();
        match error {
            Error::Io { .. } if len < 2048 => {}
            Error::Truncated { size, needed } => assert_eq!((size, needed), (len as u64, whole.len() as u64)),
            other => panic!("{len}: {other}"),
        }
        let (_, bad) = read_everything(Cut { bytes: &whole, readable: len });
        assert!(bad > 0);
    }
}

#[test]
fn a_directory_in_itself() {
    if !judge::present("a_directory_in_itself", &["mke2fs", "debugfs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join("a/b")).unwrap();
    let image = fixture::image(Some(tree.path()), "4M", &["-b", "1024", "-O", "^has_journal"]);
    judge::debugfs_write(image.path(), "ln a a/b/circle");
    let reader = Reader::open(image.reopen().unwrap()).unwrap();
    let walked: Vec<Result<_, _>> = reader.walk(2).collect();
    let paths: Vec<&[u8]> = walked.iter().flatten().map(|entry| &entry.path[..]).collect();
    assert_eq!(paths, [&b""[..], b"a", b"a/b", b"lost+found"]);
    let errors: Vec<&Error> = walked.iter().filter_map(|entry| entry.as_ref().err()).collect();
    assert!(matches!(errors[..], [Error::At { path, .. }] if path == b"a/b/circle"), "{errors:?}");
}

/// Where an inode stands in an image without checksums.
fn inode_at(image: &[u8], number: u32) -> usize {
    let superblock = Superblock::decode(&image[1024..2048]).unwrap();
    let group = (number - 1) / superblock.inodes_per_group;
    let size = superblock.descriptor_bytes();
    let descriptor = GroupDescriptor::decode(None, group, &image[2048 + group as usize * size..][..size]).unwrap();
    let within = ((number - 1) % superblock.inodes_per_group) as usize;
    descriptor.inode_table as usize * 1024 + within * superblock.inode_bytes()
}

/// Offset of `i_block` in an inode.
const I_BLOCK: usize = 0x28;

#[test]
fn extent_trees_in_circles() {
    if !judge::present("extent_trees_in_circles", &["mke2fs", "root"]) {
        return;
    }
    let whole = small_image(KINDS[1]);
    let reader = Reader::open(whole.clone()).unwrap();
    let number = reader.lookup(b"content/300000 bytes", LastLink::Keep).unwrap();
    let file = reader.extents(number).unwrap()[0].start;
    let (one, other) = (file, file + 1);
    let index = |logical, child| ExtentIndex { logical, child };
    let leaf = |start| vec![Extent { logical: 0, len: 1, start, unwritten: false }];
    // The root, and what stands in two blocks: depth and children, or a leaf.
    type Node = Result<(u16, Vec<ExtentIndex>), Vec<Extent>>;
    let table: [(&str, Node, Node, Node, &str); 5] = [
        ("a node in itself", Ok((2, vec![index(0, one)])), Ok((1, vec![index(0, one)])), Ok((1, vec![])), "levels"),
        (
            "two nodes in each other",
            Ok((5, vec![index(0, one)])),
            Ok((4, vec![index(0, other)])),
            Ok((4, vec![index(0, one)])),
            "levels",
        ),
        ("a leaf too early", Ok((2, vec![index(0, one)])), Err(leaf(file)), Ok((1, vec![])), "levels"),
        ("one leaf twice", Ok((1, vec![index(0, one), index(5, one)])), Err(leaf(file)), Ok((1, vec![])), "another"),
        (
            "one node twice",
            Ok((2, vec![index(0, one), index(5, one)])),
            Ok((1, vec![index(0, other)])),
            Err(leaf(file)),
            "another",
        ),
    ];
    for (what, root, first, second, want) in table {
        let mut image = whole.clone();
        let places =
            [(inode_at(&image, number) + I_BLOCK, 60), (one as usize * 1024, 1024), (other as usize * 1024, 1024)];
        for ((at, len), node) in places.into_iter().zip([root, first, second]) {
            match node {
                Ok((depth, children)) => extent::encode_index(depth, &children, &mut image[at..at + len]),
                Err(extents) => extent::encode_leaf(&extents, &mut image[at..at + len]),
            }
        }
        read_everything(image.clone());
        let reader = Reader::open(image).unwrap();
        let error = reader.extents(number).unwrap_err();
        assert!(error.to_string().contains(want), "{what}: {error}");
    }
}

#[test]
fn hash_trees_in_circles() {
    if !judge::present("hash_trees_in_circles", &["mke2fs", "e2fsck", "root"]) {
        return;
    }
    let whole = small_image(KINDS[1]);
    let reader = Reader::open(whole.clone()).unwrap();
    let number = reader.lookup(b"many", LastLink::Keep).unwrap();
    let blocks: Vec<usize> = reader
        .extents(number)
        .unwrap()
        .into_iter()
        .flat_map(|extent| (extent.start..).take(extent.len as usize))
        .map(|block| block as usize * 1024)
        .collect();
    let superblock = reader.superblock();
    let mut root = htree::decode_root(None, &whole[blocks[0]..][..1024]).unwrap();
    let hasher = Hasher::for_directory(root.hash_version, superblock.flags & 2 != 0, &superblock.hash_seed).unwrap();
    let hash = hasher.hash(b"absent").major;
    // All entries of root and node lead to the node, and claim to continue the very hash that is searched.
    let entries = |count: u32| -> Vec<IndexEntry> {
        (0..count).map(|i| IndexEntry { hash: if i == 0 { 0 } else { hash | CONTINUED }, block: 1 }).collect()
    };
    for levels in [1, 2] {
        let mut image = whole.clone();
        (root.levels, root.entries) = (levels, entries(100));
        htree::encode_root(number, 2, &root, Seed::from_raw(0), &mut image[blocks[0]..][..1024]);
        htree::encode_node(&entries(100), Seed::from_raw(0), &mut image[blocks[1]..][..1024]);
        read_everything(image.clone());
        let reader = Reader::open(image).unwrap();
        let error = reader.find(number, b"absent").unwrap_err();
        assert!(error.to_string().contains("circle"), "{levels}: {error}");
    }
}

#[test]
fn fields_that_lie() {
    if !judge::present("fields_that_lie", &["mke2fs", "debugfs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("directory")).unwrap();
    std::fs::write(tree.path().join("directory/file"), vec![1; 5000]).unwrap();
    std::os::unix::fs::symlink("t".repeat(100), tree.path().join("link")).unwrap();
    // debugfs keeps the checksums right.
    let table = [
        ("sif directory size 0x7000000000000000", "directory", "size"),
        ("sif directory size 0", "directory", "size"),
        ("sif directory size 1023", "directory", "size"),
        ("sif directory size 0x100000", "directory", "hole"),
        ("sif directory mode 0100755", "directory", "type"),
        ("sif directory mode 0050755", "directory", "type"),
        ("sif directory links_count 0", "directory", "deleted"),
        ("sif directory/file size 0x7000000000000000", "directory/file", "longer"),
        ("sif directory/file file_acl 0x7fffffff", "directory/file", "beyond"),
        ("sif directory/file file_acl 2", "directory/file", "damaged"),
        ("sif directory/file block[0] 0", "directory/file", "damaged"),
        ("sif directory/file block[1] 0x60004", "directory/file", "damaged"),
        ("sif directory/file block[1] 0x10004", "directory/file", "beyond"),
        ("sif directory/file block[4] 0", "directory/file", "damaged"),
        ("sif directory/file block[5] 0x7fffffff", "directory/file", "beyond"),
        ("sif link size 0", "link", "target"),
        ("sif link size 0x100000000", "link", "target"),
    ];
    for (request, path, want) in table {
        let image = fixture::image(Some(tree.path()), "4M", &["-b", "1024", "-O", "^has_journal"]);
        judge::debugfs_write(image.path(), request);
        read_everything(image.reopen().unwrap());
        let reader = Reader::open(image.reopen().unwrap()).unwrap();
        let error = (|| {
            for entry in reader.walk(2) {
                let stat = entry?.stat;
                reader.xattrs(stat.number)?;
                match stat.file_type {
                    FileType::Regular => {
                        reader.read_at(stat.number, stat.size.saturating_sub(10), &mut [0; 100])?;
                        reader.extents(stat.number)?;
                    }
                    FileType::Symlink => {
                        reader.read_link(stat.number)?;
                    }
                    _ => {}
                }
            }
            Ok::<_, Error>(())
        })();
        let error = error.expect_err(&format!("{request} ({path})"));
        let inner = match &error {
            Error::At { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        assert!(inner.contains(want), "{request}: {inner}");
    }
}
