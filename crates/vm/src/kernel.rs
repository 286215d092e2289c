//! The kernel that a machine is started with: one that is named, or one of this machine's, and its modules.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use banger_kernel::{Image, find};
use banger_kmod::version::compare;

use crate::error::{At, Error, Result};

/// A kernel, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The file.
    pub image: PathBuf,
    /// `uname -r` of it, where it says so.
    pub version: Option<String>,
    /// Its modules (`/lib/modules/VERSION`), where there are any.
    pub modules: Option<PathBuf>,
}

/// Where distributions have their kernels.
const BOOT: &str = "/boot";
const MODULES: &str = "/lib/modules";

impl Kernel {
    /// The kernel in a file. Its modules are in `modules`, or where they are known to stand: in `modules` or
    /// `lib/modules/VERSION` beside it, as an unpacked package has them, or in `/lib/modules/VERSION`.
    ///
    /// # Errors
    /// The file cannot be read, or the directory is none.
    pub fn named(image: &Path, modules: Option<&Path>) -> Result<Self> {
        let version = version(image)?;
        let modules = match modules {
            Some(modules) => {
                std::fs::read_dir(modules).at("read the modules in", modules)?;
                Some(modules.to_owned())
            }
            None => beside(image, version.as_deref()).into_iter().find(|path| path.is_dir()),
        };
        Ok(Self { image: std::path::absolute(image).at("find", image)?, version, modules })
    }

    /// The newest kernel of this machine that can be read and has its modules here.
    ///
    /// # Errors
    /// There is none.
    pub fn of_host(modules: Option<&Path>) -> Result<Self> {
        Self::newest_in(Path::new(BOOT), Path::new(MODULES), modules)
    }

    fn newest_in(boot: &Path, all_modules: &Path, modules: Option<&Path>) -> Result<Self> {
        let missing = |reason: String| Error::NoKernel { reason };
        let entries = match std::fs::read_dir(boot) {
            Ok(entries) => entries,
            Err(error) => return Err(missing(format!("{} cannot be read: {error}", boot.display()))),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut versions: Vec<(String, PathBuf)> = names
            .filter_map(|name| {
                let version = find::version_in_name(&name)?;
                Some((version.to_owned(), boot.join(&name)))
            })
            .collect();
        versions.sort_by(|one, other| compare(&other.0, &one.0));
        let mut reasons = Vec::new();
        for (version, image) in versions {
            let own = modules.map_or_else(|| all_modules.join(&version), Path::to_owned);
            if let Err(error) = File::open(&image) {
                reasons.push(format!("{} cannot be read: {error}", image.display()));
            } else if !own.is_dir() {
                reasons.push(format!("{} has no modules in {}", image.display(), own.display()));
            } else {
                return Ok(Self { image, version: Some(version), modules: Some(own) });
            }
        }
        if reasons.is_empty() {
            reasons.push(format!("there is no {}/vmlinuz-VERSION", boot.display()));
        }
        Err(missing(reasons.join("; ")))
    }
}

/// Where the modules of a kernel may stand.
fn beside(image: &Path, version: Option<&str>) -> Vec<PathBuf> {
    let directory = image.parent().unwrap_or(Path::new("")).to_owned();
    let name = image.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let of_name = find::version_in_name(name);
    let mut places = vec![directory.join("modules")];
    for version in version.into_iter().chain(of_name) {
        for base in [directory.join("lib/modules"), directory.join("../lib/modules"), MODULES.into()] {
            places.push(base.join(version));
        }
    }
    places
}

/// The version that a kernel says it is. Of what is no kernel that is known there is none: what starts the machine may know better.
fn version(image: &Path) -> Result<Option<String>> {
    let failed = |source| Error::Io { action: "read the kernel", path: image.to_owned(), source };
    match Image::of_file(image) {
        Ok(found) => Ok(found.version),
        Err(banger_kernel::Error::Io { source, .. }) => Err(failed(source)),
        Err(error @ banger_kernel::Error::NotAFile { .. }) => Err(failed(io::Error::other(error))),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a bzImage as is looked at.
    fn bzimage(version: &str) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        image[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
        image
    }

    #[test]
    fn a_kernel_says_its_version_and_has_its_modules_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("boot/linux");
        let modules = directory.path().join("lib/modules/6.1.0-9");
        std::fs::create_dir(directory.path().join("boot")).unwrap();
        std::fs::create_dir_all(&modules).unwrap();
        for (content, version) in [
            (bzimage("6.1.0-9 (me@here) #1"), Some("6.1.0-9")),
            (bzimage("../../etc (me@here) #1"), None),
            (b"\x7fELF".to_vec(), None),
            (Vec::new(), None),
        ] {
            std::fs::write(&image, content).unwrap();
            let kernel = Kernel::named(&image, None).unwrap();
            assert_eq!(kernel.version.as_deref(), version);
            assert_eq!(kernel.modules.map(|path| path.canonicalize().unwrap()), version.map(|_| modules.clone()));
        }
        let named = Kernel::named(&image, Some(directory.path())).unwrap();
        assert_eq!(named.modules.as_deref(), Some(directory.path()));
        assert!(Kernel::named(&image, Some(&image)).is_err());
        assert!(Kernel::named(Path::new("/no/such"), None).is_err());
    }

    #[test]
    fn the_newest_kernel_with_modules_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let (boot, modules) = (directory.path().join("boot"), directory.path().join("modules"));
        let newest = |modules: &Path| Kernel::newest_in(&boot, modules, None);
        assert!(newest(&modules).unwrap_err().to_string().contains("cannot be read"));
        std::fs::create_dir(&boot).unwrap();
        assert!(newest(&modules).unwrap_err().to_string().contains("there is no"));
        for version in ["6.1.0-9", "6.1.0-10", "6.12.0"] {
            std::fs::write(boot.join(format!("vmlinuz-{version}")), b"").unwrap();
        }
        assert!(newest(&modules).unwrap_err().to_string().contains("6.12.0 has no modules"));
        for version in ["6.1.0-9", "6.1.0-10"] {
            std::fs::create_dir_all(modules.join(version)).unwrap();
        }
        let kernel = newest(&modules).unwrap();
        assert_eq!(kernel.version.as_deref(), Some("6.1.0-10"));
        assert_eq!(kernel.modules, Some(modules.join("6.1.0-10")));
    }
}
