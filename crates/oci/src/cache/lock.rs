//! Locks between processes and between threads alike (flock(2)): they belong to an open file, and end with it.
//!
//! Some lock files are renamed or removed while others wait for them. So a lock counts only if the file that was
//! locked still has the name it was opened by; otherwise it is opened and locked anew.

use super::Cache;
use super::files::{regular, remove, shown};
use crate::digest::Digest;
use crate::error::{Error, Result};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long who waits for a blob sleeps before looking again.
const POLL: Duration = Duration::from_millis(20);

/// A lock, held as long as this lives.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Guard {
    file: File,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Closing the file releases the lock too, but not while a child has it open that has not yet become another program.
        let _ = self.file.unlock();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

impl Cache {
    /// Keeps what is in the cache from being removed while this is held, but for blobs that turn out to be damaged.
    /// To be held from before the first look at an image's blobs until they have been read, or the image has a name.
    ///
    /// Waits while somebody removes something.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn lock_shared(&self) -> Result<Guard> {
        wait_for(&self.lock_path(), Mode::Shared)
    }

    /// Keeps others from using the cache while this is held, unless they only look at it. When it is in use, `waiting` is
    /// called, once, and it is waited for.
    ///
    /// # Errors
    /// The lock's file cannot be opened or locked.
    pub fn lock_exclusive(&self, waiting: &mut dyn FnMut()) -> Result<Guard> {
        if let Some(file) = attempt(&self.lock_path(), Mode::Exclusive, true)? {
            return Ok(Guard { file });
        }
        waiting();
        wait_for(&self.lock_path(), Mode::Exclusive)
    }

    /// Held while `index.json` is replaced.
    pub(super) fn lock_index(&self) -> Result<Guard> {
        wait_for(&self.index_lock_path(), Mode::Exclusive)
    }

    /// Locks a blob, if nobody else has.
    pub(super) fn try_lock_blob(&self, digest: &Digest) -> Result<Option<BlobLock>> {
        let path = self.partial_path(digest);
        let held = attempt(&path, Mode::Exclusive, true)?;
        Ok(held.map(|file| BlobLock { file: Arc::new(file), path }))
    }

    /// Locks a blob of which something is left in `ingest`, if that is so and nobody else has. What is left stays.
    pub(super) fn try_lock_partial(&self, digest: &Digest) -> Result<Option<Guard>> {
        let held = attempt(&self.partial_path(digest), Mode::Exclusive, false)?;
        Ok(held.map(|file| Guard { file }))
    }
}

/// Sleeps before the next look.
pub(super) fn pause() {
    std::thread::sleep(POLL);
}

/// The lock of a blob: its file in `ingest`, which is also where its content is written to.
#[derive(Debug)]
pub(super) struct BlobLock {
    file: Arc<File>,
    path: PathBuf,
}

impl BlobLock {
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless it has become something else.
    pub(super) fn remove(&self) -> Result<bool> {
        // Nobody else removes or replaces it while it is locked.
        if is_linked(&self.file, &self.path)? { remove(&self.path) } else { Ok(false) }
    }
}

impl Drop for BlobLock {
    fn drop(&mut self) {
        // A file that was made for its lock alone is of no use to anybody. Where it cannot be removed, prune will.
        if self.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = self.remove();
        }
        // Readers may keep the file open for long, and with it the lock.
        let _ = self.file.unlock();
    }
}

/// Locks a file, unless somebody else has. `None` then, and when it is not there and is not to be made.
fn attempt(path: &Path, mode: Mode, create: bool) -> Result<Option<File>> {
    loop {
        let file = match open(path, mode, create) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(None),
            opened => opened.map_err(Error::io("open", shown(path)))?,
        };
        regular(&file, path)?;
        let locked = match mode {
            Mode::Shared => file.try_lock_shared(),
            Mode::Exclusive => file.try_lock(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", shown(path))(error)),
        }
        if is_linked(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// Locks a file, and waits for it.
fn wait_for(path: &Path, mode: Mode) -> Result<Guard> {
    loop {
        let file = open(path, mode, true).map_err(Error::io("open", shown(path)))?;
        regular(&file, path)?;
        let locked = match mode {
            Mode::Shared => file.lock_shared(),
            Mode::Exclusive => file.lock(),
        };
        match locked {
            Ok(()) if is_linked(&file, path)? => return Ok(Guard { file }),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("lock", shown(path))(error)),
        }
    }
}

fn open(path: &Path, mode: Mode, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Never through a link to somewhere else: what is opened here is written to, and shortened.
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    match options.clone().write(true).create(create).truncate(false).open(path) {
        // A cache that cannot be written to can be used all the same.
        Err(error) if mode == Mode::Shared && is_refusal(&error) => options.open(path),
        opened => opened,
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether a path still names the file that was opened by it.
fn is_linked(file: &File, path: &Path) -> Result<bool> {
    let here = regular(file, path)?;
    match path.symlink_metadata() {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", shown(path))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let scratch = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&scratch.path().join("cache")).expect("opened");
        (scratch, cache)
    }

    #[test]
    fn a_lock_of_a_file_that_lost_its_name_does_not_count() {
        let (_scratch, cache) = cache();
        let digest = Digest::sha256(b"x");
        let path = cache.partial_path(&digest);
        let first = cache.try_lock_blob(&digest).expect("no error").expect("free");
        assert!(cache.try_lock_blob(&digest).expect("no error").is_none());

        // As when the blob is published: the name is free again, the file is still locked.
        std::fs::rename(&path, path.with_extension("published")).expect("renamed");
        let second = cache.try_lock_blob(&digest).expect("no error").expect("another file");
        drop(first);
        assert!(is_linked(&second.file, &path).expect("no error"));
        assert!(cache.try_lock_blob(&digest).expect("no error").is_none());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn who_waits_for_a_lock_gets_the_file_that_has_the_name() {
        let (_scratch, cache) = cache();
        let path = cache.index_lock_path();
        for _ in 0..20 {
            let held = cache.lock_index().expect("locked");
            let waiter = std::thread::spawn({
                let (cache, path) = (cache.clone(), path.clone());
                move || {
                    let guard = cache.lock_index().expect("locked");
                    let inode = |metadata: io::Result<std::fs::Metadata>| metadata.expect("there").ino();
                    inode(guard.file.metadata()) == inode(path.metadata())
                }
            });
            std::thread::sleep(Duration::from_millis(2));
            remove(&path).expect("removed");
            drop(held);
            assert!(waiter.join().expect("no panic"));
        }
    }

    #[test]
    fn a_lock_ends_though_a_reader_has_the_file() {
        let (_scratch, cache) = cache();
        let digest = Digest::sha256(b"x");
        let lock = cache.try_lock_blob(&digest).expect("no error").expect("free");
        lock.file().set_len(1).expect("written");
        let reader = Arc::clone(lock.file());
        drop(lock);
        assert!(cache.try_lock_blob(&digest).expect("no error").is_some());
        drop(reader);
    }

    #[test]
    fn a_link_in_the_place_of_a_lock_is_not_followed() {
        let (scratch, cache) = cache();
        let digest = Digest::sha256(b"x");
        std::os::unix::fs::symlink(scratch.path().join("elsewhere"), cache.partial_path(&digest)).expect("linked");
        let error = cache.try_lock_blob(&digest).expect_err("a link");
        assert!(error.to_string().contains(&digest.hex()), "{error}");
        assert!(!scratch.path().join("elsewhere").exists());
    }

    #[test]
    fn shared_locks_do_not_exclude_each_other_and_exclusive_ones_wait() {
        let (_scratch, cache) = cache();
        let one = cache.lock_shared().expect("locked");
        let two = cache.lock_shared().expect("locked");
        let (told, tell) = std::sync::mpsc::channel();
        let exclusive = std::thread::spawn({
            let cache = cache.clone();
            move || drop(cache.lock_exclusive(&mut || told.send(()).expect("heard")).expect("locked"))
        });
        tell.recv().expect("it says that it waits");
        drop(one);
        pause();
        assert!(!exclusive.is_finished());
        drop(two);
        exclusive.join().expect("no panic");
        assert!(tell.try_recv().is_err(), "it said so once");
    }
}
