//! One conversation as bytes: a socket or a serial port that never blocks for longer than it may.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;

/// How long the host may take nothing of what it asked for, or send nothing of what it announced.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// One conversation, with what has been read of it and not been used yet.
#[derive(Debug)]
pub(super) struct Connection {
    fd: OwnedFd,
    buffer: Vec<u8>,
    /// It serves one conversation after the other: this end never ends it.
    lasts: bool,
}

impl Connection {
    /// A socket.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd, buffer: Vec::new(), lasts: false })
    }

    /// A serial port.
    pub(super) fn port(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { lasts: true, ..Self::new(fd)? })
    }

    /// What has been read and not been used.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes what another has read and not used.
    pub(super) fn take_over(&mut self, other: &mut Self) {
        self.buffer.append(&mut other.buffer);
    }

    /// So many bytes have been used.
    pub(super) fn consume(&mut self, count: usize) {
        self.buffer.drain(..count.min(self.buffer.len()));
    }

    /// Reads more, waiting until `deadline` at most. False at the end.
    pub(super) fn fill(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            match self.fill_now() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&self.fd, PollFlags::IN, deadline)?,
                filled => return filled,
            }
        }
    }

    /// Reads what is there; [`ErrorKind::WouldBlock`] where nothing is.
    pub(super) fn fill_now(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let count = retry(|| rustix::io::read(&self.fd, &mut piece))?;
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    /// Writes all of it. The host may take its time, as long as it takes something.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_now(bytes)? {
                0 => wait(&self.fd, PollFlags::OUT, Instant::now().checked_add(PATIENCE))?,
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Writes what can be written at once: none where that would block.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match retry(|| rustix::io::write(&self.fd, bytes)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Reads and forgets until the host has ended the connection, or `time` is over: what was written last is lost if the
    /// connection is closed while there is something to read.
    pub(super) fn linger(&mut self, time: Duration) {
        // A serial port loses nothing by being left, and who comes next is not to be forgotten.
        if self.lasts || rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let deadline = Instant::now().checked_add(time);
        self.buffer.clear();
        while matches!(self.fill(deadline), Ok(true)) && deadline.is_some_and(|deadline| Instant::now() < deadline) {
            self.buffer.clear();
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Once more when a signal came in between.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Waits for one of `flags` or a broken connection, until `deadline` at most.
pub(super) fn wait(fd: impl AsFd, flags: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), flags)];
    if retry(|| poll(&mut fds, timeout.as_ref()))? == 0 {
        return Err(ErrorKind::TimedOut.into());
    }
    let [fd] = fds;
    // Nobody is there to take it: a serial port does not tell by an error.
    if flags == PollFlags::OUT && fd.revents().contains(PollFlags::HUP) {
        return Err(ErrorKind::BrokenPipe.into());
    }
    Ok(())
}
