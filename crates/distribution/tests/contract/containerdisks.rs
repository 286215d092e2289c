//! A managed image as KubeVirt takes it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use banger_disk::{Observer, Silent as Unobserved};
use banger_distribution::containerdisk::{self, Boot};
use banger_distribution::{ErrorKind, Package};

use crate::files::{facts, noise, rootfs};
use crate::registry::{Registry, ask, client, judges};

struct Files {
    rootfs: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

fn files(directory: &Path) -> Files {
    let file = |name: &str, seed| {
        let path = directory.join(name);
        std::fs::write(&path, noise(300_001, seed)).unwrap();
        path
    };
    Files { rootfs: rootfs(directory), kernel: file("bzImage", 5), initrd: file("initrd.img", 6) }
}

fn package(files: &Files, directory: &Path) -> Package {
    let boot = Boot { kernel: &files.kernel, initrd: Some(&files.initrd) };
    containerdisk::make(&facts(), &files.rootfs, Some(boot), directory, &Unobserved).expect("made")
}

/// Owner, group and mode.
fn rights(path: &Path) -> (u32, u32, u32) {
    let metadata = path.symlink_metadata().unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode())
}

#[test]
fn the_layout_is_kubevirts() {
    // Owners are only there for root.
    if !judges("the_layout_is_kubevirts", &["docker-registry", "skopeo", "umoci", "qemu-img"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    assert!(is_root || std::env::var_os("CI").is_none(), "owners can be seen by root alone");
    let files = files(directory.path());
    let workspace = directory.path().join("workspace");
    std::fs::create_dir(&workspace).unwrap();
    let registry = Registry::open();
    let pushed = package(&files, &workspace).push(&client(None), &registry.reference("vm/debian:1")).expect("pushed");
    assert_eq!(std::fs::read_dir(&workspace).unwrap().count(), 0, "nothing is left");
    assert_eq!(pushed.sent, pushed.size);

    let said = ask("skopeo", &["inspect", "--tls-verify=false", &registry.docker("vm/debian:1")]);
    assert!(said.contains(r#""Architecture": "amd64""#), "{said}");
    let layout = directory.path().join("layout");
    registry.copy("vm/debian:1", &layout);
    let bundle = directory.path().join("bundle");
    let mut arguments = vec!["unpack", "--image"];
    let image = format!("{}:latest", layout.display());
    arguments.push(&image);
    if !is_root {
        arguments.push("--rootless");
    }
    arguments.push(bundle.to_str().unwrap());
    ask("umoci", &arguments);

    let root = bundle.join("rootfs");
    let names = |directory: &str| {
        let mut names: Vec<_> =
            std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["boot", "disk"]);
    assert_eq!(names("disk"), ["debian-bookworm.qcow2"]);
    assert_eq!(names("boot"), ["initrd.img", "vmlinuz"]);
    let disk = root.join("disk/debian-bookworm.qcow2");
    for file in [&disk, &root.join("boot/vmlinuz"), &root.join("boot/initrd.img")] {
        let (user, group, mode) = rights(file);
        assert_eq!(mode, 0o100_440, "{file:?}");
        assert!(!is_root || (user, group) == (107, 107), "{file:?}: {user}:{group}");
    }
    assert_eq!(rights(&root.join("disk")).2, 0o040_755);
    assert_eq!(std::fs::read(root.join("boot/vmlinuz")).unwrap(), std::fs::read(&files.kernel).unwrap());
    assert_eq!(std::fs::read(root.join("boot/initrd.img")).unwrap(), std::fs::read(&files.initrd).unwrap());

    let disk = disk.to_str().unwrap();
    ask("qemu-img", &["check", "-f", "qcow2", disk]);
    let info = ask("qemu-img", &["info", "-f", "qcow2", disk]);
    assert!(info.contains("64 MiB (67108864 bytes)") && !info.contains("backing file"), "{info}");
    ask("qemu-img", &["compare", "-f", "qcow2", "-F", "raw", disk, files.rootfs.to_str().unwrap()]);
}

#[test]
fn the_same_files_make_the_same_image() {
    let made = [1, 2].map(|_| {
        let directory = tempfile::tempdir().unwrap();
        let package = package(&files(directory.path()), directory.path());
        (package.manifest().to_vec(), package.size())
    });
    assert_eq!(made[0], made[1]);
}

#[test]
fn a_disk_alone_has_no_boot() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let with = package(&files, directory.path());
    let without = containerdisk::make(&facts(), &files.rootfs, None, directory.path(), &Unobserved).expect("made");
    // Two files of 300,001 bytes that do not compress.
    assert!((600_000..610_000).contains(&(with.size() - without.size())), "{} {}", with.size(), without.size());
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let missing = directory.path().join("missing");
    let boot = |kernel| Some(Boot { kernel, initrd: None });
    let cases = [
        containerdisk::make(&facts(), &missing, None, directory.path(), &Unobserved),
        containerdisk::make(&facts(), &files.rootfs, boot(&missing), directory.path(), &Unobserved),
        containerdisk::make(&facts(), &files.rootfs, None, &missing, &Unobserved),
    ];
    for case in cases {
        let error = case.expect_err("missing");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

/// Somebody who wants no more after so many reports.
struct Patience(AtomicU64);

impl Observer for Patience {
    fn advanced(&self, _done: u64, _total: u64) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

#[test]
fn it_ends_when_nobody_wants_it() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let before = std::fs::read_dir(directory.path()).unwrap().count();
    for reports in [1, 2, 4, 8] {
        let patience = Patience(AtomicU64::new(reports));
        let error =
            containerdisk::make(&facts(), &files.rootfs, None, directory.path(), &patience).expect_err("cancelled");
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{reports}: {error:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), before, "{reports}: nothing is left");
    }
}
