use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::testing::{bzimage, cpio, module};
use crate::triple::check;

/// A kernel with all that may belong to it, in a directory that nobody would make like this.
fn kernel() -> (tempfile::TempDir, Triple) {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().join("in");
    std::fs::create_dir_all(top.join("modules/kernel/deep")).unwrap();
    std::fs::create_dir_all(top.join("modules/empty")).unwrap();
    std::fs::write(top.join("vmlinuz"), bzimage("6.1.0")).unwrap();
    std::fs::write(top.join("initrd"), cpio()).unwrap();
    std::fs::write(top.join("modules/kernel/a.ko"), module("6.1.0", "")).unwrap();
    std::fs::write(top.join("modules/kernel/deep/b.ko"), module("6.1.0", "a")).unwrap();
    std::fs::write(top.join("modules/modules.order"), "kernel/a.ko\n").unwrap();
    symlink("kernel/a.ko", top.join("modules/also.ko")).unwrap();
    symlink("/usr/src/linux", top.join("modules/build")).unwrap();
    set_mode(&top.join("initrd"), 0o600).unwrap();
    let paths = ["vmlinuz", "initrd", "modules"].map(|name| top.join(name));
    let triple = check(&paths[0], Some(&paths[1]), Some(&paths[2]), None).unwrap();
    std::fs::create_dir(directory.path().join("out")).unwrap();
    (directory, triple)
}

/// Everything in a directory, with modes.
fn tree(directory: &Path) -> Vec<(String, u32)> {
    fn visit(top: &Path, directory: &Path, found: &mut Vec<(String, u32)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            found.push((name, metadata.mode()));
            if metadata.is_dir() {
                visit(top, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(directory, directory, &mut found);
    found.sort();
    found
}

const FILE: u32 = 0o100_444;
const DIRECTORY: u32 = 0o040_755;

#[test]
fn files_are_placed_under_fixed_names_and_stay_what_they_are() {
    let (directory, triple) = kernel();
    let out = directory.path().join("out");
    let placed = place(&triple, &out, Means::Copy, &()).unwrap();
    let expected = [
        ("bzImage", FILE),
        ("initrd.img", FILE),
        ("modules", DIRECTORY),
        ("modules/also.ko", FILE),
        ("modules/kernel", DIRECTORY),
        ("modules/kernel/a.ko", FILE),
        ("modules/kernel/deep", DIRECTORY),
        ("modules/kernel/deep/b.ko", FILE),
        ("modules/modules.order", FILE),
    ];
    assert_eq!(tree(&out), expected.map(|(name, mode)| (name.to_owned(), mode)));
    assert_eq!(placed, Triple::in_directory(&out, Some("amd64")).unwrap());
    assert_eq!(placed.version.as_deref(), Some("6.1.0"));
    let digest = triple.digest(&()).unwrap();
    placed.verify(&digest, &()).unwrap();
    assert_eq!(placed.size().unwrap(), triple.size().unwrap());

    let again = directory.path().join("again");
    std::fs::create_dir(&again).unwrap();
    let linked = place(&placed, &again, Means::Link, &()).unwrap();
    assert_eq!(tree(&again), tree(&out));
    let inode = |path: PathBuf| path.metadata().unwrap().ino();
    for name in ["bzImage", "modules/kernel/deep/b.ko"] {
        assert_eq!(inode(again.join(name)), inode(out.join(name)));
        assert_ne!(inode(out.join(name)), inode(directory.path().join("in/vmlinuz")));
    }
    linked.verify(&digest, &()).unwrap();
    let error = place(&placed, &again, Means::Copy, &()).unwrap_err().to_string();
    assert!(error.starts_with("cannot create ") && error.ends_with("again/bzImage"), "{error}");
}

#[test]
fn another_file_system_gets_copies() {
    let (_directory, triple) = kernel();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let placed = place(&triple, elsewhere.path(), Means::Link, &()).unwrap();
    assert_ne!(placed.image.metadata().unwrap().dev(), triple.image.metadata().unwrap().dev());
    placed.verify(&triple.digest(&()).unwrap(), &()).unwrap();
}

#[test]
fn links_that_lead_elsewhere_are_refused() {
    let (directory, triple) = kernel();
    let link = directory.path().join("in/modules/kernel/link.ko");
    let outside = directory.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    for (target, reason) in [
        ("/etc/passwd", "it is a link that leads out of the directory"),
        ("../../../outside", "it is a link that leads out of the directory"),
        ("../../modules/../vmlinuz", "it is a link that leads out of the directory"),
        ("nowhere", "it is a link that leads nowhere"),
        ("link.ko", "it is a link that leads nowhere"),
        ("deep", "is no file, but a directory"),
    ] {
        symlink(target, &link).unwrap();
        let out = tempfile::tempdir().unwrap();
        let error = place(&triple, out.path(), Means::Copy, &()).unwrap_err().to_string();
        assert!(error.contains("kernel/link.ko") && error.ends_with(reason), "{error}");
        assert!(tree(out.path()).is_empty());
        assert!(triple.digest(&()).is_err());
        std::fs::remove_file(&link).unwrap();
    }
}

#[test]
fn whoever_is_cancelled_stops() {
    struct After(std::sync::atomic::AtomicUsize);
    impl Watch for After {
        fn is_cancelled(&self) -> bool {
            self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1
        }
    }
    let (directory, triple) = kernel();
    let out = directory.path().join("out");
    let after = |count: usize| After(count.into());
    assert!(matches!(place(&triple, &out, Means::Copy, &after(3)), Err(Error::Cancelled)));
    assert_eq!(tree(&out).iter().filter(|(_, mode)| *mode == FILE).count(), 2);
    assert!(matches!(triple.digest(&after(2)), Err(Error::Cancelled)));
    assert!(matches!(crate::archive::write(&triple, "k", &out, &after(2)), Err(Error::Cancelled)));
    assert_eq!(tree(&out).iter().filter(|(name, _)| name.contains("tar")).count(), 0);
}
