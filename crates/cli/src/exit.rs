//! The exit codes that scripts may rely on. 4 (not authorised) and 5 (the network) are those of registries.

use std::process::ExitCode;

use banger_rootfs::ErrorKind;

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
    /// The input is malformed, or not what its digest says.
    Integrity = 6,
    /// The disk is full, or the size asked for is too small.
    NoSpace = 7,
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Integrity => Self::Integrity,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Other => Self::Other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
