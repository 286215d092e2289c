//! The initial RAM disk, judged by cpio, and by modprobe, which knows a kernel's modules from an index that depmod has made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::judge::{self, ask, is_here};

const AGENT: &[u8] = b"\x7fELF, the agent";

/// Debian's kernel, which `make` has fetched.
fn kernel() -> Option<PathBuf> {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kernel");
    judge::there_or_skipped(kernel.join("modules/modules.dep").exists(), "target/kernel").then_some(kernel)
}

/// Unpacks a RAM disk.
fn unpack(bytes: &[u8], directory: &Path) {
    let archive = directory.join("initrd");
    std::fs::write(&archive, bytes).unwrap();
    let root = directory.join("root");
    std::fs::create_dir(&root).unwrap();
    let script =
        r#"cd "$1" && cpio --extract --quiet --make-directories --no-absolute-filenames --no-preserve-owner <"$2""#;
    ask(Command::new("sh").args(["-c", script, "sh"]).arg(&root).arg(&archive));
}

#[test]
fn cpio_unpacks_what_is_written() {
    if !is_here("cpio") || !is_here("root") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let bytes = banger_vm::initrd::build(AGENT, None).unwrap();
    assert_eq!(bytes, banger_vm::initrd::build(AGENT, None).unwrap(), "the same every time");
    unpack(&bytes, directory.path());
    let root = directory.path().join("root");
    let listing = ask(Command::new("find").arg(".").args(["-printf", "%p %M %s\\n"]).current_dir(&root));
    let mut lines: Vec<&str> = listing.lines().filter(|line| !line.contains(" d")).collect();
    lines.sort_unstable();
    let agent = format!("./init -rwxr-xr-x {}", AGENT.len());
    assert_eq!(
        lines,
        ["./banger-initrd -rw-r--r-- 0", "./dev/console crw------- 0", &agent, "./modules/order -rw-r--r-- 0"]
    );
    assert_eq!(std::fs::read(root.join("init")).unwrap(), AGENT);
    let device = ask(Command::new("stat").args(["-c", "%t:%T"]).arg(root.join("dev/console")));
    assert_eq!(device.trim(), "5:1");
}

/// What modprobe would load for a module, by name, in order.
fn modprobe(tree: &Path, version: &str, module: &str) -> Vec<String> {
    let shown = ask(Command::new("modprobe").arg("-d").arg(tree).args(["-S", version, "--show-depends", module]));
    let paths = shown.lines().filter_map(|line| line.strip_prefix("insmod "));
    paths.map(|path| Path::new(path.trim()).file_name().unwrap().to_str().unwrap().replace('-', "_")).collect()
}

/// A tree as modprobe wants it.
fn installed(kernel: &Path, directory: &Path) -> String {
    let version = std::fs::read_to_string(kernel.join("version")).unwrap().trim().to_owned();
    std::fs::create_dir_all(directory.join("lib/modules")).unwrap();
    let modules = kernel.join("modules").canonicalize().unwrap();
    std::os::unix::fs::symlink(modules, directory.join("lib/modules").join(&version)).unwrap();
    version
}

#[test]
fn modules_are_those_that_modprobe_would_load_and_in_such_an_order() {
    if !is_here("cpio") || !is_here("modprobe") || !is_here("root") {
        return;
    }
    let Some(kernel) = kernel() else { return };
    let directory = tempfile::tempdir().unwrap();
    let version = installed(&kernel, directory.path());
    unpack(&banger_vm::initrd::build(AGENT, Some(&kernel.join("modules"))).unwrap(), directory.path());
    let root = directory.path().join("root/modules");
    let order = std::fs::read_to_string(root.join("order")).unwrap();
    let order: Vec<&str> = order.lines().collect();

    let wanted = [
        "virtio_pci",
        "virtio_mmio",
        "virtio_blk",
        "virtio_net",
        "virtio_rng",
        "virtio_console",
        "vmw_vsock_virtio_transport",
    ];
    let mut expected = BTreeSet::new();
    for module in wanted {
        let loaded = modprobe(directory.path(), &version, module);
        assert!(!loaded.is_empty(), "{module} is a module of this kernel");
        let places: Vec<_> = loaded.iter().map(|name| order.iter().position(|file| file == name)).collect();
        let last = places.last().copied().flatten();
        assert!(places.iter().all(|place| place.is_some() && *place <= last), "{module}: {loaded:?} in {order:?}");
        expected.extend(loaded);
    }
    let listed: BTreeSet<String> = order.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(listed, expected, "all that is needed, and no more");
    assert_eq!(listed.len(), order.len(), "each once");
    for file in order {
        assert!(std::fs::read(root.join(file)).unwrap().starts_with(b"\x7fELF"), "{file}");
    }
}

/// Distributions compress modules, each in its own way.
#[test]
fn compressed_modules_are_the_same() {
    if !["gzip", "zstd", "xz"].into_iter().all(is_here) {
        return;
    }
    let Some(kernel) = kernel() else { return };
    let plain = banger_vm::initrd::build(AGENT, Some(&kernel.join("modules"))).unwrap();
    for program in ["gzip", "zstd", "xz"] {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("modules");
        let wanted = r#"mkdir -p "$2" && cd "$1" && cp --parents modules.builtin $(find kernel -name '*virtio*.ko' -o -name '*vsock*.ko' -o -name '*failover.ko') "$2" && cd "$2" && find kernel -name '*.ko' -exec "$3" -q {} + && find kernel -name '*.ko' -delete"#;
        ask(Command::new("sh").args(["-c", wanted, "sh"]).arg(kernel.join("modules")).arg(&copy).arg(program));
        assert!(banger_vm::initrd::build(AGENT, Some(&copy)).unwrap() == plain, "{program}");
    }
}

#[test]
fn a_kernel_without_a_driver_for_its_disk_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let build = || banger_vm::initrd::build(AGENT, Some(directory.path())).map_err(|error| error.to_string());
    assert!(build().unwrap_err().contains("there are no kernel modules in"));
    std::fs::create_dir(directory.path().join("kernel")).unwrap();
    // Nobody knows what is built in: it may be all.
    assert!(build().is_ok());
    std::fs::write(directory.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
    assert!(build().unwrap_err().contains("has no module virtio_blk"));
    std::fs::write(directory.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\nkernel/virtio-blk.ko\n").unwrap();
    assert!(build().is_ok());
    std::fs::write(directory.path().join("kernel/virtio_blk.ko"), "no module").unwrap();
    assert!(build().unwrap_err().contains("virtio_blk.ko is no kernel module"));
    std::fs::write(directory.path().join("kernel/virtio_blk.ko.gz"), "no gzip").unwrap();
    std::fs::remove_file(directory.path().join("kernel/virtio_blk.ko")).unwrap();
    assert!(build().unwrap_err().contains("virtio_blk.ko.gz is no kernel module"));
}
