//! Copies of files: the same bytes, the same holes, and nothing where it failed.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use banger_disk::copy::{Copied, copy};
use banger_disk::{Error, ErrorKind, Silent};
use proptest::prelude::*;

use crate::judge;
use crate::mounted::Mounted;
use crate::watcher::Watcher;

/// A file of 20 MiB with data at its begin, in its middle and at its end; and as much data as zeros.
fn plant(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len((20 << 20) + 17).unwrap();
    for (at, byte, len) in [(0, 1, 100_000), (5 << 20, 2, 9 << 20), (15 << 20, 0, 64 << 10), ((20 << 20) + 16, 3, 1)] {
        file.write_all_at(&vec![byte; len], at).unwrap();
    }
}

fn check(source: &Path, target: &Path) -> Copied {
    let watcher = Watcher::default();
    let copied = copy(source, target, &watcher).unwrap();
    watcher.check();
    assert!(fs::read(source).unwrap() == fs::read(target).unwrap());
    copied
}

#[test]
fn data_is_copied_and_holes_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    plant(&at("source"));
    let copied = check(&at("source"), &at("target"));
    let Copied::Bytes(bytes) = copied else { panic!("{copied:?}") };
    assert!((9 << 20..10 << 20).contains(&bytes), "{bytes}");
    let allocated = |name| at(name).metadata().unwrap().blocks() * 512;
    assert!(allocated("target") <= allocated("source"));

    for (name, len) in [("empty", 0), ("only a hole", 1 << 40)] {
        File::create(at(name)).unwrap().set_len(len).unwrap();
        let target = at(&format!("copy of {name}"));
        let watcher = Watcher::default();
        assert_eq!(copy(&at(name), &target, &watcher).unwrap(), Copied::Bytes(0));
        watcher.check();
        assert_eq!(target.metadata().unwrap().len(), len);
    }
}

#[test]
fn between_file_systems_too() {
    if !judge::present("between_file_systems_too", &["mount", "root"]) {
        return;
    }
    let memory = Mounted::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    plant(&memory.at("source"));
    assert!(matches!(check(&memory.at("source"), &at("target")), Copied::Bytes(bytes) if bytes < 10 << 20));
    assert!(matches!(check(&at("target"), &memory.at("back")), Copied::Bytes(bytes) if bytes < 10 << 20));
    assert!(memory.at("back").metadata().unwrap().blocks() * 512 < 10 << 20);

    // There is no room for more of them.
    for number in 0..8 {
        let target = memory.at(&format!("copy {number}"));
        let Err(error) = copy(&at("target"), &target, &Silent) else { continue };
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert!(!target.exists());
        return;
    }
    panic!("eight times 9 MiB fit into 64 MiB");
}

#[test]
fn blocks_are_shared_where_the_file_system_can() {
    if !judge::present("blocks_are_shared_where_the_file_system_can", &["mkfs.btrfs", "mount", "loop"]) {
        return;
    }
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(256 << 20).unwrap();
    judge::run("mkfs.btrfs", &["-q", image.path().to_str().unwrap()]);
    let mounted = Mounted::new(&["-o", "loop", image.path().to_str().unwrap()]);
    plant(&mounted.at("source"));
    assert_eq!(check(&mounted.at("source"), &mounted.at("target")), Copied::Shared);
    // What is written to one of them does not show in the other.
    File::options().write(true).open(mounted.at("target")).unwrap().write_all_at(b"other", 6 << 20).unwrap();
    let mut found = [0; 5];
    File::open(mounted.at("source")).unwrap().read_exact_at(&mut found, 6 << 20).unwrap();
    assert_eq!(found, [2; 5]);
}

#[test]
fn what_cannot_be_copied_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    plant(&at("source"));
    fs::write(at("there"), "somebody's").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    type Case<'a> = (&'a str, &'a str, ErrorKind, &'a str);
    let table: [Case<'_>; 5] = [
        ("absent", "target", ErrorKind::NotFound, "cannot open "),
        ("source", "there", ErrorKind::Conflict, "cannot create "),
        ("source", "absent/target", ErrorKind::NotFound, "cannot create "),
        (".", "target", ErrorKind::Usage, "neither a file nor a block device"),
        ("pipe", "target", ErrorKind::Usage, "neither a file nor a block device"),
    ];
    for (source, target, kind, message) in table {
        let error = copy(&at(source), &at(target), &Silent).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert_eq!(fs::read(at("there")).unwrap(), b"somebody's");
    let patient = Watcher::default();
    copy(&at("source"), &at("copy"), &patient).unwrap();
    assert!(patient.asked() > 4);
    for patience in 0..patient.asked() {
        let error = copy(&at("source"), &at("target"), &Watcher::with_patience(patience)).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert!(!at("target").exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_copied(len in 0_u64..3_000_000, pieces in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, 1_usize..50_000), 0..12)) {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        let file = File::create(&source).unwrap();
        file.set_len(len).unwrap();
        for (at, byte, size) in pieces.into_iter().filter(|_| len > 0) {
            let at = at.index(len as usize) as u64;
            file.write_all_at(&vec![byte; size.min((len - at) as usize)], at).unwrap();
        }
        check(&source, &directory.path().join("target"));
    }
}
