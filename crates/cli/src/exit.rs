//! The exit codes that scripts may rely on.

use std::process::ExitCode;

use banger_api::ErrorKind;

/// What the process says about how it ended, besides success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// None of the others.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something that was named is not there.
    NotFound = 3,
    /// A registry wants to know who asks, or does not allow it.
    Unauthorized = 4,
    /// The network, or the server at its other end, failed.
    Network = 5,
    /// The input is malformed, or not what its digest says.
    Integrity = 6,
    /// The disk is full, or the size asked for is too small.
    NoSpace = 7,
}

impl Exit {
    /// The sort of failure, as programs are told it.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Other => ErrorKind::Other,
            Self::Usage => ErrorKind::Usage,
            Self::NotFound => ErrorKind::NotFound,
            Self::Unauthorized => ErrorKind::Unauthorized,
            Self::Network => ErrorKind::Network,
            Self::Integrity => ErrorKind::Integrity,
            Self::NoSpace => ErrorKind::NoSpace,
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::Network => Self::Network,
            ErrorKind::Integrity => Self::Integrity,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Conflict | ErrorKind::Unsupported | ErrorKind::Cancelled | ErrorKind::Other => Self::Other,
        }
    }
}

impl From<&banger_oci::Error> for Exit {
    fn from(error: &banger_oci::Error) -> Self {
        error.kind().into()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
