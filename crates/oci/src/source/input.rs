//! Opening the file of an archive so that it can be read at offsets.
//!
//! A regular file that is not compressed is read where it lies. Everything else (a pipe, a compressed file) is
//! copied, unpacked, to a temporary file that has no name and is gone when the last reader is.

use super::{Input, OpenOptions};
use crate::error::{Error, Result};
use crate::limits::{SPOOL_BYTES, ZSTD_WINDOW_LOG};
use crate::media_type::Compression;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes read or written at once.
const PIECE: usize = 1 << 20;
/// Bytes that tell every compression, also those that cannot be read.
const MAGIC_BYTES: usize = 6;

/// An input, opened, and where in it the archive begins if it can be read at offsets.
pub(crate) struct Opened {
    pub(crate) file: File,
    /// Offset of the next byte and bytes from there on, for a regular file.
    pub(crate) regular: Option<(u64, u64)>,
}

/// Opens a file or the standard input.
pub(crate) fn open(input: &Input, name: &str) -> Result<Opened> {
    let mut file = match input {
        Input::Path(path) => File::open(path).map_err(Error::io("open", path.display().to_string()))?,
        // A handle of our own to the same open file, which goes around the library's buffer.
        Input::Stdin => io::stdin().as_fd().try_clone_to_owned().map_err(Error::io("open", name))?.into(),
    };
    let metadata = file.metadata().map_err(Error::io("look at", name))?;
    if metadata.is_dir() {
        return Err(Error::unsupported(name, "it is a directory; a layout in a directory is named as oci:DIR"));
    }
    let regular = if metadata.is_file() {
        let position = file.stream_position().map_err(Error::io("look at", name))?;
        Some((position, metadata.len().saturating_sub(position)))
    } else {
        None
    };
    Ok(Opened { file, regular })
}

/// Opens an archive so that its bytes, not compressed, can be read at offsets from 0 on.
pub(crate) fn seekable(input: &Input, name: &str, options: &OpenOptions) -> Result<Arc<File>> {
    let Opened { file, regular } = open(input, name)?;
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    (&file).take(MAGIC_BYTES as u64).read_to_end(&mut head).map_err(Error::io("read", name))?;
    if head.is_empty() {
        return Err(Error::malformed(name, "it is empty"));
    }
    refuse_unknown_compression(&head, name)?;
    let compression = Compression::detect(&head);
    if compression == Compression::None && regular.is_some_and(|(position, _)| position == 0) {
        return Ok(Arc::new(file));
    }

    let raw = BufReader::with_capacity(PIECE, io::Cursor::new(head).chain(file));
    let directory = options.temporary.clone().unwrap_or_else(temporary_directory);
    let spool = unnamed_file(&directory)?;
    match compression {
        Compression::None => copy(raw, &spool, name, &directory, SPOOL_BYTES)?,
        Compression::Gzip => copy(flate2::bufread::MultiGzDecoder::new(raw), &spool, name, &directory, SPOOL_BYTES)?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(Error::io("read", name))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::io("read", name))?;
            copy(decoder, &spool, name, &directory, SPOOL_BYTES)?;
        }
    }
    Ok(Arc::new(spool))
}

fn refuse_unknown_compression(head: &[u8], name: &str) -> Result<()> {
    let (program, option) = match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "xz -dc"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ("bzip2", "bzip2 -dc"),
        _ => return Ok(()),
    };
    Err(Error::unsupported(name, format!("it is compressed with {program}; unpack it first, with `{option}`")))
}

/// Copies an archive into the temporary file, at most so many bytes.
fn copy(mut from: impl Read, to: &File, name: &str, directory: &Path, limit: u64) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut to = to;
    let mut copied = 0u64;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // What comes from the system has a number; what the decoders say has none.
            Err(error) if error.raw_os_error().is_some() => return Err(Error::io("read", name)(error)),
            Err(error) => return Err(Error::malformed(name, format!("cannot be decompressed: {error}"))),
        };
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else { return Ok(()) };
        copied = copied.saturating_add(count as u64);
        if copied > limit {
            return Err(Error::Limit { what: name.to_owned(), actual: copied, limit, unit: "bytes" });
        }
        to.write_all(piece).map_err(Error::io("write", format!("a temporary file in {}", directory.display())))?;
    }
}

fn temporary_directory() -> PathBuf {
    const LARGE: &str = "/var/tmp";
    match std::env::var_os("TMPDIR") {
        Some(directory) if !directory.is_empty() => directory.into(),
        _ if Path::new(LARGE).is_dir() => LARGE.into(),
        _ => std::env::temp_dir(),
    }
}

/// Creates a file that has no name, so that nothing is left of it however the process ends.
fn unnamed_file(directory: &Path) -> Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system can. Older kernels take the flag for another one and say it is a directory.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => named_and_removed(directory),
        Err(error) => Err(could_not_create(directory)(error.into())),
    }
}

fn named_and_removed(directory: &Path) -> Result<File> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".banger-{}-{number}", std::process::id()));
        let created = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match created {
            Ok(file) => {
                std::fs::remove_file(&path).map_err(could_not_create(directory))?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(could_not_create(directory)(error)),
        }
    }
}

fn could_not_create(directory: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io("create", format!("a temporary file in {}", directory.display()))
}

/// Reads as much as there is at an offset, at most so many bytes.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_have_no_name() {
        let directory = tempfile::tempdir().expect("a directory");
        for create in [unnamed_file, named_and_removed] {
            let mut file = create(directory.path()).expect("created");
            file.write_all(b"content").expect("written");
            let mut read = [0; 7];
            assert_eq!(read_up_to(&file, &mut read, 0).expect("read"), 7);
            assert_eq!(&read, b"content");
            assert_eq!(directory.path().read_dir().expect("listed").count(), 0);
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let file = tempfile::tempfile().expect("a file");
        let error = copy(io::repeat(0), &file, "the bomb", Path::new("/"), 10 << 20).expect_err("endless");
        assert!(matches!(error, Error::Limit { actual: 11_534_336, limit: 10_485_760, .. }), "{error}");
        assert_eq!(file.metadata().expect("metadata").len(), 10 << 20);
    }

    #[test]
    fn a_temporary_directory_that_does_not_exist_is_named() {
        let error = unnamed_file(Path::new("/nonexistent/x")).expect_err("missing").to_string();
        assert_eq!(error, "cannot create a temporary file in /nonexistent/x");
    }
}
