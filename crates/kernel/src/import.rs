//! Takes a kernel from where it is, with what belongs to it: a directory, Debian packages, a kernel archive.
//!
//! What comes of it is complete: an Image that was compressed is unpacked, and where the indexes of the modules are missing, as in a package,
//! they are made (depmod(8) would do it when the package is installed).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use banger_kmod::Modules;

use crate::error::{Error, Result};
use crate::find::{self, Found};
use crate::image::{Seen, look_at};
use crate::limits::HEAD_BYTES;
use crate::packages::Package;
use crate::place::{Means, make_directory, place, set_mode};
use crate::triple::{Triple, check};
use crate::unpack::Taken;
use crate::watch::{Watch, go_on};
use crate::{ar, archive, deb, looks, open, packages};

/// A kernel that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The files, where they are now.
    pub triple: Triple,
    /// A name for it: `linux-VERSION`. None where it does not say its version.
    pub name: Option<String>,
    /// What whoever imports it should know, in sentences without a full stop.
    pub notes: Vec<String>,
}

/// Puts the kernel that is in `from` into the directory `into`, which is there and empty, as [`place`] does: a directory, an archive, or
/// one or more Debian packages of the same kernel, to which those beside them that it needs are added. After an error the
/// content of `into` is of no use.
///
/// # Errors
/// It cannot be read, is none of what a kernel comes in, is damaged, has no kernel or several; a package of it is missing; or the files
/// cannot be written.
pub fn import<P: AsRef<Path>>(from: &[P], into: &Path, watch: &dyn Watch) -> Result<Imported> {
    let from: Vec<&Path> = from.iter().map(AsRef::as_ref).collect();
    if let [directory] = &from[..]
        && directory.is_dir()
    {
        let triple = take(find::kernel(directory)?, Means::Copy, into, watch)?;
        return finish(triple, Vec::new(), watch);
    }
    let scratch = into.join(".unpacked");
    make_directory(&scratch)?;
    let (triple, notes) = unpack(&from, &scratch, into, watch)?;
    std::fs::remove_dir_all(&scratch).map_err(Error::io("remove", &scratch))?;
    finish(triple, notes, watch)
}

/// A name for a kernel of that version, as names of kernels are made.
pub fn name(version: &str) -> String {
    let usual =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c.to_ascii_lowercase() } else { '-' };
    "linux-".chars().chain(version.chars().map(usual)).take(127).collect()
}

fn unpack(from: &[&Path], scratch: &Path, into: &Path, watch: &dyn Watch) -> Result<(Triple, Vec<String>)> {
    let files = scratch.join("files");
    make_directory(&files)?;
    let mut heads = Vec::new();
    for path in from {
        let (file, _) = open::file(path)?;
        heads.push(open::head(&file, path)?);
    }
    if heads.iter().all(|head| head.starts_with(ar::MAGIC)) {
        return of_packages(from, scratch, &files, into, watch);
    }
    // The first that is no package: of several, that is one too many.
    let mut others = from.iter().copied().zip(&heads).filter(|(_, head)| !head.starts_with(ar::MAGIC));
    let Some((path, head)) = others.next() else { return Err(Error::NothingNamed) };
    // Not all that begins like this is an archive: it may be a kernel.
    if head.starts_with(b"\x28\xb5\x2f\xfd") && look_at(path).is_err() && from.len() == 1 {
        archive::unpack(path, &files, watch)?;
        let triple = find::kernel(&files).and_then(|found| take(found, Means::Link, into, watch));
        return Ok((triple.map_err(inside(path))?, Vec::new()));
    }
    let looks = match look_at(path) {
        Ok(_) => "a kernel alone: name the directory that it is in".to_owned(),
        Err(_) => looks::like(head.get(..HEAD_BYTES).unwrap_or(head)),
    };
    Err(match from {
        [_] => Error::NoSource { path: path.to_owned(), looks },
        [..] => Error::NoPackage { path: path.to_owned(), looks },
    })
}

/// Takes the kernel of Debian packages.
fn of_packages(
    from: &[&Path],
    scratch: &Path,
    files: &Path,
    into: &Path,
    watch: &dyn Watch,
) -> Result<(Triple, Vec<String>)> {
    let packages = packages::gather(from)?;
    let Some(first) = packages.first() else { return Err(Error::NothingNamed) };
    let contents = scratch.join("contents");
    make_directory(&contents)?;
    let mut taken = Taken::default();
    for package in &packages {
        deb::unpack(&package.path, files, &contents, &mut taken, watch)?;
    }
    let found = find::kernel(files).map_err(|error| of_package(error, first))?;
    let mut notes = Vec::new();
    if found.modules.is_none() {
        let depends = packages.iter().flat_map(|package| packages::of_kernel(&package.control));
        let others = depends.map(|other| other.package.as_str()).filter(|name| name.starts_with("linux-modules-"));
        let (package, others) = (&first.control.package, others.collect::<Vec<_>>());
        notes.push(match others[..] {
            [] => format!("the package {package} has a kernel, but no modules"),
            [..] => format!(
                "the package {package} has no modules; they are in {}: `apt-get download {}` beside it, and import it again",
                others.join(", "),
                others.join(" ")
            ),
        });
    }
    Ok((take(found, Means::Link, into, watch).map_err(inside(&first.path))?, notes))
}

/// Says of an error that it is about what is in a package or an archive.
fn inside(path: &Path) -> impl FnOnce(Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| match error {
        Error::Cancelled => Error::Cancelled,
        error => Error::Import { path, source: Box::new(error) },
    }
}

/// What it means that a package has no kernel, or several.
fn of_package(error: Error, package: &Package) -> Error {
    let (path, control) = (package.path.clone(), &package.control);
    match error {
        Error::NoKernelInDirectory { .. } => {
            let depends = packages::of_kernel(control).map(|other| other.package.clone());
            let dependencies = depends.filter(|name| name.starts_with("linux-image-")).collect();
            Error::NoKernelInPackage { path, package: control.package.clone(), dependencies }
        }
        Error::SeveralKernels { kernels, .. } => Error::SeveralKernels { path, kernels },
        error => error,
    }
}

/// Checks what was found and puts it where it belongs.
fn take(found: Found, means: Means, into: &Path, watch: &dyn Watch) -> Result<Triple> {
    let Found { image, initrd, modules } = found;
    let unpacked = into.join(".Image");
    let image = match look_at(&image)? {
        Seen::Kernel(_) => image,
        Seen::Wrapped(payload) => {
            payload.unpack(&image, &unpacked, watch)?;
            set_mode(&unpacked, 0o444)?;
            unpacked.clone()
        }
    };
    let triple = check(&image, initrd.as_deref(), modules.as_deref(), None)?;
    let placed = place(&triple, into, means, watch)?;
    if image == unpacked {
        std::fs::remove_file(&unpacked).map_err(Error::io("remove", &unpacked))?;
    }
    Ok(placed)
}

/// Adds what depmod would make, where it is missing.
fn finish(triple: Triple, notes: Vec<String>, watch: &dyn Watch) -> Result<Imported> {
    if let Some(directory) = &triple.modules {
        go_on(watch)?;
        let modules = Modules::open(directory)?;
        if !modules.has_current_indexes()? {
            for old in modules.members().iter().filter(|member| member.is_index()) {
                let path = directory.join(&old.path);
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
            for (name, bytes) in modules.make_indexes()? {
                write(directory.join(name), &bytes)?;
            }
        }
    }
    let name = triple.version.as_deref().map(name);
    Ok(Imported { triple, name, notes })
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<()> {
    let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
    file.write_all(bytes).map_err(Error::io("write", &path))?;
    set_mode(&path, 0o444)
}
