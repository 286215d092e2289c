//! A tree with one of everything, and images of it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use super::judge;

/// How much of everything to make.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// Files in one directory.
    pub(crate) names: usize,
    /// Extents of the file with the most.
    pub(crate) extents: u64,
    /// Nanoseconds of times. (mke2fs drops them.)
    pub(crate) nanoseconds: bool,
    /// Sockets. (mke2fs leaves them out.)
    pub(crate) sockets: bool,
}

pub(crate) const PLENTY: Amount = Amount { names: 1500, extents: 400, nanoseconds: false, sockets: false };
pub(crate) const LITTLE: Amount = Amount { names: 60, extents: 20, nanoseconds: false, sockets: false };

/// Makes the tree in `root`, an empty directory.
pub(crate) fn plant(root: &Path, amount: Amount) {
    let at = |name: &str| root.join(name);
    for name in ["content", "links", "hard", "special", "modes", "xattrs", "many", "names", "empty directory"] {
        fs::create_dir(at(name)).unwrap();
    }
    plant_content(&at("content"), amount);
    plant_links(&at("links"));
    fs::write(at("hard/one"), "three names").unwrap();
    fs::hard_link(at("hard/one"), at("hard/two")).unwrap();
    fs::hard_link(at("hard/one"), at("three")).unwrap();

    plant_special(&at("special"), amount);
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2711), ("none", 0), ("all", 0o777)] {
        let path = at("modes").join(name);
        fs::write(&path, name).unwrap();
        lchown(&path, Some(100_000), Some(70_001)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(at("modes/sticky")).unwrap();
    fs::set_permissions(at("modes/sticky"), Permissions::from_mode(0o1777)).unwrap();

    plant_xattrs(&at("xattrs"));
    for number in 0..amount.names {
        // Some have content, so that not all look alike.
        let content = if number.is_multiple_of(100) { "content" } else { "" };
        fs::write(at("many").join(format!("{number}-{}", "x".repeat(number % 90))), content).unwrap();
    }
    for name in [&b"caf\xC3\xA9"[..], b"\xFF\xFE\x80", b"new\nline", b" ", &[b'n'; 255], b"-rf", b"..."] {
        fs::write(at("names").join(OsStr::from_bytes(name)), name).unwrap();
    }
    let mut deep = at("deep");
    for _ in 0..40 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), "bottom").unwrap();
    set_times(root, if amount.nanoseconds { 123_456_789 } else { 0 });
}

fn plant_content(at: &Path, amount: Amount) {
    let pattern: Vec<u8> = (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for size in [0, 1, 59, 60, 1023, 1024, 4095, 4096, 4097, 12_289, 300_000] {
        fs::write(at.join(format!("{size} bytes")), &pattern[..size]).unwrap();
    }
    File::create(at.join("hole")).unwrap().set_len(10_000_001).unwrap();
    let sparse = File::create(at.join("sparse")).unwrap();
    sparse.write_all_at(&pattern[..5000], 1 << 20).unwrap();
    sparse.write_all_at(b"the end", (4 << 20) + 1).unwrap();
    // Every second 4 KiB is a hole: as many extents as it has pieces.
    let pieces = File::create(at.join("pieces")).unwrap();
    for piece in 0..amount.extents {
        pieces.write_all_at(&pattern[piece as usize..][..4096], piece * 8192).unwrap();
    }
}

fn plant_links(at: &Path) {
    for len in [1, 58, 59, 60, 61, 200, 1000] {
        symlink("t".repeat(len), at.join(format!("of {len} bytes"))).unwrap();
    }
    symlink("/content/1 bytes", at.join("absolute")).unwrap();
    symlink("../content", at.join("relative")).unwrap();
    symlink("../../../../../..", at.join("above")).unwrap();
    symlink("circle", at.join("circle")).unwrap();
    symlink("relative/../links/absolute", at.join("chain")).unwrap();
}

fn plant_special(at: &Path, amount: Amount) {
    let devices = [
        ("char", FileType::CharacterDevice, 5, 1),
        ("block", FileType::BlockDevice, 8, 0),
        ("large", FileType::CharacterDevice, 300, 70_000),
        ("pipe", FileType::Fifo, 0, 0),
    ];
    for (name, kind, major, minor) in devices {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, at.join(name), kind, Mode::from(0o640), device).unwrap();
    }
    if amount.sockets {
        drop(UnixListener::bind(at.join("socket")).unwrap());
    }
}

/// An ACL in the form of system calls: owner, user 1000, group, group 70,000, mask, others.
pub(crate) const ACL: [u8; 52] = [
    2, 0, 0, 0, //
    1, 0, 7, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
    2, 0, 5, 0, 0xE8, 3, 0, 0, //
    4, 0, 5, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
    8, 0, 4, 0, 0x70, 0x11, 1, 0, //
    0x10, 0, 7, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
    0x20, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
];

fn plant_xattrs(at: &Path) {
    // cap_net_raw=ep, with the version of 20 bytes.
    const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let long = [7; 700];
    let table: [(&str, &str, &[u8]); 9] = [
        ("one", "user.one", b"1"),
        ("capability", "security.capability", &CAPABILITY),
        ("trusted", "trusted.overlay.opaque", b"y"),
        ("acl", "system.posix_acl_access", &ACL),
        ("empty value", "user.empty", b""),
        ("in a block", "user.long", &long),
        ("in both", "user.short", b"short"),
        ("in both", "user.long", &long),
        ("in both", "security.capability", &CAPABILITY),
    ];
    for (file, name, value) in table {
        let path = at.join(file);
        if !path.exists() {
            fs::write(&path, file).unwrap();
        }
        rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()).unwrap();
    }
    let directory = at.join("default acl");
    fs::create_dir(&directory).unwrap();
    rustix::fs::lsetxattr(&directory, "system.posix_acl_default", &ACL, XattrFlags::empty()).unwrap();
    symlink("one", at.join("link")).unwrap();
    rustix::fs::lsetxattr(at.join("link"), "trusted.link", b"on a link", XattrFlags::empty()).unwrap();
}

/// Gives every entry a time of its own, directories after what is in them.
fn set_times(path: &Path, nanoseconds: i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            set_times(&entry.unwrap().path(), nanoseconds);
        }
    }
    let own = path.as_os_str().as_bytes().iter().rev().take(20).fold(0_i64, |sum, &byte| sum * 7 + i64::from(byte));
    let time = Timespec { tv_sec: own % 2_000_000_000, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Makes an image with mke2fs, of `size` (as mke2fs takes it), and with the content of `tree`.
pub(crate) fn image(tree: Option<&Path>, size: &str, options: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut arguments: Vec<OsString> = ["-q", "-F", "-t", "ext4"].map(OsString::from).to_vec();
    arguments.extend(options.iter().map(OsString::from));
    if let Some(tree) = tree {
        arguments.extend([OsString::from("-d"), tree.into()]);
    }
    arguments.extend([file.path().into(), size.into()]);
    judge::run("mke2fs", &arguments);
    file
}
