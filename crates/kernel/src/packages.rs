//! The Debian packages that one kernel comes in: which belong together, by their names and dependencies.
//!
//! Debian's kernels before 6.19 are one package, `linux-image-VERSION`. Those since are four: that one is empty and depends on
//! `linux-binary-VERSION` (the kernel), `linux-modules-VERSION` and `linux-base-VERSION` (what is built in). Ubuntu's are two,
//! `linux-image-VERSION` and `linux-modules-VERSION`. Whichever of them is named, the others are taken from the same directory.

use std::path::{Path, PathBuf};

use banger_kmod::version::is_version;

use crate::control::{Control, Dependency};
use crate::deb;
use crate::error::{Error, Result};
use crate::limits::{KERNEL_PACKAGES, NAMES};

/// A package, and what it says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) path: PathBuf,
    pub(crate) control: Control,
}

/// What a package has of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The whole kernel, or nothing but dependencies.
    Image,
    Binary,
    Modules,
    Base,
}

/// How the names of packages begin, before the kernel's version. The longer of two comes first.
const PREFIXES: [(&str, Part); 7] = [
    ("linux-image-unsigned-", Part::Image),
    ("linux-image-", Part::Image),
    ("linux-binary-unsigned-", Part::Binary),
    ("linux-binary-", Part::Binary),
    ("linux-modules-extra-", Part::Modules),
    ("linux-modules-", Part::Modules),
    ("linux-base-", Part::Base),
];

/// The parts that a kernel in several packages needs, by the names of their packages.
const NEEDED: [(Part, &str); 3] =
    [(Part::Binary, "linux-binary-"), (Part::Modules, "linux-modules-"), (Part::Base, "linux-base-")];

/// Names under which the rest of a kernel may stand beside a package that does not depend on it.
const BESIDE: [&str; 5] = ["linux-binary-", "linux-binary-unsigned-", "linux-image-", "linux-modules-", "linux-base-"];

/// Which part of which kernel a package has: none for one of something else, or for a metapackage.
fn part(package: &str) -> Option<(Part, &str)> {
    let (part, version) = PREFIXES.iter().find_map(|(prefix, part)| Some((*part, package.strip_prefix(prefix)?)))?;
    is_version(version).then_some((part, version))
}

/// Whether a package has something of a kernel, or depends on what has.
fn is_of_kernel(package: &str) -> bool {
    PREFIXES.iter().any(|(prefix, _)| package.starts_with(prefix))
}

/// Of these dependencies, the packages that the same kernel comes in.
pub fn of_kernel(control: &Control) -> impl Iterator<Item = &Dependency> {
    control.depends.iter().filter(|dependency| is_of_kernel(&dependency.package))
}

/// The packages of one kernel: those that are named, and those beside them that they need.
pub(crate) fn gather(named: &[&Path]) -> Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    for path in named {
        let control = deb::control(path)?;
        add(&mut packages, Package { path: (*path).to_owned(), control })?;
    }
    let mut next: usize = 0;
    while let Some(package) = packages.get(next).cloned() {
        next = next.saturating_add(1);
        let directory = package.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        for wanted in wanted(&package.control) {
            if let Some(known) = packages.iter().find(|known| known.control.package == wanted.package) {
                check_version(known, &wanted, &package)?;
            } else if let Some(found) = beside(directory, &wanted)? {
                add(&mut packages, found)?;
            }
        }
    }
    check_whole(&packages)?;
    Ok(packages)
}

fn add(packages: &mut Vec<Package>, package: Package) -> Result<()> {
    if let Some(known) = packages.iter().find(|known| known.control.package == package.control.package) {
        let of_known = Dependency { version: known.control.version.clone(), ..Dependency::default() };
        return check_version(&package, &of_known, known);
    }
    if packages.len() >= KERNEL_PACKAGES {
        return Err(Error::limit(&package.path, KERNEL_PACKAGES as u64, "packages beside it"));
    }
    packages.push(package);
    Ok(())
}

/// The packages that one belongs to or needs: those that it depends on, and others of the same kernel and version.
fn wanted(control: &Control) -> Vec<Dependency> {
    let mut wanted: Vec<Dependency> = of_kernel(control).cloned().collect();
    let Some((_, kernel)) = part(&control.package) else { return wanted };
    for prefix in BESIDE {
        let package = format!("{prefix}{kernel}");
        if package != control.package && !wanted.iter().any(|known| known.package == package) {
            wanted.push(Dependency { package, version: control.version.clone() });
        }
    }
    wanted
}

/// A package in a directory, by the name that apt gives to its file: `NAME_VERSION_ARCHITECTURE.deb`.
fn beside(directory: &Path, wanted: &Dependency) -> Result<Option<Package>> {
    let start = format!("{}_", wanted.package);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io("list", directory))?.take(NAMES) {
        let entry = entry.map_err(Error::io("list", directory))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| name.starts_with(&start)));
    }
    names.retain(|name| name.ends_with(".deb"));
    names.sort_unstable();
    for name in names {
        let path = directory.join(name);
        let control = deb::control(&path)?;
        let is_wanted = wanted.version.is_none() || wanted.version == control.version;
        if control.package == wanted.package && is_wanted {
            return Ok(Some(Package { path, control }));
        }
    }
    Ok(None)
}

/// Checks that a package is of the version that another one needs.
fn check_version(package: &Package, wanted: &Dependency, by: &Package) -> Result<()> {
    match (&wanted.version, &package.control.version) {
        (Some(wanted), Some(found)) if wanted != found => Err(Error::PackageVersion {
            path: package.path.clone(),
            found: found.clone(),
            by: by.path.clone(),
            wanted: wanted.clone(),
        }),
        _ => Ok(()),
    }
}

/// Checks that there is one kernel, and that a kernel in several packages has all that it needs.
fn check_whole(packages: &[Package]) -> Result<()> {
    let Some(first) = packages.first() else { return Ok(()) };
    let parts: Vec<(Part, &str)> = packages.iter().filter_map(|package| part(&package.control.package)).collect();
    let mut kernels: Vec<String> = parts.iter().map(|(_, kernel)| (*kernel).to_owned()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    let kernel = match &kernels[..] {
        [] => return Ok(()),
        [kernel] => kernel.clone(),
        [..] => return Err(Error::SeveralKernels { path: first.path.clone(), kernels }),
    };
    let depends = packages.iter().flat_map(|package| &package.control.depends);
    let names = packages.iter().map(|package| &package.control.package).chain(depends.map(|other| &other.package));
    let is_split = names.filter_map(|name| part(name)).any(|(part, _)| matches!(part, Part::Binary | Part::Base));
    if !is_split {
        return Ok(());
    }
    let has = |wanted: Part| parts.iter().any(|(part, _)| *part == wanted);
    let missing = NEEDED.iter().filter(|(part, _)| !has(*part)).map(|(_, prefix)| format!("{prefix}{kernel}"));
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::MissingPackages { path: first.path.clone(), kernel, missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        for (package, expected) in [
            ("linux-image-6.1.0-9-amd64", Some((Part::Image, "6.1.0-9-amd64"))),
            ("linux-image-unsigned-6.8.0-40-generic", Some((Part::Image, "6.8.0-40-generic"))),
            ("linux-binary-7.0.1+deb14-rt-amd64", Some((Part::Binary, "7.0.1+deb14-rt-amd64"))),
            ("linux-modules-extra-6.8.0-40-generic", Some((Part::Modules, "6.8.0-40-generic"))),
            ("linux-base-7.0.1+deb14-arm64", Some((Part::Base, "7.0.1+deb14-arm64"))),
            ("linux-base", None),
            ("linux-base-cloud-amd64", None),
            ("linux-image-cloud-amd64", None),
            ("linux-headers-7.0.1", None),
            ("initramfs-tools", None),
        ] {
            assert_eq!(part(package), expected, "{package}");
        }
    }
}
