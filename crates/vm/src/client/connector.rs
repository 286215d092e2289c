//! Ways to a guest's agent.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banger_protocol::VSOCK_PORT;

use super::error::ClientError;
use super::serial;
use super::stream::Stream;

/// Bytes of the line that answers `CONNECT`.
const ANSWER_BYTES: usize = 64;

/// A way to a guest's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connector {
    /// The kernel's vsock (vhost_vsock): the guest has this context id.
    Vsock(u32),
    /// A unix socket that leads to each port of the guest, as those of Firecracker and vhost-device-vsock: `CONNECT PORT\n` is
    /// answered with `OK PORT\n`.
    Hybrid(PathBuf),
    /// Unix sockets each of which leads to one virtio-serial port: one conversation at a time. Whoever has one holds a lock on
    /// the file of the same name with `.lock` after it.
    Serial(Vec<PathBuf>),
    /// A unix socket that leads to the agent and nowhere else.
    Unix(PathBuf),
}

impl Connector {
    /// A connection whose other side may be silent for so long.
    ///
    /// # Errors
    /// Nothing answers there.
    pub(super) fn connect(&self, patience: Duration) -> Result<Stream, ClientError> {
        let failed = |source| ClientError::Connect { to: self.to_string(), source };
        match self {
            Self::Vsock(cid) => vsock(*cid).and_then(|socket| Stream::new(socket, patience, None)).map_err(failed),
            Self::Hybrid(path) => hybrid(path, patience).map_err(failed),
            Self::Serial(paths) => serial::connect(paths, patience, failed),
            Self::Unix(path) => unix(path, patience).map_err(failed),
        }
    }
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsock(cid) => write!(f, "vsock, context {cid}, port {VSOCK_PORT}"),
            Self::Hybrid(path) => write!(f, "{}, port {VSOCK_PORT}", path.display()),
            Self::Serial(paths) => write!(f, "{} virtio-serial ports", paths.len()),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The kernel gives up by itself after two seconds (vsock(7), `SO_VM_SOCKETS_CONNECT_TIMEOUT`).
fn vsock(cid: u32) -> io::Result<OwnedFd> {
    let stream = vsock::VsockStream::connect_with_cid_port(cid, VSOCK_PORT)?;
    stream.as_fd().try_clone_to_owned()
}

fn unix(path: &Path, patience: Duration) -> io::Result<Stream> {
    Stream::new(UnixStream::connect(path)?.into(), patience, None)
}

fn hybrid(path: &Path, patience: Duration) -> io::Result<Stream> {
    let mut stream = unix(path, patience)?;
    stream.write_all(format!("CONNECT {VSOCK_PORT}\n").as_bytes())?;
    // Byte by byte: what follows the line is not for us.
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        let mut byte = [0];
        if answer.len() > ANSWER_BYTES || stream.read(&mut byte)? == 0 {
            return Err(io::Error::new(ErrorKind::ConnectionRefused, "nothing listens on the guest's port"));
        }
        answer.extend(byte);
    }
    if !answer.starts_with(b"OK ") {
        let text = String::from_utf8_lossy(answer.trim_ascii()).into_owned();
        return Err(io::Error::new(ErrorKind::ConnectionRefused, text));
    }
    Ok(stream)
}
