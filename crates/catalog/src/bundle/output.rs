//! The file of a bundle while it is written: nobody sees it before it is complete, and its name is made of its digest.
//!
//! It is written without a name (open(2), `O_TMPFILE`), so that a kill leaves nothing. Where a file system knows no such files, a hidden
//! one stands in.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use banger_oci::{Algorithm, Digest, Verifier};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::file;

pub(super) struct Output {
    file: File,
    directory: PathBuf,
    verifier: Verifier,
    /// The name that the file has meanwhile, if it has one.
    hidden: Option<PathBuf>,
}

impl Output {
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let (file, hidden) = match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {
                let name = file::beside(&directory.join("bundle"));
                let file = rustix::fs::openat(CWD, &name, flags | OFlags::CREATE | OFlags::EXCL, mode);
                (file.map_err(io::Error::from).map_err(Error::io("create", &name))?, Some(name))
            }
            Err(error) => return Err(Error::io("create a file in", directory)(error.into())),
        };
        let verifier = Verifier::new(Algorithm::Sha256);
        Ok(Self { file: File::from(file), directory: directory.to_owned(), verifier, hidden })
    }

    /// Where the file will be, as far as that is known.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Gives the file its name, made by `name` of its digest. What has that name already is replaced: it is the same.
    pub(super) fn publish(mut self, name: impl FnOnce(&Digest) -> String) -> Result<(PathBuf, Digest, u64)> {
        self.file.sync_all().map_err(Error::io("sync a file in", &self.directory))?;
        let (digest, size) = self.verifier.clone().digest();
        let target = self.directory.join(name(&digest));
        let hidden = match self.hidden.take() {
            Some(hidden) => hidden,
            None => {
                let hidden = file::beside(&target);
                let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let linked = rustix::fs::linkat(CWD, descriptor, CWD, &hidden, AtFlags::SYMLINK_FOLLOW);
                linked.map_err(io::Error::from).map_err(Error::io("create", &hidden))?;
                hidden
            }
        };
        let renamed = std::fs::rename(&hidden, &target);
        if renamed.is_err() {
            self.hidden = Some(hidden);
        }
        renamed.map_err(Error::io("create", &target))?;
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(Error::io("sync", &self.directory))?;
        Ok((target, digest, size))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.verifier.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // The error to be told is another one.
            let _ = std::fs::remove_file(hidden);
        }
    }
}
