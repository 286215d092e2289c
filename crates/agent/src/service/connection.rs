//! One conversation as bytes: a socket that never blocks for longer than it may.

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
    /// It leads to a serial port, over which the host never ends it.
    bridged: bool,
}

impl Connection {
    /// A socket.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd, buffer: Vec::new(), bridged: false })
    }

    /// A socket behind which there is a serial port.
    pub(super) fn bridged(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { bridged: true, ..Self::new(fd)? })
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
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes, Some(PATIENCE))
    }

    /// Writes all of it, however long the host takes nothing.
    pub(super) fn write_patiently(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes, None)
    }

    fn write(&mut self, mut bytes: &[u8], patience: Option<Duration>) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_now(bytes)? {
                0 => wait(&self.fd, PollFlags::OUT, patience.and_then(|time| Instant::now().checked_add(time)))?,
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

    /// Tells the host that nothing more will come, and reads and forgets until it has ended the connection, or `time` is over. What was
    /// written last is lost if the connection is closed before the host has read it.
    pub(super) fn linger(&mut self, time: Option<Duration>) {
        if !self.finish() {
            return;
        }
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        self.buffer.clear();
        while matches!(self.fill(deadline), Ok(true)) && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            self.buffer.clear();
        }
    }

    /// Tells the host that nothing more will come; false where that cannot be told: over a serial port, which loses nothing by being left, or
    /// where the connection has ended.
    pub(super) fn finish(&self) -> bool {
        !self.bridged && rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write).is_ok()
    }

    /// Ends the connection: what has been sent and not been used.
    pub(super) fn leave(mut self) -> Vec<u8> {
        // From here on nothing more can be sent. It fails where the other end has ended it.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
        while matches!(self.fill_now(), Ok(true)) {}
        self.buffer
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
    Ok(())
}
