//! A file that is being written: nobody sees it before it is complete.
//!
//! The file is written without a name (`O_TMPFILE`) in the directory where it will appear and gets its name by
//! `linkat` when it is finished. A crash, a kill or Ctrl-C leaves nothing: a file without a name goes with its process.
//!
//! A file system that knows no `O_TMPFILE` (NFS, FUSE, 9p) gets a hidden file beside the target, locked for as long as its
//! writer lives; whoever writes the same target next removes those that nobody holds.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io::Write;
//!
//! use banger_disk::Output;
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! // The name is known before.
//! let output = Output::create(&directory.join("image"), false)?;
//! output.file().write_all(b"content")?;
//! output.publish(true)?;
//!
//! // The name depends on the content.
//! let output = Output::create_in(directory, "archive".as_ref())?;
//! output.file().write_all(b"content")?;
//! let path = output.publish_as("archive-ed7002b4.tar".as_ref(), true, true)?;
//! assert_eq!(path, directory.join("archive-ed7002b4.tar"));
//! # Ok(())
//! # }
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use banger_error::ErrorKind;

/// Marks the hidden name between the target's name and the process id.
const INFIX: &str = ".banger-";
/// How often a hidden file is made at most: each time, another process may take it for abandoned before it is locked.
const ATTEMPTS: u32 = 16;
/// Tells hidden files of one process from each other.
static HIDDEN: AtomicU64 = AtomicU64::new(0);

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is a file of the name already, and it may not be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// Where the file should have appeared.
        path: PathBuf,
    },
    /// The target is a directory, or has no name.
    #[error("{} is a directory, not a name for a file", path.display())]
    IsDirectory {
        /// Where the file should have appeared.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::IsDirectory { .. } => ErrorKind::Usage,
            Self::Io { source, .. } => source.into(),
        }
    }
}

/// Result of what is done to an output.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that is being written. Dropped before it is published, it leaves nothing.
#[derive(Debug)]
pub struct Output {
    file: File,
    target: PathBuf,
    replace: bool,
    /// The hidden name that the file has meanwhile, if it has one.
    hidden: Option<PathBuf>,
}

impl Output {
    /// Begins a file that will appear at `target`, over what is there only when `replace` is set.
    ///
    /// # Errors
    /// There is such a file already, or none can be made there.
    pub fn create(target: &Path, replace: bool) -> Result<Self> {
        check(target, replace)?;
        Self::begin(target, replace)
    }

    /// Begins a file in `directory` whose name is not known yet: [`publish_as`](Self::publish_as) gives it one. `stem` is in the
    /// hidden name, where it needs one meanwhile.
    ///
    /// # Errors
    /// No file can be made there.
    pub fn create_in(directory: &Path, stem: &OsStr) -> Result<Self> {
        Self::begin(&directory.join(stem), false)
    }

    fn begin(target: &Path, replace: bool) -> Result<Self> {
        remove_abandoned(target);
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let directory = directory_of(target);
        match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
            Ok(file) => {
                let file = File::from(file);
                // From here on the file may get a hidden name, which others take for abandoned when nobody holds the lock.
                lock(&file).map_err(|error| Error::io("lock", target, error))?;
                Ok(Self { file, target: target.to_owned(), replace, hidden: None })
            }
            Err(error) if is_unsupported(error) => {
                let (file, name) = create_hidden(target)?;
                Ok(Self { file, target: target.to_owned(), replace, hidden: Some(name) })
            }
            Err(error) => Err(Error::io("create a file in", directory, error.into())),
        }
    }

    /// The file to write into. (`&File` is a writer.) Its permissions may be set: it begins with 0666 less the umask.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the file will appear, as far as that is known.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Waits until everything written is on the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|error| Error::io("sync", &self.target, error))
    }

    /// Gives the finished file its name. With `sync` the name too is on the disk when this returns; the content is brought there
    /// by [`sync`](Self::sync).
    ///
    /// # Errors
    /// Something has appeared at the target meanwhile, and may not be replaced; or the system's.
    pub fn publish(self, sync: bool) -> Result<()> {
        self.name(sync)
    }

    /// As [`publish`](Self::publish), under another `name` in the same directory. Returns where that is.
    ///
    /// # Errors
    /// As for [`publish`](Self::publish).
    pub fn publish_as(mut self, name: &OsStr, replace: bool, sync: bool) -> Result<PathBuf> {
        self.target = directory_of(&self.target).join(name);
        self.replace = replace;
        check(&self.target, replace)?;
        let target = self.target.clone();
        self.name(sync)?;
        Ok(target)
    }

    fn name(mut self, sync: bool) -> Result<()> {
        if self.replace {
            let hidden = match self.hidden.take() {
                Some(name) => name,
                None => {
                    let name = hidden_name(&self.target);
                    self.link(&name).map_err(|error| Error::io("create", &name, error))?;
                    name
                }
            };
            let renamed = std::fs::rename(&hidden, &self.target);
            if renamed.is_err() {
                self.hidden = Some(hidden);
            }
            renamed.map_err(|error| Error::io("replace", &self.target, error))?;
        } else {
            let linked = match &self.hidden {
                None => self.link(&self.target),
                Some(hidden) => std::fs::hard_link(hidden, &self.target),
            };
            linked.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Error::Exists { path: self.target.clone() },
                _ => Error::io("create", &self.target, error),
            })?;
        }
        if sync {
            let directory = directory_of(&self.target);
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|error| Error::io("sync", directory, error))?;
        }
        Ok(())
    }

    fn link(&self, name: &Path) -> io::Result<()> {
        let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, descriptor, CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // Nothing is lost when this fails: whoever writes the same target next removes it.
            let _ = std::fs::remove_file(hidden);
        }
    }
}

/// The directory that a path's last component stands in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a target that cannot be one.
fn check(target: &Path, replace: bool) -> Result<()> {
    if target.file_name().is_none() || target.is_dir() {
        return Err(Error::IsDirectory { path: target.to_owned() });
    }
    if !replace && target.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: target.to_owned() });
    }
    Ok(())
}

/// A file under a hidden name, locked.
fn create_hidden(target: &Path) -> Result<(File, PathBuf)> {
    let mode = Mode::from_raw_mode(0o666);
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
    let mut attempt = 1;
    loop {
        let name = hidden_name(target);
        let file = File::from(
            rustix::fs::openat(CWD, &name, flags, mode).map_err(|error| Error::io("create", &name, error.into()))?,
        );
        // Who looks for abandoned files may have been faster: between the two calls this one looks like one.
        let locked = lock(&file).and_then(|()| file.metadata());
        match locked {
            Ok(metadata) if metadata.nlink() > 0 => return Ok((file, name)),
            Ok(_) if attempt < ATTEMPTS => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempt < ATTEMPTS => {}
            Ok(_) => return Err(Error::io("keep", &name, io::ErrorKind::NotFound.into())),
            Err(error) => {
                let _ = std::fs::remove_file(&name);
                return Err(Error::io("lock", &name, error));
            }
        }
        attempt += 1;
    }
}

/// Held until the file is closed: says that its hidden name is in use. Not every file system has locks.
fn lock(file: &File) -> io::Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(error) if is_unsupported(error) || error == Errno::NOLCK => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS)
}

fn hidden_prefix(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or(OsStr::new("image")));
    name.push(INFIX);
    name
}

fn hidden_name(target: &Path) -> PathBuf {
    let mut name = hidden_prefix(target);
    name.push(format!("{}-{}", std::process::id(), HIDDEN.fetch_add(1, Ordering::Relaxed)));
    directory_of(target).join(name)
}

/// Removes hidden files of this target whose writer is gone. Failing here harms nobody, so nothing is reported.
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
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
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
        drop(Output::create_in(directory.path(), OsStr::new("image")).unwrap());
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn replaces_only_when_told_to() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        std::fs::write(&target, b"old").unwrap();
        assert!(matches!(Output::create(&target, false), Err(Error::Exists { .. })));
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
        assert!(matches!(output.publish(false), Err(Error::Exists { .. })));
        assert_eq!(std::fs::read(&target).unwrap(), b"somebody else's");
    }

    #[test]
    fn a_name_can_be_given_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let begin = || Output::create_in(directory.path(), OsStr::new("archive")).unwrap();
        let output = begin();
        output.file().write_all(b"one").unwrap();
        let path = output.publish_as(OsStr::new("archive-1"), false, true).unwrap();
        assert_eq!(path, directory.path().join("archive-1"));
        assert!(matches!(begin().publish_as(OsStr::new("archive-1"), false, true), Err(Error::Exists { .. })));
        assert!(matches!(begin().publish_as(OsStr::new(".."), false, true), Err(Error::IsDirectory { .. })));
        begin().publish_as(OsStr::new("archive-1"), true, true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(names(directory.path()), ["archive-1"]);
    }

    #[test]
    fn two_that_replace_one_file_do_not_meet() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        let (one, other) = (Output::create(&target, true).unwrap(), Output::create(&target, true).unwrap());
        one.file().write_all(b"one").unwrap();
        other.file().write_all(b"other").unwrap();
        one.publish(false).unwrap();
        other.publish(false).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"other");
        assert_eq!(names(directory.path()), ["image"]);
    }

    /// What is done where the file system knows no files without a name.
    #[test]
    fn a_hidden_file_stands_in() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("image");
        for replace in [false, true] {
            let (file, name) = create_hidden(&target).unwrap();
            let output = Output { file, target: target.clone(), replace, hidden: Some(name) };
            output.file().write_all(b"content").unwrap();
            // Its writer lives: it is not abandoned.
            remove_abandoned(&target);
            let hidden = names(directory.path());
            assert!(hidden[0].starts_with(".image.banger-"), "{hidden:?}");
            output.publish(false).unwrap();
            assert_eq!(names(directory.path()), ["image"]);
        }
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
