//! A file whose name is made of its content: it has none before it is complete.
//!
//! It is written without a name (`O_TMPFILE`), so that nothing is left of it when its writer is killed. A file system that knows no
//! such files (NFS, FUSE, 9p) gets a hidden one, which is removed if anything fails; there a kill leaves it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::triple::{hex, sha256};

/// A file that is being written.
pub(crate) struct Output {
    file: File,
    directory: PathBuf,
    hidden: Option<PathBuf>,
    digest: Sha256,
    size: u64,
}

impl Output {
    /// Begins a file in a directory.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let (file, hidden) = match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {
                static NUMBER: AtomicU64 = AtomicU64::new(0);
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                // Left by a process of this number, if it is there: nobody else has it.
                let hidden = directory.join(format!(".banger-kernel-{}-{number}", std::process::id()));
                let file = rustix::fs::openat(CWD, &hidden, flags | OFlags::CREATE | OFlags::TRUNC, mode);
                (file.map_err(|error| Error::io("create", &hidden)(error.into()))?, Some(hidden))
            }
            Err(error) => return Err(Error::io("create a file in", directory)(error.into())),
        };
        let directory = directory.to_owned();
        Ok(Self { file: File::from(file), directory, hidden, digest: Sha256::new(), size: 0 })
    }

    /// Gives it a name, made of its digest, when all of it is on the disk. Says its digest and size too. A file that has the name
    /// already must be the same.
    pub(crate) fn publish(mut self, name: impl FnOnce(&str) -> String) -> Result<(PathBuf, String, u64)> {
        let digest = hex(&std::mem::take(&mut self.digest).finalize());
        let target = self.directory.join(name(&digest));
        self.file.sync_all().map_err(Error::io("sync", &target))?;
        let linked = match &self.hidden {
            None => {
                let descriptor = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, descriptor, CWD, &target, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
            }
            Some(hidden) => std::fs::hard_link(hidden, &target),
        };
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if sha256(&target, &())? != digest {
                    return Err(Error::Exists { path: target });
                }
            }
            linked => linked.map_err(Error::io("create", &target))?,
        }
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::io("sync", &self.directory))?;
        Ok((target, digest, self.size))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digest.update(bytes.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // It has its name by now, or is of no use.
            let _ = std::fs::remove_file(hidden);
        }
    }
}
