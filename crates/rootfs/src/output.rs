//! The image file: nobody sees it before it is complete.
//!
//! The file is written without a name (`O_TMPFILE`) in the directory where it will appear and gets its name by
//! `linkat` when it is finished. A crash, a kill or Ctrl-C leaves nothing: a file without a name goes with its process.
//!
//! A file system that knows no `O_TMPFILE` (NFS, FUSE, 9p) gets a hidden file beside the target, locked for as long as its
//! builder lives; whoever builds the same target next removes those that nobody holds.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

use crate::error::{Error, IoContext};

/// Marks the hidden name between the target's name and the process id.
const INFIX: &str = ".banger-";

/// An image file that is being written.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    target: PathBuf,
    replace: bool,
    /// The hidden name that the file has meanwhile, if it has one.
    hidden: Option<PathBuf>,
}

impl Output {
    /// Begins a file that will appear at `target`, over what is there only when `replace` is set.
    pub(crate) fn create(target: &Path, replace: bool) -> Result<Self, Error> {
        if target.file_name().is_none() || target.is_dir() {
            return Err(Error::OutputIsDirectory { path: target.to_owned() });
        }
        if !replace && target.symlink_metadata().is_ok() {
            return Err(Error::OutputExists { path: target.to_owned() });
        }
        remove_abandoned(target);
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let directory = directory_of(target);
        let (file, hidden) = match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            Err(error) if is_unsupported(error) => {
                let name = hidden_name(target);
                let flags = flags | OFlags::CREATE | OFlags::EXCL;
                let file = rustix::fs::openat(CWD, &name, flags, mode).at("create", &name)?;
                (file, Some(name))
            }
            Err(error) => return Err(Error::io("create a file in", directory, error.into())),
        };
        let output = Self { file: File::from(file), target: target.to_owned(), replace, hidden };
        output.lock()?;
        Ok(output)
    }

    /// The file to write into.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Waits until everything written is on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().at("sync", &self.target)
    }

    /// Gives the finished file its name. With `sync` the name too is on the disk when this returns.
    pub(crate) fn publish(mut self, sync: bool) -> Result<(), Error> {
        if self.replace {
            let hidden = match self.hidden.take() {
                Some(name) => name,
                None => {
                    let name = hidden_name(&self.target);
                    self.link(&name).at("create", &name)?;
                    name
                }
            };
            let renamed = std::fs::rename(&hidden, &self.target);
            if renamed.is_err() {
                self.hidden = Some(hidden);
            }
            renamed.at("replace", &self.target)?;
        } else {
            let linked = match &self.hidden {
                None => self.link(&self.target),
                Some(hidden) => std::fs::hard_link(hidden, &self.target),
            };
            match linked {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(Error::OutputExists { path: self.target.clone() });
                }
                linked => linked.at("create", &self.target)?,
            }
        }
        if sync {
            let directory = directory_of(&self.target);
            File::open(directory).and_then(|directory| directory.sync_all()).at("sync", directory)?;
        }
        Ok(())
    }

    fn link(&self, name: &Path) -> io::Result<()> {
        let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, descriptor, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Held until the file is closed: says that the hidden name is in use. Not every file system has locks.
    fn lock(&self) -> Result<(), Error> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(error) if is_unsupported(error) || error == rustix::io::Errno::NOLCK => Ok(()),
            Err(error) => Err(Error::io("lock", &self.target, error.into())),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // Nothing is lost when this fails: the next build of the same target removes it.
            let _ = std::fs::remove_file(hidden);
        }
    }
}

fn is_unsupported(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(error, Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS)
}

/// The directory that a path's last component stands in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn hidden_prefix(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or(OsStr::new("image")));
    name.push(INFIX);
    name
}

fn hidden_name(target: &Path) -> PathBuf {
    let mut name = hidden_prefix(target);
    name.push(std::process::id().to_string());
    directory_of(target).join(name)
}

/// Removes hidden files of this target whose builder is gone. Failing here harms nobody, so nothing is reported.
fn remove_abandoned(target: &Path) {
    let prefix = hidden_prefix(target);
    let Ok(entries) = std::fs::read_dir(directory_of(target)) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn appears_only_when_published() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let output = Output::create(&target, false).unwrap();
        output.file().write_all(b"content").unwrap();
        assert_eq!(names(directory.path()), Vec::<String>::new());
        output.publish(true).unwrap();
        assert_eq!(names(directory.path()), ["image"]);
        assert_eq!(std::fs::read(&target).unwrap(), b"content");
    }

    #[test]
    fn dropped_output_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(Output::create(&directory.path().join("image"), false).unwrap());
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn replaces_only_when_told_to() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        std::fs::write(&target, b"old").unwrap();
        assert!(matches!(Output::create(&target, false), Err(Error::OutputExists { .. })));
        let output = Output::create(&target, true).unwrap();
        output.file().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        output.publish(false).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["image"]);
    }

    #[test]
    fn what_appeared_meanwhile_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let output = Output::create(&target, false).unwrap();
        std::fs::write(&target, b"somebody else's").unwrap();
        assert!(matches!(output.publish(false), Err(Error::OutputExists { .. })));
        assert_eq!(std::fs::read(&target).unwrap(), b"somebody else's");
    }

    #[test]
    fn abandoned_hidden_files_are_removed_and_held_ones_kept() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        std::fs::write(directory.path().join(".image.banger-1"), b"left").unwrap();
        let held = File::create(directory.path().join(".image.banger-2")).unwrap();
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        drop(Output::create(&target, false).unwrap());
        assert_eq!(names(directory.path()), [".image.banger-2"]);
    }
}
