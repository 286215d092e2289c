//! Damaged images: reading ends, with or without an error, and never in a panic.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use banger_ext4::read::{Error, LastLink, Reader, Source};
use banger_ext4::spec::FileType;

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
