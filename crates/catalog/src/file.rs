//! Files: opened, locked and replaced so that every error names the path.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use banger_oci::{Algorithm, Digest, Verifier};
use rustix::fs::OFlags;

use crate::error::{Error, Result};
use crate::watch::Watch;

/// Bytes that are read and hashed at once.
pub(crate) const PIECE: usize = 1 << 20;

/// What the name of a file that is not complete ends with.
pub(crate) const PARTIAL: &str = ".partial";

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> Result<(File, Metadata)> {
    // Otherwise opening a FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file = file.map_err(Error::io("open", path))?;
    let metadata = file.metadata().map_err(Error::io("look at", path))?;
    if !metadata.is_file() {
        return Err(Error::malformed(path.display().to_string(), "it is not a regular file"));
    }
    Ok((file, metadata))
}

/// As [`open`], but none where there is no such file.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<(File, Metadata)>> {
    match open(path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Opens a file to write to, and locks it. None when somebody else has locked it.
///
/// Such files are renamed and removed while others wait for them: a lock counts if the file that was locked still has the name
/// that it was opened by.
pub(crate) fn lock(path: &Path) -> Result<Option<File>> {
    loop {
        // Never through a link to somewhere else: what is opened here is written to, and shortened.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path);
        let file = file.map_err(Error::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
        }
        if is_named(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// Whether a path names this file, still.
pub(crate) fn is_named(file: &File, path: &Path) -> Result<bool> {
    let here = file.metadata().map_err(Error::io("look at", path))?;
    match path.symlink_metadata() {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// Removes a file. Whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", path)(error)),
    }
}

/// Makes a directory, and those above it.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io("create", path))
}

/// Puts a small file in its place, where the old one stands until the new one is complete. Nothing happens while somebody else does
/// the same. What a kill leaves behind is where the next one begins.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = partial(path);
    let Some(mut file) = lock(&temporary)? else { return Ok(()) };
    let written = file.set_len(0).and_then(|()| file.write_all(content)).map_err(Error::io("write", &temporary));
    let placed = written.and_then(|()| fs::rename(&temporary, path).map_err(Error::io("create", path)));
    if placed.is_err() {
        // The error to be told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    placed
}

/// Where a file is while it is not complete.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}

/// A hidden name beside a file that nobody else has: not in this process, and not in another that runs.
pub(crate) fn beside(path: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".banger-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

/// Reads all of something that has `limit` bytes at most. None when it has more.
pub(crate) fn read_limited(source: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Passes on what is in a file, from `start` to `end` or to its own end.
pub(crate) fn read_pieces(
    file: &File,
    path: &Path,
    (start, end): (u64, u64),
    watch: &dyn Watch,
    mut piece: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut offset = start;
    while offset < end {
        if !watch.go_on() {
            return Err(Error::Cancelled);
        }
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(PIECE).min(PIECE);
        let Some(room) = buffer.get_mut(..length) else { break };
        match file.read_at(room, offset) {
            Ok(0) => break,
            Ok(count) => {
                piece(offset, room.get(..count).unwrap_or_default())?;
                offset = offset.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path)(error)),
        }
    }
    Ok(())
}

/// Computes digest and length of a file.
pub(crate) fn digest(file: &File, path: &Path, watch: &dyn Watch) -> Result<(Digest, u64)> {
    let mut verifier = Verifier::new(Algorithm::Sha256);
    read_pieces(file, path, (0, u64::MAX), watch, |_, piece| {
        verifier.update(piece);
        Ok(())
    })?;
    Ok(verifier.digest())
}
