//! One connection: a socket that never blocks for longer than it may.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

/// A connected socket. Clones are the same connection.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    socket: Arc<OwnedFd>,
    /// How long one read or write may wait. None: for ever.
    patience: Option<Duration>,
    /// What is held as long as the connection to a serial port lasts.
    lock: Option<Arc<File>>,
}

impl Stream {
    pub(super) fn new(socket: OwnedFd, patience: Duration, lock: Option<File>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket: Arc::new(socket), patience: Some(patience), lock: lock.map(Arc::new) })
    }

    /// The same connection, whose other side may be silent for so long.
    pub(super) fn with_patience(self, patience: Option<Duration>) -> Self {
        Self { patience, ..self }
    }

    /// Whether it leads to a serial port.
    pub(super) fn is_port(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether there is something to read, or the connection broke; at once.
    pub(super) fn has_something(&self) -> io::Result<bool> {
        wait(self.as_fd(), PollFlags::IN, Some(Duration::ZERO))
    }

    /// Ends it for all clones.
    pub(super) fn close(&self) {
        // It fails where it has ended already.
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }

    /// Writes as much as is possible at once: none where that would block.
    pub(super) fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match send(&*self.socket, bytes, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(0),
                sent => return Ok(sent?),
            }
        }
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        if wait(self.as_fd(), flags, self.patience)? {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::TimedOut, "the guest does not react"))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(&*self.socket, &mut *buffer, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                received => return Ok(received?.0),
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.write_some(bytes)? {
                0 if !bytes.is_empty() => self.wait(PollFlags::OUT)?,
                count => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for one of `flags`, or a broken connection; whether it came in time.
fn wait(fd: BorrowedFd<'_>, flags: PollFlags, patience: Option<Duration>) -> io::Result<bool> {
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], timeout.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}
