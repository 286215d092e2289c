//! A virtual machine grows the disk that it runs from: Debian's kernel under QEMU, without KVM.
//!
//! This is the judge of growing online. The machine of the tests itself may not let even root do that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use banger_ext4::write::{Content, Kind, Node, NodeId, Options, Tree};

use crate::common::{Bench, content, directory, e2fsck, judge, missing, node, options, tree};

/// What the guest does, as its first process. The disk that it runs from is its only one.
const INIT: &str = r#"#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t devtmpfs dev /dev
/bin/resize2fs /dev/nvme0n1 && echo "guest: grown" || $bb dmesg
$bb mkdir /written
i=0
while [ $i -lt 300 ]; do echo $i >/written/$i; i=$((i + 1)); done
$bb dd if=/dev/zero of=/filled bs=1M count=600 2>/dev/null && echo "guest: filled"
$bb rm /filled
$bb mount -o remount,ro / && echo "guest: done"
$bb poweroff -f
"#;

/// The kernel that `tests/boot/fetch-kernel.sh` has fetched.
fn kernel() -> Option<PathBuf> {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kernel/vmlinuz");
    if kernel.exists() {
        return Some(kernel);
    }
    missing("a kernel: tests/boot/fetch-kernel.sh target/kernel");
    None
}

/// A program of this machine with the libraries that it needs.
fn with_libraries(program: &str) -> Option<Vec<PathBuf>> {
    let found = judge("sh", &["-c", &format!("command -v {program}")])?;
    let path = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    if !path.is_absolute() {
        missing(program);
        return None;
    }
    let said = judge("ldd", &[path.to_str().unwrap()])?;
    let said = String::from_utf8(said.stdout).unwrap();
    let libraries = said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    Some(std::iter::once(path).chain(libraries).collect())
}

/// The directory of this path, made if it is not there.
fn make_directory(tree: &mut Tree, made: &mut Vec<(PathBuf, NodeId)>, path: &Path) -> NodeId {
    if path == Path::new("/") {
        return NodeId::ROOT;
    }
    if let Some((_, id)) = made.iter().find(|(known, _)| known == path) {
        return *id;
    }
    let parent = make_directory(tree, made, path.parent().unwrap());
    let id = directory(tree, parent, path.file_name().unwrap().to_str().unwrap());
    made.push((path.to_path_buf(), id));
    id
}

#[test]
fn a_guest_grows_the_disk_that_it_runs_from() {
    let Some(kernel) = kernel() else { return };
    let (Some(busybox), Some(resize2fs)) = (with_libraries("busybox"), with_libraries("resize2fs")) else { return };
    let bench = Bench::new();
    let mut writer = bench.image.content();
    writer.place(0).unwrap();
    let (mut tree, mut made) = (tree(), Vec::new());
    for name in ["/proc", "/dev"] {
        make_directory(&mut tree, &mut made, Path::new(name));
    }
    let in_bin = |list: &[PathBuf], name: &str| vec![(list[0].clone(), PathBuf::from("/bin").join(name))];
    let mut files = [in_bin(&busybox, "busybox"), in_bin(&resize2fs, "resize2fs")].concat();
    for library in busybox[1..].iter().chain(&resize2fs[1..]) {
        if !files.iter().any(|(_, to)| to == library) {
            files.push((library.clone(), library.clone()));
        }
    }
    let files = files.into_iter().map(|(from, to)| (fs::read(from).unwrap(), to));
    for (data, to) in files.chain([(INIT.as_bytes().to_vec(), PathBuf::from("/init"))]) {
        let parent = make_directory(&mut tree, &mut made, to.parent().unwrap());
        let index = content(&mut writer, &data);
        let file = Node { mode: 0o755, ..node(Kind::File(Content { segment: 0, index })) };
        tree.add(parent, to.file_name().unwrap().as_encoded_bytes(), file).unwrap();
    }
    // The smallest image: its journal is the shortest, and it has the furthest to grow.
    bench.finish(tree, &[writer.done().unwrap()], &Options { size: Some(64 << 20), ..options() });
    fs::OpenOptions::new().write(true).open(&bench.path).unwrap().set_len(20 << 30).unwrap();

    let drive = format!("file={},format=raw,if=none,id=disk", bench.path.display());
    let arguments = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-machine",
        "q35",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "384",
        "-serial",
        "stdio",
        "-drive",
        &drive,
        "-device",
        "nvme,drive=disk,serial=1",
        "-append",
        "console=ttyS0 root=/dev/nvme0n1 rw init=/init panic=-1 quiet",
    ];
    let mut machine = Command::new("timeout");
    machine.args(["300", "qemu-system-x86_64", "-kernel"]).arg(kernel).args(arguments).stdin(Stdio::null());
    let output = match machine.output() {
        Ok(output) if output.status.code() != Some(127) => output,
        other => return missing(&format!("qemu-system-x86_64: {other:?}")),
    };
    let console = String::from_utf8_lossy(&output.stdout);
    for line in ["guest: grown", "guest: filled", "guest: done"] {
        assert!(console.contains(line), "{console}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    e2fsck(&bench.path);
    let Some(said) = crate::common::dumpe2fs(&bench.path) else { return };
    assert!(said.lines().any(|line| line.starts_with("Block count:") && line.ends_with(" 5242880")), "{said}");
}
