//! Files that catalogs offer, by their digest, in the cache.
//!
//! A file arrives in `downloads/SHA256.partial`, which whoever downloads it has locked (flock(2)), and becomes `downloads/SHA256`
//! when it is complete and right. Others who want it wait, and use it then. After a kill or a lost connection what has come is where
//! the next attempt goes on.
//!
//! Nothing is believed because of its name: who uses a file that is there already has its digest computed again. That is why
//! nothing is synced here. A file that is in use is locked, and is not removed.

mod arrival;
mod kept;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use banger_oci::Mismatch;

use self::arrival::Arrival;
pub use self::kept::Kept;
use crate::address::Place;
use crate::document::Content;
use crate::error::{Error, Result};
use crate::fetch::Fetch;
use crate::file;
use crate::watch::Watch;

/// How long who waits for somebody else sleeps before looking again.
const POLL: Duration = Duration::from_millis(50);

/// The downloads that are kept in a cache.
#[derive(Clone, Debug)]
pub struct Downloads {
    directory: PathBuf,
}

/// A file that is complete and right. It is not removed from the cache as long as this lives.
#[derive(Debug)]
pub struct Downloaded {
    file: File,
    path: PathBuf,
}

impl Downloaded {
    /// The file, to be read from its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Downloaded {
    fn drop(&mut self) {
        // Closing the file releases the lock too, but not while a child has it open that has not yet become another program.
        let _ = self.file.unlock();
    }
}

impl Downloads {
    /// Those of a cache, which need not be there yet.
    pub fn new(cache: &Path) -> Self {
        Self { directory: cache.join("downloads") }
    }

    /// Gives the file of an offer, checked: from the cache, from a server, or where it stands on this machine.
    ///
    /// # Errors
    /// It cannot be had, or is not what was promised. What has come of it is kept, unless that is wrong.
    pub fn obtain(&self, place: &Place, content: &Content, fetch: &dyn Fetch, watch: &dyn Watch) -> Result<Downloaded> {
        match place {
            Place::File(path) => local(path, content, watch),
            Place::Web(url) => {
                let url = url.to_string();
                file::make_directory(&self.directory)?;
                let path = self.directory.join(content.sha256.hex());
                self.download(&path, &url, content, fetch, watch)
            }
            Place::Builtin(name) => Err(Error::Setting {
                what: format!("builtin:{name}"),
                reason: "it is a part of the program, and no file".to_owned(),
            }),
        }
    }

    fn download(
        &self,
        path: &Path,
        url: &str,
        content: &Content,
        fetch: &dyn Fetch,
        watch: &dyn Watch,
    ) -> Result<Downloaded> {
        let partial = file::partial(path);
        let mut told = false;
        loop {
            if let Some(downloaded) = there(path, content, watch)? {
                return Ok(downloaded);
            }
            if let Some(lock) = file::lock(&partial)? {
                // It may have come between the two looks. What is left of another attempt is of no use then.
                if path.symlink_metadata().is_ok() {
                    file::remove(&partial)?;
                    continue;
                }
                let file = Arrival::new(lock, partial, url, content, watch)?.complete(path, fetch)?;
                // For a moment nobody has a lock. Who removes the file then takes nothing from us but its name.
                file.lock_shared().map_err(Error::io("lock", path))?;
                return Ok(Downloaded { file, path: path.to_owned() });
            }
            if !watch.go_on() {
                return Err(Error::Cancelled);
            }
            if !told {
                watch.shared();
                told = true;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A file of this machine that is no download: used where it stands.
fn local(path: &Path, content: &Content, watch: &dyn Watch) -> Result<Downloaded> {
    let (file, metadata) = file::open(path)?;
    let mismatch = match metadata.len() {
        size if size != content.size => Some(Mismatch::Size { expected: content.size, actual: size }),
        _ => check(&file, path, content, watch)?,
    };
    match mismatch {
        None => Ok(Downloaded { file, path: path.to_owned() }),
        Some(source) => Err(Error::Integrity { what: path.display().to_string(), source }),
    }
}

/// A file that was downloaded earlier, if it is there and right. A wrong one is removed.
fn there(path: &Path, content: &Content, watch: &dyn Watch) -> Result<Option<Downloaded>> {
    loop {
        let Some((file, _)) = file::open_if_there(path)? else { return Ok(None) };
        match file.try_lock_shared() {
            Ok(()) => {}
            // Somebody removes it, which takes no time, or has just completed it.
            Err(TryLockError::WouldBlock) => {
                if !watch.go_on() {
                    return Err(Error::Cancelled);
                }
                std::thread::sleep(POLL);
                continue;
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
        if !file::is_named(&file, path)? {
            continue;
        }
        if check(&file, path, content, watch)?.is_none() {
            return Ok(Some(Downloaded { file, path: path.to_owned() }));
        }
        file::remove(path)?;
        return Ok(None);
    }
}

fn check(file: &File, path: &Path, content: &Content, watch: &dyn Watch) -> Result<Option<Mismatch>> {
    let (digest, size) = file::digest(file, path, watch)?;
    if size != content.size {
        return Ok(Some(Mismatch::Size { expected: content.size, actual: size }));
    }
    let mismatch = || Mismatch::Digest { expected: Box::new(content.sha256), actual: Box::new(digest) };
    Ok((digest != content.sha256).then(mismatch))
}
