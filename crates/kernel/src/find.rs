//! Where a directory has a kernel, and what belongs to it: by the names that distributions, packages and archives give.
//!
//! 1. As an archive has it: `vmlinux`, `bzImage`, `Image` or `vmlinuz`, with `initrd.img` and `modules` beside it.
//! 2. By version, in the directory or in `boot` below it: `vmlinuz-VERSION`, with `initrd.img-VERSION` or the like beside it. Its
//!    modules are in `lib/modules/VERSION` or `usr/lib/modules/VERSION`, below the directory or beside it (as with `/boot`).
//! 3. Among its modules: `lib/modules/VERSION/vmlinuz`.
//!
//! Only names are looked at here; what the files are is for [`check`](crate::check()) to say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use banger_kmod::version::{compare, is_version};

use crate::error::{Error, Result};
use crate::limits::NAMES;

/// Names of kernels before their version, the likeliest to be of use first.
pub const KERNELS: [&str; 4] = ["vmlinuz-", "vmlinux-", "Image-", "kernel-"];
/// Names of kernels that stand alone.
const ALONE: [&str; 4] = ["vmlinux", "bzImage", "Image", "vmlinuz"];
/// Names of initial RAM disks, before and behind the version.
const INITRDS: [(&str, &str); 5] =
    [("initrd.img-", ""), ("initramfs-", ".img"), ("initrd-", ""), ("initrd-", ".img"), ("initramfs-", "")];
/// Names of initial RAM disks that stand alone.
const INITRDS_ALONE: [&str; 2] = ["initrd.img", "initrd"];
/// What distributions keep beside kernels for when all else fails: `vmlinuz-0-rescue-MACHINE`.
const RESCUE: &str = "-rescue-";

/// Files that belong together, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The kernel.
    pub image: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its modules.
    pub modules: Option<PathBuf>,
}

/// Finds the one kernel in a directory.
///
/// # Errors
/// There is none, or there are several, or the directory cannot be read.
pub fn kernel(directory: &Path) -> Result<Found> {
    let names = names(directory)?;
    let alone: Vec<&str> = ALONE.into_iter().filter(|name| names.iter().any(|known| known == name)).collect();
    match alone[..] {
        [] => {}
        [name] => {
            let initrd = INITRDS_ALONE.into_iter().find(|name| names.iter().any(|known| known == name));
            let modules = directory.join("modules");
            return Ok(Found {
                image: directory.join(name),
                initrd: initrd.map(|name| directory.join(name)),
                modules: modules.is_dir().then_some(modules),
            });
        }
        [..] => {
            let kernels = alone.into_iter().map(str::to_owned).collect();
            return Err(Error::SeveralKernels { path: directory.to_owned(), kernels });
        }
    }
    let kernels = by_version(directory, &names);
    let mut versions: Vec<&String> = kernels.keys().collect();
    versions.sort_by(|a, b| compare(a, b));
    match versions[..] {
        [] => Err(Error::NoKernelInDirectory { directory: directory.to_owned() }),
        [version] => Ok(with_version(directory, version, kernels.get(version).cloned().unwrap_or_default())),
        [..] => {
            let kernels = versions.into_iter().cloned().collect();
            Err(Error::SeveralKernels { path: directory.to_owned(), kernels })
        }
    }
}

/// The version in the name of a kernel: `vmlinuz-6.1.0` is of 6.1.0.
pub fn version_in_name(name: &str) -> Option<&str> {
    let version = KERNELS.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    (is_version(version) && !version.contains(RESCUE)).then_some(version)
}

/// Directories in which modules of that version may be, below a root.
pub fn modules_below(root: &Path, version: &str) -> [PathBuf; 2] {
    [root.join("lib/modules").join(version), root.join("usr/lib/modules").join(version)]
}

/// All kernels that have their version in their name, or their directory's.
fn by_version(directory: &Path, names: &[String]) -> BTreeMap<String, PathBuf> {
    let mut kernels = BTreeMap::new();
    let boot = directory.join("boot");
    let below = self::names(&boot).unwrap_or_default();
    for prefix in KERNELS {
        for (directory, names) in [(directory, names), (&boot, &below)] {
            for name in names.iter().filter(|name| name.starts_with(prefix)) {
                if let Some(version) = version_in_name(name) {
                    kernels.entry(version.to_owned()).or_insert_with(|| directory.join(name));
                }
            }
        }
    }
    for modules in [directory.join("lib/modules"), directory.join("usr/lib/modules")] {
        for version in self::names(&modules).unwrap_or_default() {
            let image = modules.join(&version).join("vmlinuz");
            if is_version(&version) && image.is_file() {
                kernels.entry(version).or_insert(image);
            }
        }
    }
    kernels
}

fn with_version(directory: &Path, version: &str, image: PathBuf) -> Found {
    let beside = image.parent().unwrap_or(directory).to_owned();
    let initrds = INITRDS.into_iter().map(|(before, behind)| beside.join(format!("{before}{version}{behind}")));
    let modules =
        [directory.to_owned(), directory.join("..")].into_iter().flat_map(|root| modules_below(&root, version));
    let modules = modules.chain([directory.join("modules")]).find(|path| path.is_dir());
    Found { image, initrd: initrds.into_iter().find(|path| path.exists()), modules }
}

/// The names in a directory that are text, in order.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let entry = entry.map_err(Error::io("list", directory))?;
        if names.len() >= NAMES {
            return Err(Error::limit(directory, NAMES as u64, "names"));
        }
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join("top").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        directory
    }

    #[test]
    fn kernels_are_found_by_the_names_of_distributions() {
        type Case = (&'static [&'static str], &'static str, &'static str, Option<&'static str>, Option<&'static str>);
        let table: [Case; 12] = [
            (&["vmlinux"], "", "vmlinux", None, None),
            (&["bzImage", "initrd.img", "modules/kernel/a"], "", "bzImage", Some("initrd.img"), Some("modules")),
            (&["vmlinuz", "initrd", "version"], "", "vmlinuz", Some("initrd"), None),
            // Debian: a package unpacked, and a machine's /boot.
            (
                &["boot/vmlinuz-6.1.0-9-amd64", "lib/modules/6.1.0-9-amd64/a"],
                "",
                "boot/vmlinuz-6.1.0-9-amd64",
                None,
                Some("lib/modules/6.1.0-9-amd64"),
            ),
            (
                &["boot/vmlinuz-6.1.0", "boot/initrd.img-6.1.0", "lib/modules/6.1.0/a"],
                "boot",
                "vmlinuz-6.1.0",
                Some("initrd.img-6.1.0"),
                Some("../lib/modules/6.1.0"),
            ),
            (
                &["boot/vmlinuz-6.1.0", "usr/lib/modules/6.1.0/a"],
                "",
                "boot/vmlinuz-6.1.0",
                None,
                Some("usr/lib/modules/6.1.0"),
            ),
            // Fedora: a rescue kernel beside it, another name of the RAM disk, or all among the modules.
            (
                &["vmlinuz-6.9.1-200.fc40.x86_64", "vmlinuz-0-rescue-5f", "initramfs-6.9.1-200.fc40.x86_64.img"],
                "",
                "vmlinuz-6.9.1-200.fc40.x86_64",
                Some("initramfs-6.9.1-200.fc40.x86_64.img"),
                None,
            ),
            (
                &["lib/modules/6.9.1/vmlinuz", "lib/modules/6.9.1/kernel/a"],
                "",
                "lib/modules/6.9.1/vmlinuz",
                None,
                Some("lib/modules/6.9.1"),
            ),
            (&["vmlinux-6.1.0", "vmlinuz-6.1.0", "modules/a"], "", "vmlinuz-6.1.0", None, Some("modules")),
            (&["Image-6.1.0", "initrd-6.1.0"], "", "Image-6.1.0", Some("initrd-6.1.0"), None),
            (&["vmlinuz-6.1.0", "initrd.img-6.2.0"], "", "vmlinuz-6.1.0", None, None),
            (
                &["vmlinuz-6.1.0", "vmlinuz-notaversion", "vmlinuz.old", "System.map-6.1.0"],
                "",
                "vmlinuz-6.1.0",
                None,
                None,
            ),
        ];
        for (files, below, image, initrd, modules) in table {
            let directory = directory(files);
            let top = directory.path().join("top").join(below);
            let expected = Found {
                image: top.join(image),
                initrd: initrd.map(|path| top.join(path)),
                modules: modules.map(|path| top.join(path)),
            };
            assert_eq!(kernel(&top).unwrap(), expected, "{files:?}");
        }
    }

    #[test]
    fn none_and_several_are_errors_that_say_so() {
        let table: [(&[&str], &str); 5] = [
            (&["a"], "there is no kernel in "),
            (&["lib/modules/6.1.0/kernel/a.ko"], "there is no kernel in "),
            (&["vmlinux", "bzImage"], "top: vmlinux, bzImage"),
            (&["boot/vmlinuz-6.10.0", "boot/vmlinuz-6.9.0", "vmlinuz-6.1.0"], "top: 6.1.0, 6.9.0, 6.10.0"),
            (&["usr/lib/modules/6.1.0/vmlinuz", "usr/lib/modules/6.2.0/vmlinuz"], "top: 6.1.0, 6.2.0"),
        ];
        for (files, expected) in table {
            let directory = directory(files);
            let error = kernel(&directory.path().join("top")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(kernel(Path::new("/no/such")), Err(Error::Io { .. })));
    }
}
