//! Opening a cache: its directory is a layout already, or becomes one.
//!
//! The marker comes first, in one step, so that a directory either has it or is still as good as empty. All that comes
//! after it is made again where it is missing.

use super::files::{make_directory, open, replace, shown};
use super::{ALGORITHMS, Cache, INGEST, names};
use crate::blob::read_limited;
use crate::error::{Error, Result};
use crate::layout::{MARKER, NEW_MARKER, check_marker};
use crate::limits::LAYOUT_MARKER_BYTES;
use std::ffi::OsStr;
use std::path::Path;

/// What a directory may hold that is to become a cache: what a process leaves that was killed before it wrote the
/// marker, and what every new ext4 file system has.
const AS_GOOD_AS_EMPTY: [&str; 2] = [INGEST, "lost+found"];

impl Cache {
    /// Opens the cache in a directory, which is made if it is not there. Any image layout can serve as a cache.
    ///
    /// # Errors
    /// Something else is in its place: a file, a directory of other things, a layout of another version. Or what is
    /// missing cannot be made.
    pub fn open(directory: &Path) -> Result<Self> {
        let cache = Cache { path: directory.into() };
        make_directory(directory)?;
        if !cache.is_marked()? {
            refuse_other_things(directory)?;
            make_directory(&cache.ingest_directory())?;
            let _lock = cache.lock_index()?;
            if !cache.is_marked()? {
                let temporary = cache.ingest_directory().join(MARKER);
                replace(&cache.marker(), &temporary, NEW_MARKER.as_bytes())?;
            }
        }
        make_directory(&cache.ingest_directory())?;
        for algorithm in ALGORITHMS {
            make_directory(&cache.blobs_of(algorithm))?;
        }
        if !cache.index().exists() {
            let _lock = cache.lock_index()?;
            if !cache.index().exists() {
                cache.write_names(&names::Names::default())?;
            }
        }
        Ok(cache)
    }

    /// Whether the marker is there and says what it should.
    fn is_marked(&self) -> Result<bool> {
        let path = self.marker();
        let Some((file, metadata)) = open(&path)? else { return Ok(false) };
        let what = shown(&path);
        let bytes = read_limited(file, LAYOUT_MARKER_BYTES, &what)?.ok_or_else(|| Error::Limit {
            what: what.clone(),
            actual: metadata.len(),
            limit: LAYOUT_MARKER_BYTES,
            unit: "bytes",
        })?;
        check_marker(&bytes, &what)?;
        Ok(true)
    }
}

/// A directory that is used for something else must not become a cache by a slip.
fn refuse_other_things(directory: &Path) -> Result<()> {
    let io = || Error::io("read", shown(directory));
    for entry in directory.read_dir().map_err(io())? {
        let name = entry.map_err(io())?.file_name();
        // Another process may have made a cache of it in this moment.
        if !AS_GOOD_AS_EMPTY.iter().any(|expected| name == OsStr::new(expected)) && !directory.join(MARKER).exists() {
            let reason = format!(
                "it cannot become an image layout, because it has other content ({:?}) and no file {MARKER}",
                name.to_string_lossy()
            );
            return Err(Error::unsupported(shown(directory), reason));
        }
    }
    Ok(())
}
