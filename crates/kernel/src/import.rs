//! Takes a kernel from where it is, with what belongs to it: a directory, a Debian package, a kernel archive.
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
use crate::place::{Means, make_directory, place, set_mode};
use crate::triple::{Triple, check};
use crate::watch::{Watch, go_on};
use crate::{ar, archive, deb, looks, open};

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

/// Puts the kernel that is in `from` into the directory `into`, which is there and empty, as [`place`] does. After an error what is there is of
/// no use.
///
/// # Errors
/// It cannot be read, is none of what a kernel comes in, is damaged, has no kernel or several; or the files cannot be written.
pub fn import(from: &Path, into: &Path, watch: &dyn Watch) -> Result<Imported> {
    if from.is_dir() {
        let triple = take(find::kernel(from)?, Means::Copy, into, watch)?;
        return finish(triple, Vec::new(), watch);
    }
    let scratch = into.join(".unpacked");
    make_directory(&scratch)?;
    let (triple, notes) = unpack(from, &scratch, into, watch)?;
    std::fs::remove_dir_all(&scratch).map_err(Error::io("remove", &scratch))?;
    finish(triple, notes, watch)
}

/// A name for a kernel of that version, as names of kernels are made.
pub fn name(version: &str) -> String {
    let usual =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c.to_ascii_lowercase() } else { '-' };
    "linux-".chars().chain(version.chars().map(usual)).take(127).collect()
}

fn unpack(from: &Path, scratch: &Path, into: &Path, watch: &dyn Watch) -> Result<(Triple, Vec<String>)> {
    let (file, _) = open::file(from)?;
    let head = open::head(&file, from)?;
    let files = scratch.join("files");
    make_directory(&files)?;
    let inside = |error| match error {
        Error::Cancelled => Error::Cancelled,
        error => Error::Import { path: from.to_owned(), source: Box::new(error) },
    };
    if head.starts_with(ar::MAGIC) {
        let contents = scratch.join("contents");
        make_directory(&contents)?;
        let control = deb::unpack(from, &files, &contents, watch)?;
        let found = find::kernel(&files).map_err(|error| of_package(error, from, &control))?;
        let mut notes = Vec::new();
        if found.modules.is_none() {
            let others = control.depends.iter().filter(|name| name.starts_with("linux-modules-"));
            let others: Vec<&str> = others.map(String::as_str).collect();
            notes.push(match others[..] {
                [] => format!("the package {} has a kernel, but no modules", control.package),
                [..] => format!("the package {} has no modules; they are in {}", control.package, others.join(", ")),
            });
        }
        return Ok((take(found, Means::Link, into, watch).map_err(inside)?, notes));
    }
    // Not all that begins like this is an archive: it may be a kernel.
    if head.starts_with(b"\x28\xb5\x2f\xfd") && look_at(from).is_err() {
        archive::unpack(from, &files, watch)?;
        let triple = find::kernel(&files).and_then(|found| take(found, Means::Link, into, watch));
        return Ok((triple.map_err(inside)?, Vec::new()));
    }
    let looks = match look_at(from) {
        Ok(_) => "a kernel alone: name the directory that it is in".to_owned(),
        Err(_) => looks::like(head.get(..HEAD_BYTES).unwrap_or(&head)),
    };
    Err(Error::NoSource { path: from.to_owned(), looks })
}

/// What it means that a package has no kernel, or several.
fn of_package(error: Error, path: &Path, control: &deb::Control) -> Error {
    let path = path.to_owned();
    match error {
        Error::NoKernelInDirectory { .. } => {
            let dependencies =
                control.depends.iter().filter(|name| name.starts_with("linux-image-")).cloned().collect();
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
