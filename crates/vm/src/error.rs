//! What can go wrong with a machine.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use banger_error::ErrorKind;

use crate::client::ClientError;
use crate::trouble::Trouble;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no machine, or no longer one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the host could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program that is needed is not installed.
    #[error("there is no {program} on this machine")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// There is no kernel that could be started.
    #[error("there is no kernel to start: {reason}")]
    NoKernel {
        /// What was looked for.
        reason: String,
    },
    /// A kernel's modules are not what is needed of them.
    #[error(transparent)]
    Modules(#[from] banger_kmod::Error),
    /// A disk that cannot be put on top of the image.
    #[error("a disk of {size} bytes is smaller than the image, which has {image}")]
    DiskSize {
        /// What was asked for.
        size: u64,
        /// Bytes of the image.
        image: u64,
    },
    /// The disk on top of the image cannot be made.
    #[error(transparent)]
    Overlay(#[from] banger_disk::Error),
    /// More than a format can hold.
    #[error("{what} is too large: {size} bytes")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// How large.
        size: u64,
    },
    /// A program ended before it was of use.
    #[error("{program} ended at once ({status}){}", said(words))]
    Ended {
        /// The program.
        program: String,
        /// How.
        status: String,
        /// The last that it said.
        words: String,
    },
    /// A port of the host cannot be forwarded.
    #[error("cannot forward {address}")]
    Port {
        /// The address and the port.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// QEMU did not start the machine.
    #[error("{trouble}; QEMU says: {words}")]
    Qemu {
        /// Why, as far as it is known what QEMU means.
        trouble: Trouble,
        /// The last lines of what it said.
        words: String,
    },
    /// The machine stopped before its agent answered.
    #[error("the machine stopped before it was ready ({status}){}", said(words))]
    Stopped {
        /// How QEMU ended.
        status: String,
        /// The last lines of its serial console, or of QEMU.
        words: String,
    },
    /// The agent did not answer in time.
    #[error("the machine has not answered within {seconds} s{}", said(words))]
    Silent {
        /// How long that is.
        seconds: u64,
        /// The last lines of its serial console.
        words: String,
    },
    /// Somebody wants no machine any more.
    #[error("interrupted while the machine was starting")]
    Interrupted,
    /// The agent, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; the last it said: {words}") }
}

impl Error {
    /// Which sort it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } | Self::Modules(banger_kmod::Error::Io { source, .. }) => source.into(),
            Self::NoProgram { .. } | Self::NoKernel { .. } => ErrorKind::NotFound,
            Self::DiskSize { .. } => ErrorKind::Usage,
            Self::Qemu { trouble: Trouble::Space, .. } => ErrorKind::NoSpace,
            Self::Overlay(error) => error.kind(),
            _ => ErrorKind::Other,
        }
    }
}

/// Says of an error what was done to what.
pub(crate) trait At<T> {
    /// `action` is a verb, `path` what it was done with.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::Io { action, path: path.to_owned(), source: error.into() })
    }
}
