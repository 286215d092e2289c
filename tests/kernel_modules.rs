//! `--modules`: a kernel's modules in an image, judged by those who load them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::{build, plain};
use crate::support::judge::{ask, e2fsck};
use crate::support::program::{banger, source};
use crate::support::{Layout, Run, Tar, scratch};

/// What depmod makes, and no kernel brings.
const MADE: [&str; 10] = [
    "modules.alias",
    "modules.alias.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.bin",
    "modules.dep",
    "modules.dep.bin",
    "modules.devname",
    "modules.softdep",
    "modules.symbols",
    "modules.symbols.bin",
];

/// Debian's kernel for virtual machines: its version, and a copy of its modules without anything that depmod makes.
fn kernel(scratch: &Path) -> (String, PathBuf) {
    let kernel = repository().join("target/kernel");
    Run::of(Command::new(repository().join("tests/boot/fetch-kernel.sh")).arg(&kernel)).ok();
    let version = std::fs::read_to_string(kernel.join("version")).unwrap().trim().to_owned();
    let modules = scratch.join("modules");
    ask("cp", args!["-r", kernel.join("modules"), modules]).ok();
    for name in MADE {
        let _ = std::fs::remove_file(modules.join(name));
    }
    (version, modules)
}

/// An image with these modules, and its `/lib` on the host.
fn unpacked(scratch: &Path, modules: &Path) -> PathBuf {
    let layout = Layout::of(scratch.join("layout"), [Tar::new().directory("usr/lib", 0o755).symlink("lib", "usr/lib")]);
    let [image, root] = ["image", "root"].map(|name| scratch.join(name));
    plain(source("oci", layout.path()), &image, args!["--modules", modules, "--force"]);
    e2fsck(&image, &[]);
    std::fs::create_dir_all(&root).unwrap();
    ask("debugfs", args!["-R", format!("rdump /usr/lib {}", root.display()), image]).ok();
    root
}

/// What `modprobe` would load, by name, in its order.
fn loads(root: &Path, version: &str, module: &str) -> Vec<String> {
    let run = ask("modprobe", args!["-d", root, "-S", version, "--show-depends", module]).ok();
    assert_eq!(run.stderr(), "", "{run}");
    run.stdout().lines().map(|line| line.trim().rsplit('/').next().unwrap().to_owned()).collect()
}

/// Of each module those that it needs.
fn dependencies(path: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let (module, needs) = line.split_once(':').unwrap();
        (module.to_owned(), needs.split_whitespace().map(str::to_owned).collect())
    };
    text.lines().map(line).collect()
}

#[test]
fn the_indexes_are_those_that_depmod_makes() {
    judges!("depmod", "modprobe", "debugfs", "apt-get", "dpkg-deb", "cp");
    let scratch = scratch();
    let (version, modules) = kernel(scratch.path());
    let root = unpacked(scratch.path(), &modules);
    let ours = root.join("lib/modules").join(&version);
    let reference = scratch.path().join("reference");
    std::fs::create_dir_all(reference.join("lib/modules")).unwrap();
    ask("cp", args!["-r", modules, reference.join("lib/modules").join(&version)]).ok();
    ask("depmod", args!["-b", reference, version]).ok();
    let theirs = reference.join("lib/modules").join(&version);

    let (our_needs, their_needs) = (dependencies(&ours.join("modules.dep")), dependencies(&theirs.join("modules.dep")));
    assert!(their_needs.len() > 500, "{}", their_needs.len());
    assert_eq!(our_needs, their_needs);
    for name in ["modules.alias", "modules.alias.bin", "modules.softdep", "modules.devname", "modules.builtin.bin"] {
        let [ours, theirs] = [&ours, &theirs].map(|directory| std::fs::read(directory.join(name)).unwrap());
        assert!(ours == theirs, "{name} is another than depmod's");
    }
    // By name, by alias, and what the kernel has built in. The order among those that do not need each other is free.
    for module in ["vmw_vsock_virtio_transport", "virtio-net", "btrfs", "fs-xfs", "virtio:d00000013v00001AF4", "ext4"] {
        let ours = loads(&root, &version, module);
        assert_eq!(ours.last(), loads(&reference, &version, module).last(), "{module}");
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(&ours), set(&loads(&reference, &version, module)), "{module}");
        // What is loaded needs nothing that is loaded later.
        for (number, name) in ours.iter().enumerate() {
            let path = our_needs.keys().find(|path| path.ends_with(&format!("/{name}")));
            for needed in path.map(|path| &our_needs[path]).into_iter().flatten() {
                let needed = needed.rsplit('/').next().unwrap();
                assert!(ours[..number].iter().any(|earlier| earlier == needed), "{module}: {name} before {needed}");
            }
        }
    }
}

/// `modprobe` finds its way in a tree of compressed modules, in each form that distributions have.
#[test]
fn compressed_modules_are_understood() {
    judges!("modprobe", "debugfs", "apt-get", "dpkg-deb", "cp", "xz", "zstd", "gzip");
    let scratch = scratch();
    let (version, all) = kernel(scratch.path());
    for (program, suffix) in [("xz", "xz"), ("zstd", "zst"), ("gzip", "gz")] {
        let modules = scratch.path().join(suffix);
        let directory = modules.join("kernel/net/vmw_vsock");
        std::fs::create_dir_all(&directory).unwrap();
        ask("cp", args!["-r", all.join("kernel/net/vmw_vsock/."), directory]).ok();
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            // As kbuild does it: the kernel knows no other checksum of xz.
            let options: &[&str] = if program == "xz" { &["--check=crc32", "--lzma2=dict=1MiB"] } else { &[] };
            Run::of(Command::new(program).args(options).arg("-q").arg(&path)).ok();
            let _ = std::fs::remove_file(path);
        }
        let at = scratch.path().join(format!("of-{suffix}"));
        std::fs::create_dir(&at).unwrap();
        let root = unpacked(&at, &modules);
        let loaded = loads(&root, &version, "vmw_vsock_virtio_transport");
        let expected = ["vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport"]
            .map(|name| format!("{name}.ko.{suffix}"));
        assert_eq!(loaded, expected);
    }
}

#[test]
fn they_go_through_links_and_indexes_are_made_where_they_are_old() {
    judges!("apt-get", "dpkg-deb", "cp");
    let scratch = scratch();
    let (version, modules) = kernel(scratch.path());
    std::os::unix::fs::symlink("/usr/src/linux", modules.join("build")).unwrap();
    let layout =
        Layout::of(scratch.path().join("layout"), [Tar::new().symlink("lib", "usr/lib").file("usr/lib/kept", "kept")]);
    let image = scratch.path().join("image");
    let report = build(source("oci", layout.path()), &image, args!["--modules", modules]);
    e2fsck(&image, &[]);
    assert_eq!(report.0["modules"], version.as_str());
    let list = banger(args!["ls", image, format!("/usr/lib/modules/{version}")]).ok().stdout();
    assert!(list.contains("modules.dep.bin") && !list.contains("build"), "{list}");
    // What depmod has made of the same modules is taken as it is.
    std::fs::create_dir_all(scratch.path().join("done/lib/modules")).unwrap();
    let done = scratch.path().join("done/lib/modules").join(&version);
    ask("cp", args!["-r", modules, done]).ok();
    ask("depmod", args!["-b", scratch.path().join("done"), version]).ok();
    build(source("oci", layout.path()), &image, args!["--modules", done, "--force"]);
    let bytes = |name: &str| banger(args!["cat", image, format!("/lib/modules/{version}/{name}")]).ok().output.stdout;
    for name in ["modules.dep", "modules.dep.bin", "modules.symbols.bin"] {
        assert!(bytes(name) == std::fs::read(done.join(name)).unwrap(), "{name}");
    }
    // Of other modules than are there it is not.
    std::fs::remove_file(done.join("kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko")).unwrap();
    build(source("oci", layout.path()), &image, args!["--modules", done, "--force"]);
    let listed = String::from_utf8(bytes("modules.dep")).unwrap();
    assert!(listed.contains("vsock.ko:") && !listed.contains("vmw_vsock_virtio_transport.ko"));
}

#[test]
fn a_directory_of_something_else_is_refused() {
    let scratch = scratch();
    let other = scratch.path().join("other");
    std::fs::create_dir_all(other.join("lib/modules/6.1.0-test/kernel")).unwrap();
    std::fs::write(other.join("lib/modules/6.1.0-test/kernel/a.ko"), "no ELF").unwrap();
    let image = scratch.path().join("image");
    let build = |modules: &Path| banger(args!["build", "demo:", "-o", image, "--modules", modules]);
    build(&scratch.path().join("gone")).expect(3).says("gone");
    build(&other.join("lib/modules/6.1.0-test")).expect(6).says("a.ko is no kernel module: it has no section .modinfo");
    std::fs::rename(other.join("lib/modules/6.1.0-test/kernel/a.ko"), other.join("a.txt")).unwrap();
    build(&other.join("lib")).expect(2).says("there are no kernel modules in");
    assert!(!image.exists());
    banger(args!["build", "demo:", "-o", image, "--kernel-modules=6.1.0-no-such"]).expect(3).says("6.1.0-no-such");
}
