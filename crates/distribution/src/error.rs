//! What can go wrong when an image goes to a registry, or is found in one.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;

/// Why an image could not be made ready, sent or recognised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the host could not be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that is meant to be an archive is none.
    #[error("{} is not an archive compressed with zstd, or is damaged", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// An artifact of a later version of the format.
    #[error("{artifact_type:?} was made by a newer banger; this one knows {known:?}")]
    Newer {
        /// What it calls itself.
        artifact_type: String,
        /// What is known here.
        known: &'static str,
    },
    /// A copy of an artifact that does not say any more what it is.
    #[error("it is a copy of a finished image, and the copy has lost its type")]
    Altered,
    /// An artifact that is not as the format has it.
    #[error("the artifact is not as its type has it: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// Documents that cannot be written.
    #[error("cannot write the documents of the image")]
    Document {
        /// Why not.
        source: serde_json::Error,
    },
    /// The disk could not be written.
    #[error(transparent)]
    Disk(#[from] banger_disk::Error),
    /// A registry failed, or does not want it.
    #[error(transparent)]
    Registry(#[from] banger_registry::Error),
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
            Self::Io { source, .. } => source.into(),
            Self::Archive { .. } | Self::Newer { .. } | Self::Malformed { .. } => ErrorKind::Integrity,
            Self::Altered => ErrorKind::Unsupported,
            Self::Document { .. } => ErrorKind::Other,
            Self::Disk(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }
}
