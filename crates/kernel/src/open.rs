//! Opening files that somebody names: nothing but a regular file is read, and nothing that is waited for is waited for.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{Error, Result};
use crate::find;
use crate::limits::HEAD_BYTES;

/// Opens a regular file, through links to it. Its length comes with it.
///
/// A named pipe is not waited for (`O_NONBLOCK`, which means nothing to regular files).
pub(crate) fn file(path: &Path) -> Result<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // Nobody listens on it, or it is a device without a driver.
        Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => {
            return Err(Error::NotAFile { path: path.to_owned(), kind: "a socket or a device", inside: None });
        }
        Err(error) => return Err(Error::io("open", path)(error.into())),
    };
    let metadata = file.metadata().map_err(Error::io("look at", path))?;
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok((file, metadata.len()));
    }
    let (kind, inside) = if kind.is_dir() {
        ("a directory", find::kernel(path).ok().map(|found| found.image))
    } else if kind.is_fifo() {
        ("a named pipe", None)
    } else {
        ("a device", None)
    };
    Err(Error::NotAFile { path: path.to_owned(), kind, inside })
}

/// The first bytes of a file: enough to say what it is.
pub(crate) fn head(file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let count = read_up_to(file, &mut head, 0).map_err(Error::io("read", path))?;
    head.truncate(count);
    Ok(head)
}

/// Fills the buffer from a place of a file, as far as that goes.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(count as u64)) {
            Ok(0) => break,
            Ok(read) => count = count.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
