//! A connection to the daemon.
//!
//! Secrets go over it. So who listens must be this user, or root, by what the kernel noted (`SO_PEERCRED`, unix(7)): another
//! user who made a socket of the name learns nothing.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use banger_api::{ErrorKind, Problem};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("no daemon answers on {}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens whom nothing may be told.
    #[error("on {} listens user {uid}", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who it is.
        uid: u32,
    },
    /// Something else.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        Problem::of(ErrorKind::Other, &error)
    }
}

/// Connects to a socket, whose path may be longer than an address can be.
pub(crate) fn connect(path: &Path) -> Result<UnixStream, ConnectError> {
    let io = |source| ConnectError::Io { path: path.to_owned(), source };
    let stream = through_directory(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ConnectError::Absent { path: path.to_owned(), source }
        }
        _ => io(source),
    })?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| io(error.into()))?;
    if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
        return Err(ConnectError::Foreign { path: path.to_owned(), uid: peer.uid.as_raw() });
    }
    Ok(stream)
}

fn through_directory(path: &Path) -> io::Result<UnixStream> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name))
}
