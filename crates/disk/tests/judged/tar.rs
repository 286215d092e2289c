//! Archives of the files in an image, judged by GNU tar and by what the kernel shows of the image.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, lchown, symlink};
use std::path::Path;

use banger_disk::diff::{Options, diff};
use banger_disk::tar::{self, Holes};
use banger_disk::{Error, ErrorKind, Files, Silent};
use banger_ext4::spec::FileType;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

use crate::listing::{self, Listing};
use crate::tree::model;
use crate::watcher::Watcher;
use crate::{fixture, judge};

/// The archive of an image without its holes, and what was lost.
fn archive(image: &Path) -> (Vec<u8>, Vec<Vec<u8>>) {
    archive_with(image, Holes::LeftOut)
}

fn archive_with(image: &Path, holes: Holes) -> (Vec<u8>, Vec<Vec<u8>>) {
    let watcher = Watcher::default();
    let mut archive = Vec::new();
    tar::write(&Files::open(image).unwrap(), &mut archive, holes, &watcher).unwrap();
    watcher.check();
    (archive, watcher.lost.into_inner().unwrap())
}

/// Has GNU tar unpack an archive, and lists what there is then. It must not have anything to say.
fn unpacked(archive: &[u8]) -> Listing {
    let directory = tempfile::tempdir().unwrap();
    let (file, tree) = (directory.path().join("archive.tar"), directory.path().join("tree"));
    fs::write(&file, archive).unwrap();
    fs::create_dir(&tree).unwrap();
    let arguments =
        ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "--warning=no-timestamp", "-xpf"]
            .map(OsString::from);
    let arguments = arguments.into_iter().chain([file.into(), "-C".into(), tree.clone().into()]);
    let output = std::process::Command::new("tar").args(arguments).env("LC_ALL", "C").output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    // It takes names as bytes in any case, and does not know the word that says so.
    let known = "tar: Ignoring unknown extended header keyword 'hdrcharset'";
    let complaint = complaint.lines().filter(|line| *line != known).take(10).collect::<String>();
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
    listing::of_directory(&tree)
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// What headers have no room for.
fn plant_extremes(at: &Path) {
    fs::create_dir(at).unwrap();
    let long = |byte: u8, len: usize| OsString::from(OsStr::from_bytes(&vec![byte; len]));
    for (name, uid, gid) in [("largest in octal", 2_097_151, 2_097_151), ("large", 2_097_152, 4_294_967_294)] {
        fs::write(at.join(name), name).unwrap();
        lchown(at.join(name), Some(uid), Some(gid)).unwrap();
    }
    // A path of more than 256 bytes, without a character in it; and links that lead there.
    let deep = at.join(long(0xfe, 200)).join(long(b'd', 200));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    fs::hard_link(deep.join("file"), at.join(long(0xff, 255))).unwrap();
    symlink(long(0xfd, 1000), at.join("far")).unwrap();
    let sparse = File::create(deep.join(long(0xe9, 180))).unwrap();
    sparse.write_all_at(b"the end", 100 << 20).unwrap();
    // Space that was reserved and never written, in the file and behind its end.
    let reserved = File::create(at.join("reserved")).unwrap();
    let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&reserved, flags, 0, 8 << 20).unwrap();
    reserved.set_len(4 << 20).unwrap();
    reserved.write_all_at(b"data", 1 << 20).unwrap();
    for (name, value) in
        [("user.a b", &b"1\n25 path=etc/shadow\n"[..]), ("user.binary", b"\0\xff=%"), ("user.empty", b"")]
    {
        rustix::fs::setxattr(at.join("large"), name, value, XattrFlags::empty()).unwrap();
    }
    for (name, seconds, nanoseconds) in
        [("before 1970", -1, 500_000_000), ("long before", -2_000_000_000, 1), ("late", 8_589_934_592, 999_999_999)]
    {
        fs::write(at.join(name), name).unwrap();
        set_time(&at.join(name), seconds, nanoseconds);
    }
    set_time(&at.join("far"), -5, 0);
}

#[test]
fn gnu_tar_unpacks_what_the_kernel_shows() {
    if !judge::present("gnu_tar_unpacks_what_the_kernel_shows", &["mke2fs", "mount", "loop", "tar"]) {
        return;
    }
    for options in [&["-b", "4096"][..], &["-b", "1024"]] {
        let image = fixture::image(None, "256M", options);
        let mount = judge::Mount::new(image.path());
        fs::remove_dir(mount.path().join("lost+found")).unwrap();
        let amount = fixture::Amount { nanoseconds: true, sockets: true, ..fixture::PLENTY };
        fixture::plant(mount.path(), amount);
        plant_extremes(&mount.path().join("extremes"));
        set_time(mount.path(), 1_600_000_000, 987_654_321);
        let mut want = listing::of_directory(mount.path());
        drop(mount);

        let (archive, lost) = archive(image.path());
        let sockets = want.extract_if(.., |_, facts| facts.file_type == FileType::Socket);
        assert_eq!(lost, sockets.map(|(path, _)| path).collect::<Vec<_>>());
        assert_eq!(lost, [b"special/socket"]);
        let got = unpacked(&archive);
        assert!(got.values().any(|facts| facts.mtime == (-2_000_000_000, 1)));
        assert!(got.values().any(|facts| facts.owner == (2_097_152, 4_294_967_294)));
        listing::assert_same(&got, &want, &options.join(" "));
        // Holes are not in it: the files of the image have more than 100 MB of them.
        assert!(archive.len() < 8 << 20, "{}", archive.len());
        // Unless they are wanted, as zeros: then no member is of a kind that only few read.
        let (plain, _) = archive_with(image.path(), Holes::Zeros);
        assert!(plain.len() > 100 << 20 && !String::from_utf8_lossy(&plain).contains("GNU.sparse"));
        listing::assert_same(&unpacked(&plain), &want, "with zeros");
    }
}

#[test]
fn the_same_files_give_the_same_archive() {
    if !judge::present("the_same_files_give_the_same_archive", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::LITTLE);
    // The root's owner and times are mke2fs's own.
    let of = |options: &[&str]| archive(fixture::image(Some(tree.path()), "48M", options).path()).0;
    let one = of(&["-b", "4096", "-E", "root_owner=0:0"]);
    let members = |archive: &[u8]| archive[512..].to_vec();
    let other = of(&["-b", "4096", "-N", "4000", "-E", "root_owner=0:0"]);
    assert!(members(&one) == members(&other));
    let text = String::from_utf8_lossy(&one);
    assert!(!text.contains("lost+found"));
}

#[test]
fn lost_and_found_stays_when_something_was_found() {
    if !judge::present("lost_and_found_stays_when_something_was_found", &["mke2fs", "debugfs", "tar"]) {
        return;
    }
    let image = fixture::image(None, "8M", &[]);
    let names = |image: &Path| unpacked(&archive(image).0).into_keys().collect::<Vec<_>>();
    assert_eq!(names(image.path()), [b""]);
    judge::debugfs_write(image.path(), "write /etc/hostname lost+found/found");
    assert_eq!(names(image.path()), [&b""[..], b"lost+found", b"lost+found/found"]);
}

#[test]
fn a_file_of_terabytes_is_as_large_as_its_data() {
    if !judge::present("a_file_of_terabytes_is_as_large_as_its_data", &["mke2fs", "mount", "loop", "tar"]) {
        return;
    }
    let image = fixture::image(None, "64M", &[]);
    let mount = judge::Mount::new(image.path());
    let file = File::create(mount.path().join("large")).unwrap();
    file.write_all_at(b"middle", 7 << 30).unwrap();
    file.set_len(3 << 40).unwrap();
    drop(file);
    drop(mount);
    let error = tar::write(&Files::open(image.path()).unwrap(), &mut io::sink(), Holes::Zeros, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().starts_with("with \"large\" the archive of "), "{error}");
    let (archive, _) = archive(image.path());
    assert!(archive.len() < 16 << 10, "{}", archive.len());

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive.tar");
    fs::write(&path, &archive).unwrap();
    judge::run("tar", &[OsStr::new("-xf"), path.as_ref(), "-C".as_ref(), directory.path().as_ref()]);
    let large = File::open(directory.path().join("large")).unwrap();
    assert_eq!(large.metadata().unwrap().size(), 3 << 40);
    assert!(large.metadata().unwrap().blocks() < 100);
    let mut middle = [0; 8];
    large.read_exact_at(&mut middle, (7 << 30) - 1).unwrap();
    assert_eq!(&middle, b"\0middle\0");
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = bytes.len().min(self.0);
        self.0 -= len;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_not_taken_is_an_error_wherever_it_stops() {
    if !judge::present("what_is_not_taken_is_an_error_wherever_it_stops", &["mke2fs", "root"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fixture::plant(tree.path(), fixture::LITTLE);
    let image = fixture::image(Some(tree.path()), "16M", &[]);
    let files = Files::open(image.path()).unwrap();
    let length = archive(image.path()).0.len();
    tar::write(&files, &mut Full(length), Holes::LeftOut, &Silent).unwrap();
    for room in (0..length).step_by(length / 50).chain([length - 1, length - 512, length - 1024]) {
        let error = tar::write(&files, &mut Full(room), Holes::LeftOut, &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{room}: {error}");
    }
    let patient = Watcher::default();
    tar::write(&files, &mut io::sink(), Holes::LeftOut, &patient).unwrap();
    let asked = patient.asked();
    for patience in (0..asked).step_by(asked as usize / 50) {
        let error = tar::write(&files, &mut io::sink(), Holes::LeftOut, &Watcher::with_patience(patience)).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
    }
}

/// Where debugfs says that an inode stands.
fn inode_offset(image: &Path, name: &str) -> u64 {
    let said = judge::run("debugfs", &[OsStr::new("-R"), format!("imap {name}").as_ref(), image.as_ref()]);
    // "located at block 37, offset 0x0b00"
    let mut words = said.split_once("located at block ").unwrap().1.split([',', ' ', '\n']);
    let block: u64 = words.next().unwrap().parse().unwrap();
    let offset = words.find_map(|word| word.strip_prefix("0x")).unwrap();
    let block_size = Files::open(image).unwrap().reader().superblock().block_size();
    block * u64::from(block_size) + u64::from_str_radix(offset, 16).unwrap()
}

#[test]
fn files_that_share_blocks_do_not_fill_the_disk() {
    if !judge::present("files_that_share_blocks_do_not_fill_the_disk", &["mke2fs", "debugfs"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("file"), vec![1; 3_000_000]).unwrap();
    for name in ["other", "third"] {
        fs::write(tree.path().join(name), "").unwrap();
    }
    let image = fixture::image(Some(tree.path()), "8M", &["-O", "^metadata_csum,^has_journal"]);
    // Two more inodes with the first one's blocks: the whole inode is copied.
    let file = File::options().read(true).write(true).open(image.path()).unwrap();
    let places = ["file", "other", "third"].map(|name| inode_offset(image.path(), name));
    let mut inode = [0; 128];
    file.read_exact_at(&mut inode, places[0]).unwrap();
    for place in &places[1..] {
        file.write_all_at(&inode, *place).unwrap();
    }
    let error = tar::write(&Files::open(image.path()).unwrap(), &mut io::sink(), Holes::LeftOut, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("belong to others too"), "{cause}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn gnu_tar_unpacks_any_tree(model in model()) {
        if !judge::present("gnu_tar_unpacks_any_tree", &["tar", "root"]) {
            return Ok(());
        }
        let directory = tempfile::tempdir().unwrap();
        let image = model.image(directory.path(), "image");
        let mut want = Listing::new();
        for (path, facts) in listing::of_image(Files::open(&image).unwrap().reader()) {
            want.insert(path, facts);
        }
        let mut got = unpacked(&archive(&image).0);
        // An image has one entry more in its root, which is left out here.
        want.get_mut(&b""[..]).unwrap().links = 0;
        got.get_mut(&b""[..]).unwrap().links = 0;
        listing::assert_same(&got, &want, "an archive");
        prop_assert_eq!(got.len(), model.paths.len());
    }

    #[test]
    fn damaged_images_are_errors_or_archives(
        damage in prop::collection::vec((0..2_000_000_u64, prop::collection::vec(any::<u8>(), 1..8)), 1..60),
    ) {
        if !judge::present("damaged_images_are_errors_or_archives", &["mke2fs", "root"]) {
            return Ok(());
        }
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("directory")).unwrap();
        for number in 0..50 {
            fs::write(tree.path().join(format!("directory/{number}")), vec![number; 5000]).unwrap();
        }
        symlink("x".repeat(200), tree.path().join("link")).unwrap();
        // Without checksums, so that damage is believed.
        let image = fixture::image(Some(tree.path()), "2M", &["-b", "1024", "-O", "^metadata_csum,^has_journal"]);
        for (at, bytes) in damage {
            // The superblock says what is where: without it there is nothing to read.
            image.as_file().write_all_at(&bytes, at.max(2048)).unwrap();
        }
        let Ok(files) = Files::open(image.path()) else { return Ok(()) };
        if let Err(error) = tar::write(&files, &mut io::sink(), Holes::LeftOut, &Silent) {
            prop_assert_eq!(error.kind(), ErrorKind::Integrity, "{}", error);
        }
        let found = diff(&files, &files, Options { times: true }, &Silent, &mut |difference| panic!("{difference:?}"));
        if let Err(error) = found {
            prop_assert_eq!(error.kind(), ErrorKind::Integrity, "{}", error);
        }
    }
}
