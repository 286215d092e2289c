//! Puts a kernel and what belongs to it into a directory, under the fixed names: `bzImage`, `vmlinux` or `Image`; `initrd.img`;
//! `modules/`.
//!
//! What is put there is read-only files (0444) in directories (0755), whatever they were before, and nothing else: links are the
//! files that they lead to, `build` and `source` are left out. So what was put somewhere has the digest that it had before.
//!
//! Nothing is synced here: that is for who makes the directory known.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::error::{Error, Result};
use crate::member::{Member, members, placed};
use crate::triple::Triple;
use crate::watch::{Watch, go_on};

/// How files get into the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// As copies. Where the file system can, they share their blocks.
    Copy,
    /// As further names of the same files, where that can be: only for files that were [placed](place) themselves, as they keep
    /// their modes and have to stay what they are.
    Link,
}

/// Puts all of it into a directory that is there and has none of it. After an error what was put there is of no use.
///
/// # Errors
/// A file cannot be read or written, has changed, or is in the way.
pub fn place(triple: &Triple, directory: &Path, means: Means, watch: &dyn Watch) -> Result<Triple> {
    for member in members(triple)? {
        go_on(watch)?;
        let target = directory.join(&member.name);
        if let Some(parent) = target.parent() {
            make_directory(parent)?;
        }
        let source = match means {
            // A link's other names would be links.
            Means::Link => member.path.canonicalize().map_err(Error::io("find", &member.path))?,
            Means::Copy => member.path.clone(),
        };
        let linked = means == Means::Link && link(&source, &target)?;
        if !linked {
            copy(&member, &target)?;
        }
        watch.advanced(member.size);
    }
    Ok(placed(triple, directory))
}

/// Makes a directory and those above it, for everybody to look into.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    DirBuilder::new().mode(0o755).create(path).map_err(Error::io("create", path))?;
    set_mode(path, 0o755)
}

/// Sets the mode that a file or directory is to have, whatever the umask.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path))
}

/// Gives a file another name. False where that cannot be: another file system, one without links, too many of them.
fn link(source: &Path, target: &Path) -> Result<bool> {
    use rustix::io::Errno;
    match std::fs::hard_link(source, target) {
        Ok(()) => Ok(true),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            _ => Err(Error::io("create", target)(error)),
        },
    }
}

/// Copies a file. The kernel does it (`copy_file_range`), by sharing its blocks where the file system can.
fn copy(member: &Member, target: &Path) -> Result<()> {
    let source = member.open()?;
    let mut output = File::create_new(target).map_err(Error::io("create", target))?;
    let copied = io::copy(&mut source.take(member.size), &mut output).map_err(Error::io("write", target))?;
    if copied != member.size {
        return Err(Error::Changed { path: member.path.clone() });
    }
    set_mode(target, 0o444)
}

#[cfg(test)]
mod tests;
