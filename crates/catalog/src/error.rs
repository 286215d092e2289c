//! What can go wrong with catalogs, downloads and bundles.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;
use banger_layers::decompress::DecompressError;
use banger_layers::path::Shown;
use banger_layers::tar::TarError;
use banger_oci::Mismatch;

use crate::fetch::FetchError;
use crate::lookup::NotFound;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate; its chain of sources ends at the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is none.
    #[error("{name:?} is not a name: lower case letters, digits and '.', '_', '-' are, up to 127 of them")]
    Name {
        /// What was given as a name.
        name: String,
    },
    /// A setting, or something said with the request, cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// The setting, or the catalog that it is about.
        what: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No catalog offers it.
    #[error(transparent)]
    NotFound(Box<NotFound>),
    /// A document is not what it should be.
    #[error("{what}: {reason}")]
    Malformed {
        /// The document, and the entry of it.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A document is no JSON, or has other fields than it should.
    #[error("{what} cannot be read")]
    Json {
        /// The document.
        what: String,
        /// Why not, and where.
        source: serde_json::Error,
    },
    /// Something is larger than it may be.
    #[error("{what} has more than {limit} {unit}")]
    Limit {
        /// What.
        what: String,
        /// The limit.
        limit: u64,
        /// Of what there are so many.
        unit: &'static str,
    },
    /// A catalog is not signed as it must be.
    #[error("the catalog {catalog} is not to be trusted: {reason}")]
    Signature {
        /// The catalog.
        catalog: String,
        /// What is wrong with the signature.
        reason: String,
    },
    /// A file could not be had from a server.
    #[error("cannot fetch {url}")]
    Fetch {
        /// The file.
        url: String,
        /// Why not.
        source: FetchError,
    },
    /// A file breaks off again and again while it is sent.
    #[error("{url} breaks off again and again, the last time after {received} bytes")]
    BrokenOff {
        /// The file.
        url: String,
        /// Bytes that are here, and are kept.
        received: u64,
        /// How the last attempt ended.
        source: io::Error,
    },
    /// A server's answer makes no sense.
    #[error("the answer to a request for {url} cannot be used: {reason}")]
    Protocol {
        /// The file.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not what was promised.
    #[error("{what} is not what it should be")]
    Integrity {
        /// The file.
        what: String,
        /// The difference.
        source: Mismatch,
    },
    /// A bundle does not decompress.
    #[error("the bundle cannot be read")]
    Decompress(#[source] DecompressError),
    /// A bundle is no archive that can be read.
    #[error("the bundle cannot be read")]
    Archive(#[source] TarError),
    /// A bundle has something in it that no bundle has.
    #[error("the bundle has {what} in it, {}, which does not belong there", Shown::new(path))]
    Foreign {
        /// What it is: a file, a symbolic link, and so on.
        what: &'static str,
        /// Its name in the archive.
        path: Vec<u8>,
    },
    /// A bundle lacks something.
    #[error("the bundle has no {what}")]
    Incomplete {
        /// The name of what is not there.
        what: &'static str,
    },
    /// Something follows the end of a bundle's archive.
    #[error("something follows the end of the bundle's archive, at byte {offset} of it")]
    Trailing {
        /// Where the first such byte is.
        offset: u64,
    },
    /// A file changed while it was read.
    #[error("{what} changed while it was read")]
    Changed {
        /// The file.
        what: String,
    },
    /// A system call failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The action: "open", "read", ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The caller did not want to go on.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } | Self::Setting { .. } => ErrorKind::Usage,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Malformed { .. }
            | Self::Json { .. }
            | Self::Limit { .. }
            | Self::Signature { .. }
            | Self::Integrity { .. }
            | Self::Archive(_)
            | Self::Foreign { .. }
            | Self::Incomplete { .. }
            | Self::Trailing { .. } => ErrorKind::Integrity,
            Self::Decompress(DecompressError::Read { source, .. }) => source.into(),
            Self::Decompress(_) => ErrorKind::Integrity,
            Self::Fetch { source, .. } => source.kind,
            Self::BrokenOff { .. } | Self::Protocol { .. } => ErrorKind::Network,
            Self::Changed { .. } => ErrorKind::Conflict,
            Self::Io { source, .. } => source.into(),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
