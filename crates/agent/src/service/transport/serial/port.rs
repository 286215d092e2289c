//! The guest's end of a virtio-serial port.
//!
//! The port tells whether a host is connected, but that word and the host's bytes travel by different queues, and the kernel handles them at
//! different times: when one host goes and the next one comes, the next one's bytes may be here before the word that the first has gone. So
//! [`Port::is_alone`] never says which host is meant, and what ends a conversation is decided elsewhere (`bridge`).
//!
//! Linux' driver takes the host's bytes out of the queue when the port is polled, too. If they came just then, the interrupt finds nothing
//! left to do and wakes no sleeper (drivers/char/virtio_console.c, `port_fops_poll`, `in_intr`). So [`Port::wait`] asks for the state of the
//! port, never for a change, as long as there is a host.

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::service::connection::retry;

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;

/// How a conversation begins: a host sends this first.
pub(super) const GREETING: &[u8] = b"GET /sync/";

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Bytes of the host that was there before, as far as can be told.
    Bytes,
    /// The host was gone for a moment, and what comes now is a greeting: it is another one's.
    Greeting,
    /// Nothing is there now.
    Nothing,
}

/// The guest's end of a port.
#[derive(Debug)]
pub(super) struct Port {
    input: OwnedFd,
    output: OwnedFd,
    /// Can be read when a host may have come: without one the port itself is always ready, to say so.
    changes: OwnedFd,
    /// What has been read and not been used.
    pub(super) buffer: Vec<u8>,
    /// Whether no host was connected at some time since the last bytes.
    gap: bool,
}

impl Port {
    /// The port's device as `input` and as `output`: twice the same, but in tests.
    pub(super) fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let changes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (fd, flags) in [(&input, epoll::EventFlags::IN | epoll::EventFlags::HUP), (&output, epoll::EventFlags::OUT)]
        {
            rustix::io::ioctl_fionbio(fd, true)?;
            epoll::add(&changes, fd, epoll::EventData::new_u64(0), flags | epoll::EventFlags::ET)?;
        }
        Ok(Self { input, output, changes, buffer: Vec::new(), gap: false })
    }

    /// Reads what is there into the buffer.
    pub(super) fn read(&mut self) -> io::Result<Read> {
        // Asked before reading: a host that comes after this is one that the bytes may be from.
        self.gap |= self.is_alone()?;
        let mut piece = [0; PIECE];
        let count = match retry(|| rustix::io::read(&self.input, &mut piece)) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(error) => return Err(error),
        };
        let piece = piece.get(..count).unwrap_or_default();
        if piece.is_empty() {
            self.gap = true;
            return Ok(Read::Nothing);
        }
        if std::mem::take(&mut self.gap) && piece.starts_with(GREETING) {
            self.buffer.clear();
            self.buffer.extend_from_slice(piece);
            return Ok(Read::Greeting);
        }
        self.buffer.extend_from_slice(piece);
        Ok(Read::Bytes)
    }

    /// Writes what can be written at once: none while there is no host.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match retry(|| rustix::io::write(&self.output, bytes)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Whether no host is connected now, by the port's own word.
    pub(super) fn is_alone(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
        retry(|| poll(&mut fds, Some(&Timespec::default())))?;
        let [fd] = &fds;
        Ok(fd.revents().contains(PollFlags::HUP))
    }

    /// Waits until the port is as `flags` say, or a host has come or gone, or `other` is as its flags say, or the time is over; whether it was
    /// not the time.
    pub(super) fn wait(
        &self,
        flags: PollFlags,
        other: Option<(BorrowedFd<'_>, PollFlags)>,
        time: Option<Duration>,
    ) -> io::Result<bool> {
        let mut fds = if self.is_alone()? {
            vec![PollFd::new(&self.changes, PollFlags::IN)]
        } else {
            // In this order: asking for one takes bytes of the other, too.
            vec![PollFd::new(&self.output, flags & PollFlags::OUT), PollFd::new(&self.input, flags & PollFlags::IN)]
        };
        fds.extend(other.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let ready = retry(|| poll(&mut fds, time.as_ref()))? > 0;
        // Takes the change: the next one is another.
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 2];
        retry(|| epoll::wait(&self.changes, &mut events, Some(&Timespec::default())))?;
        Ok(ready)
    }
}
