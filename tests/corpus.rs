//! Real images come out exactly as the oracle says, and the tools that everyone uses find nothing wrong with them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::args;
use crate::judges;
use crate::support::image::{copy, plain};
use crate::support::judge::{ask, e2fsck, say};
use crate::support::mount::Mount;
use crate::support::program::source;
use crate::support::{Corpus, corpus, listing, scratch};

/// By how much a copy of each image is grown.
const GROWTH: u64 = 20 << 30;

/// Offset of the second block group's superblock, and what `e2fsck -b` calls it.
const BACKUP: &str = "32768";

#[test]
fn debian_min() {
    check("debian-min");
}

#[test]
fn debian_edit() {
    check("debian-edit");
}

#[test]
fn debian_boot() {
    check("debian-boot");
}

#[test]
fn large_images() {
    for name in corpus::LARGE {
        if corpus::is_made(name) {
            check(name);
        } else {
            say(&format!("{name} is tested where `make bench` has made it, and here it has not"));
        }
    }
}

fn check(name: &str) {
    judges!("root", "python3", "e2fsck", "resize2fs", "mount");
    let Some(corpus) = Corpus::get(name) else { return };
    let scratch = scratch();
    let image = scratch.path().join("image");
    plain(source("oci", &corpus.layout), &image, []);

    e2fsck(&image, &[]);
    listing::check_mount(&image, &corpus.expected);
    listing::check_ls(&image, &corpus.expected);
    has_good_backups(&image);
    can_be_recovered_from_a_backup(&image, &corpus.expected);
    can_be_grown(&image, &corpus.expected);
    can_be_written_to(&image);
}

fn has_good_backups(image: &Path) {
    let copy = copy(image, "backup");
    e2fsck(&copy, &["-B", "4096", "-b", BACKUP]);
    std::fs::remove_file(copy).unwrap();
}

/// The first superblock and all descriptors are lost.
fn can_be_recovered_from_a_backup(image: &Path, expected: &Path) {
    let copy = copy(image, "damaged");
    let mut file = OpenOptions::new().write(true).open(&copy).unwrap();
    file.write_all(&vec![0; 257 * 4096]).unwrap();
    ask("e2fsck", args!["-fy", "-B", "4096", "-b", BACKUP, copy]).expect(1);
    e2fsck(&copy, &[]);
    listing::check_mount(&copy, expected);
    std::fs::remove_file(copy).unwrap();
}

fn can_be_grown(image: &Path, expected: &Path) {
    let copy = copy(image, "grown");
    let length = image.metadata().unwrap().len() + GROWTH;
    File::options().write(true).open(&copy).unwrap().set_len(length).unwrap();
    ask("resize2fs", [&copy]).ok().says(&format!("is now {} (4k) blocks long", length / 4096));
    e2fsck(&copy, &[]);
    listing::check_mount(&copy, expected);
    std::fs::remove_file(copy).unwrap();
}

fn can_be_written_to(image: &Path) {
    let copy = copy(image, "written");
    let mount = Mount::image(&copy, "rw");
    let top = mount.path();
    std::fs::create_dir_all(top.join("new/deep/er")).unwrap();
    std::fs::write(top.join("new/file"), vec![7; 9 << 20]).unwrap();
    for number in 0..2000 {
        std::fs::write(top.join(format!("new/deep/file-{number}")), format!("{number}")).unwrap();
    }
    symlink("/new/file", top.join("etc/link")).unwrap();
    std::fs::hard_link(top.join("etc/passwd"), top.join("new/passwd")).unwrap();
    std::fs::remove_file(top.join("etc/fstab")).unwrap();
    std::fs::rename(top.join("var"), top.join("new/var")).unwrap();
    std::fs::remove_dir_all(top.join("usr/share/perl5")).unwrap();
    mount.unmount();
    e2fsck(&copy, &[]);
    let mount = Mount::image(&copy, "ro");
    assert_eq!(std::fs::read(mount.path().join("new/file")).unwrap(), vec![7; 9 << 20]);
    mount.unmount();
    std::fs::remove_file(copy).unwrap();
}
