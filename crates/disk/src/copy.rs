//! Another file with the same bytes, at the least cost: shared blocks where the file system can do that, else a copy of the data
//! that leaves holes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::limits::{PIECE_BYTES, READ_BYTES};
use crate::observer::{Observer, Progress};
use crate::raw::Raw;
use crate::sparse;

/// How a file was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The two files share their blocks until one of them is written (a reflink): it took no time and no space.
    Shared,
    /// So many bytes were copied. The rest are holes.
    Bytes(u64),
}

/// Copies an image to `target`, where nothing may be. When it fails, nothing is there.
///
/// The file is not synced, and its mode is that of any new file.
///
/// # Errors
/// A file cannot be read or written, or it was cancelled.
pub fn copy(source: &Path, target: &Path, observer: &dyn Observer) -> Result<Copied> {
    let source = Raw::open(source)?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(target).at("create", target)?;
    let copied = copy_into(&source, &file, target, observer);
    if copied.is_err() {
        // The error is what matters; this file was made here a moment ago.
        let _ = std::fs::remove_file(target);
    }
    copied
}

/// Copies an image into `file`, which is empty; `path` is what errors call it.
///
/// # Errors
/// As for [`copy`].
pub fn copy_into(source: &Raw, file: &File, path: &Path, observer: &dyn Observer) -> Result<Copied> {
    let mut progress = Progress::begin(observer, source.len())?;
    // Whatever it fails with, a real copy is tried: that says what is wrong, if something is.
    if rustix::fs::ioctl_ficlone(file, source.file()).is_ok() {
        // A file that has become longer since it was opened.
        file.set_len(source.len()).at("set the size of", path)?;
        progress.end();
        return Ok(Copied::Shared);
    }
    let mut bytes = 0;
    let mut at = 0;
    let mut in_kernel = true;
    for extent in source.data() {
        let extent = extent.at("find the holes of", source.path())?;
        progress.add(extent.start - at)?;
        at = extent.start;
        while at < extent.end {
            let want = (extent.end - at).min(PIECE_BYTES as u64);
            let moved = if in_kernel { in_kernel_at(source, file, path, at, want)? } else { None };
            let Some(moved) = moved else {
                in_kernel = false;
                bytes += by_hand(source, file, path, at, want)?;
                at += want;
                progress.add(want)?;
                continue;
            };
            bytes += moved;
            at += moved;
            progress.add(moved)?;
        }
    }
    file.set_len(source.len()).at("set the size of", path)?;
    progress.end();
    Ok(Copied::Bytes(bytes))
}

/// Has the kernel copy up to `len` bytes. `None` where it cannot.
fn in_kernel_at(source: &Raw, file: &File, path: &Path, at: u64, len: u64) -> Result<Option<u64>> {
    let (mut from, mut to) = (at, at);
    let len = usize::try_from(len).unwrap_or(PIECE_BYTES);
    match rustix::fs::copy_file_range(source.file(), Some(&mut from), file, Some(&mut to), len) {
        // Nothing, though there should be something: reading finds out why.
        Ok(0) => Ok(None),
        Ok(moved) => Ok(Some(moved as u64)),
        Err(Errno::INTR) => Ok(Some(0)),
        Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::TXTBSY) => Ok(None),
        Err(error) => Err(error).at("write", path),
    }
}

/// Copies `len` bytes, and leaves out blocks of zeros. Returns how many bytes were not left out.
fn by_hand(source: &Raw, file: &File, path: &Path, at: u64, len: u64) -> Result<u64> {
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(PIECE_BYTES).min(READ_BYTES)];
    let mut writer = sparse::Writer::new(file);
    writer.skip(at).at("write", path)?;
    let end = at + len;
    while writer.position() < end {
        let want = usize::try_from(end - writer.position()).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..want).unwrap_or_default();
        source.read_at(piece, writer.position())?;
        writer.write_all(piece).at("write", path)?;
    }
    Ok(writer.written())
}
