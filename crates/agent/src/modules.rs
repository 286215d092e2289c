//! Kernel modules: files that are loaded, and the modules of the running kernel by their names.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::system::finit_module;

use crate::sys::{self, Preparation, Session};

/// The kernel decompresses the file itself (finit_module(2)).
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// Bytes of modules.dep: that of a distribution's kernel has less than one MiB.
const DEPENDENCIES: u64 = 16 << 20;

/// Where the modules of a kernel are, below the root.
const DIRECTORIES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// Where modprobe is.
const MODPROBE: [&str; 4] = ["/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"];

/// Loads a module from its file. A module that is loaded already, or built in, is no error.
///
/// # Errors
/// The file cannot be read, or the kernel does not take it.
pub(crate) fn load_file(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    match finit_module(&file, c"", flags(path)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn flags(path: &Path) -> i32 {
    let compressed = ["xz", "zst", "gz"].iter().any(|end| path.extension() == Some(end.as_ref()));
    if compressed { MODULE_INIT_COMPRESSED_FILE } else { 0 }
}

/// Loads a module of the running kernel, after those that it needs. `false` where the image has no such module.
///
/// The image may lack modprobe, so modules.dep is read here. Where the kernel cannot decompress the file, modprobe is the way that is left.
///
/// # Errors
/// The kernel took none of them.
pub(crate) fn load(root: &Path, name: &str) -> io::Result<bool> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let Some((directory, dependencies)) = dependencies(root, &release) else { return Ok(false) };
    let Some(order) = order(&dependencies, name) else { return Ok(false) };
    let loaded = order.iter().try_for_each(|path| load_file(&directory.join(path)));
    match loaded {
        Err(error) if !modprobe(name) => Err(error),
        _ => Ok(true),
    }
}

/// The directory of a kernel's modules, and its modules.dep.
fn dependencies(root: &Path, release: &str) -> Option<(PathBuf, String)> {
    DIRECTORIES.into_iter().find_map(|directory| {
        let directory = root.join(directory).join(release);
        let content = crate::file::read_at_most(&directory.join("modules.dep"), DEPENDENCIES).ok()?;
        Some((directory, String::from_utf8_lossy(&content).into_owned()))
    })
}

/// The files of a module in the order in which they are loaded, by modules.dep (depmod(8)): `FILE: FILES`, of which the last comes first.
fn order<'a>(dependencies: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let (file, needed) =
        dependencies.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| is_of(file, name))?;
    let mut order: Vec<&str> = needed.split_ascii_whitespace().rev().collect();
    order.push(file);
    Some(order)
}

/// Whether a file is that of a module. Names of files may have `-` where the module's name has `_`.
fn is_of(file: &str, name: &str) -> bool {
    let file = file.rsplit('/').next().unwrap_or(file);
    file.split_once(".ko").is_some_and(|(stem, _)| stem.replace('-', "_") == name)
}

/// Has modprobe load a module, where there is modprobe. Whether it did.
fn modprobe(name: &str) -> bool {
    MODPROBE.iter().filter(|program| Path::new(program).exists()).any(|program| {
        let mut command = Command::new(program);
        command.args(["-q", name]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sys::prepare(&mut command, Preparation::plain(Session::Inherited));
        command.status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_seen_from_the_name() {
        for (name, expected) in [("a.ko", 0), ("a.ko.xz", 4), ("a.ko.zst", 4), ("b/a.ko.gz", 4), ("xz", 0)] {
            assert_eq!(flags(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_module_comes_after_those_that_it_needs() {
        let text = "kernel/a/virtio-net.ko.xz: kernel/b/net_failover.ko.xz kernel/b/failover.ko.xz\n\
            kernel/b/failover.ko.xz:\nkernel/b/net_failover.ko.xz: kernel/b/failover.ko.xz\n";
        let expected = ["kernel/b/failover.ko.xz", "kernel/b/net_failover.ko.xz", "kernel/a/virtio-net.ko.xz"];
        assert_eq!(order(text, "virtio_net").unwrap(), expected);
        assert_eq!(order(text, "failover").unwrap(), ["kernel/b/failover.ko.xz"]);
        for name in ["net", "virtio", "kernel/b/failover", ""] {
            assert_eq!(order(text, name), None, "{name}");
        }
    }

    #[test]
    fn a_module_that_the_image_does_not_have_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(!load(root.path(), "virtio_net").unwrap());
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let directory = root.path().join("usr/lib/modules").join(release);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("modules.dep"), "kernel/no_such_module.ko:\n").unwrap();
        assert!(!load(root.path(), "virtio_net").unwrap());
        // It is in the list, and its file is missing.
        assert_eq!(load(root.path(), "no_such_module").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
