//! Locks between processes and between threads alike (flock(2)): they belong to an open file or directory, and end with it.
//!
//! What is locked may be renamed or removed while others are about to lock it. So a lock counts only if what was locked still
//! has the name it was opened by; otherwise it is opened and locked anew. A lock follows its directory through a rename.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, Result};
use crate::files::look;
use crate::limits::POLL;

/// A lock, held as long as this lives.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Held {
    file: File,
    /// Where what is locked is now.
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

/// What came of an attempt to lock something.
#[derive(Debug)]
pub(crate) enum Attempt {
    Held(Held),
    /// Somebody else holds it.
    Busy,
    /// There is nothing to lock.
    Missing,
}

impl Held {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is locked has got another name.
    pub(crate) fn moved(&mut self, path: PathBuf) {
        self.path = path;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file releases the lock too, but not while a child has it open that has not yet become another program.
        let _ = self.file.unlock();
    }
}

/// Locks a directory, unless somebody else has.
pub(crate) fn directory(path: &Path, mode: Mode) -> Result<Attempt> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed());
    attempt(path, mode, &options)
}

/// Locks a file, unless somebody else has. It is made where it is missing and may be made.
pub(crate) fn file(path: &Path, make: bool) -> Result<Attempt> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).truncate(false).mode(0o600);
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    attempt(path, Mode::Exclusive, &options)
}

fn attempt(path: &Path, mode: Mode, options: &OpenOptions) -> Result<Attempt> {
    loop {
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Missing),
            opened => opened.map_err(Error::io("open", path))?,
        };
        let locked = match mode {
            Mode::Shared => file.try_lock_shared(),
            Mode::Exclusive => file.try_lock(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
        let held = Held { file, path: path.to_owned() };
        if is_linked(&held)? {
            return Ok(Attempt::Held(held));
        }
    }
}

/// Locks a directory that is never renamed or removed, and waits for it. For what takes a moment.
pub(crate) fn wait(path: &Path, mode: Mode) -> Result<Held> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    loop {
        let locked = match mode {
            Mode::Shared => file.lock_shared(),
            Mode::Exclusive => file.lock(),
        };
        match locked {
            Ok(()) => return Ok(Held { file, path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("lock", path)(error)),
        }
    }
}

/// Sleeps before the next look.
pub(crate) fn pause() {
    std::thread::sleep(POLL);
}

/// Whether the path still names what was opened by it.
fn is_linked(held: &Held) -> Result<bool> {
    let here = held.file.metadata().map_err(Error::io("look at", &held.path))?;
    let there = look(&held.path)?;
    Ok(there.is_some_and(|there| (here.dev(), here.ino()) == (there.dev(), there.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn held(attempt: Result<Attempt>) -> Held {
        match attempt {
            Ok(Attempt::Held(held)) => held,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lock_follows_its_directory_and_frees_the_name() {
        let scratch = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| scratch.path().join(name));
        assert!(matches!(directory(&from, Mode::Exclusive), Ok(Attempt::Missing)));
        fs::create_dir(&from).unwrap();
        let mut first = held(directory(&from, Mode::Exclusive));
        assert!(matches!(directory(&from, Mode::Shared), Ok(Attempt::Busy)));
        fs::rename(&from, &to).unwrap();
        first.moved(to.clone());
        assert!(matches!(directory(&to, Mode::Exclusive), Ok(Attempt::Busy)));
        assert!(matches!(directory(&from, Mode::Exclusive), Ok(Attempt::Missing)));
        fs::create_dir(&from).unwrap();
        let second = held(directory(&from, Mode::Exclusive));
        assert!(is_linked(&first).unwrap() && is_linked(&second).unwrap());
        drop(first);
        let _shared = [held(directory(&to, Mode::Shared)), held(directory(&to, Mode::Shared))];
        assert!(matches!(directory(&to, Mode::Exclusive), Ok(Attempt::Busy)));
    }

    #[test]
    fn a_lock_of_what_lost_its_name_does_not_count() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("path");
        let begin = std::sync::Barrier::new(2);
        // Both take the directory away from its name and make it anew; who holds it has the one that has the name.
        let work = |gone: PathBuf| {
            begin.wait();
            for _ in 0..1000 {
                match directory(&path, Mode::Exclusive).unwrap() {
                    Attempt::Held(held) => {
                        let inode =
                            |metadata: io::Result<fs::Metadata>| metadata.map(|metadata| metadata.ino()).unwrap();
                        assert_eq!(inode(held.file().metadata()), inode(path.metadata()));
                        fs::rename(&path, &gone).unwrap();
                        fs::remove_dir(&gone).unwrap();
                    }
                    Attempt::Busy => std::thread::yield_now(),
                    Attempt::Missing => drop(fs::create_dir(&path)),
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| work(scratch.path().join("one")));
            scope.spawn(|| work(scratch.path().join("two")));
        });
    }

    #[test]
    fn links_are_not_followed_and_files_are_not_directories() {
        let scratch = tempfile::tempdir().unwrap();
        let [link, plain] = ["link", "plain"].map(|name| scratch.path().join(name));
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        fs::write(&plain, "").unwrap();
        for path in [&link, &plain] {
            let error = directory(path, Mode::Exclusive).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        assert!(file(&link, true).is_err());
        assert!(matches!(file(&scratch.path().join("none"), false), Ok(Attempt::Missing)));
        drop(held(file(&scratch.path().join("none"), true)));
    }
}
