//! Why there are no settings.

use std::io;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;

/// Why there are no settings, or no place for something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not UTF-8.
    #[error("{}:1:1: the file is not UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Where.
        source: std::str::Utf8Error,
    },
    /// The file says something that cannot be understood.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, as editors count.
        line: usize,
        /// Where, as editors count.
        column: usize,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// There is no place for something.
    #[error("there is no place for {what}: neither {variable} nor HOME is set")]
    NoPlace {
        /// For what.
        what: &'static str,
        /// The variable that would name one.
        variable: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

impl Error {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            // Whatever else there is about a file that is only read, no disk is full.
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::Read { .. } => ErrorKind::Other,
            Self::Encoding { .. } | Self::Content { .. } | Self::NoPlace { .. } => ErrorKind::Usage,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Content { hint, .. } => hint.as_deref(),
            Self::NoPlace { hint, .. } => Some(hint),
            Self::Read { .. } | Self::Encoding { .. } => None,
        }
    }

    /// Adds what to do, where there is a place for it.
    pub(crate) fn with_hint(mut self, text: String) -> Self {
        if let Self::Content { hint, .. } = &mut self {
            *hint = Some(text);
        }
        self
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}
