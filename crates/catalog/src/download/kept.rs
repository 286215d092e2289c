//! What is kept of downloads, and how it goes.

use std::fs::{self, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use banger_oci::{Algorithm, Digest};

use super::Downloads;
use crate::error::{Error, Result};
use crate::file::{self, PARTIAL};

/// The unit of `st_blocks`, whatever the file system's blocks are (stat(3type)).
const STAT_BLOCK: u64 = 512;

/// A file that was downloaded, all of it or a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The digest of the whole file.
    pub sha256: Digest,
    /// Whether it is complete.
    pub complete: bool,
    /// Bytes that it takes up on the disk.
    pub size: u64,
    /// When something was last written to it.
    pub modified: Option<SystemTime>,
    /// Whether somebody uses it, or downloads it.
    pub in_use: bool,
    path: PathBuf,
}

impl Downloads {
    /// What is kept, by digest. Other files in the directory are passed over.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn kept(&self) -> Result<Vec<Kept>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("read", &self.directory))?,
        };
        let mut kept = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &self.directory))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let (hex, complete) = name.strip_suffix(PARTIAL).map_or((name, true), |hex| (hex, false));
            let Ok(sha256) = format!("{}:{hex}", Algorithm::Sha256).parse() else { continue };
            let path = entry.path();
            // It may go while this looks at it.
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_file() {
                let size = metadata.blocks().saturating_mul(STAT_BLOCK);
                let in_use = is_in_use(&path)?;
                let modified = metadata.modified().ok();
                kept.push(Kept { sha256, complete, size, modified, in_use, path });
            }
        }
        kept.sort_by_key(|kept| (kept.sha256, kept.complete));
        Ok(kept)
    }

    /// Removes a file, unless it is in use. Whether it went.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, kept: &Kept) -> Result<bool> {
        let Some((held, _)) = file::open_if_there(&kept.path)? else { return Ok(false) };
        match held.try_lock() {
            Ok(()) if file::is_named(&held, &kept.path)? => file::remove(&kept.path),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &kept.path)(error)),
        }
    }
}

/// Whether somebody has locked a file. To find out, it is locked for a moment.
fn is_in_use(path: &Path) -> Result<bool> {
    let Some((held, _)) = file::open_if_there(path)? else { return Ok(false) };
    match held.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}
