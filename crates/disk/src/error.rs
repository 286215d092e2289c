//! What can go wrong with a disk image.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;

use crate::output;

/// Why something could not be done with a disk image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file that was to be written cannot be.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// A file of the host could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that is neither a file nor a block device was named as an image.
    #[error("{} is no disk image: it is neither a file nor a block device", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// The export would replace what it is made from.
    #[error("{} is the image itself", path.display())]
    Itself {
        /// Where the file should have appeared.
        path: PathBuf,
    },
    /// The file system in an image could not be read.
    #[error("cannot read the file system in {}", path.display())]
    FileSystem {
        /// The image.
        path: PathBuf,
        /// Why not.
        source: Box<banger_ext4::read::Error>,
    },
    /// A file in an image cannot be put into an archive.
    #[error("cannot put {} of {} into an archive: {problem}", file.escape_ascii(), path.display())]
    Unrepresentable {
        /// The image.
        path: PathBuf,
        /// The file's path in it.
        file: Vec<u8>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The holes of files would make an archive of zeros.
    #[error(
        "with \"{}\" the archive of \"{}\" would have more than {} GiB of zeros, which are holes in the image",
        file.escape_ascii(),
        path.display(),
        limit >> 30
    )]
    Holes {
        /// The image.
        path: PathBuf,
        /// The file's path in it.
        file: Vec<u8>,
        /// How many bytes may be zeros.
        limit: u64,
    },
    /// Whoever takes an archive did not take it.
    #[error("cannot write the archive of {}", path.display())]
    Archive {
        /// The image.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// More than a format can hold.
    #[error("{what} is too large: {size} bytes")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large.
        size: u64,
    },
    /// Somebody wished that it ends.
    #[error("cancelled")]
    Cancelled,
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What sort of failure it is, by its cause.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Output(error) => error.kind(),
            Self::Io { source, .. } | Self::Archive { source, .. } => source.into(),
            Self::NoFile { .. } | Self::Itself { .. } | Self::TooLarge { .. } | Self::Holes { .. } => ErrorKind::Usage,
            Self::FileSystem { source, .. } => of_file_system(source),
            Self::Unrepresentable { .. } => ErrorKind::Integrity,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

fn of_file_system(error: &banger_ext4::read::Error) -> ErrorKind {
    use banger_ext4::read::Error;
    match error {
        Error::Io { source, .. } | Error::Write { source, .. } => source.into(),
        Error::At { source, .. } => of_file_system(source),
        Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Integrity,
    }
}

/// Says what was being done to which file when a system call failed.
pub(crate) trait IoContext<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source: source.into() })
    }
}
