//! Joins a command in the guest to this process' standard streams.
//!
//! One thread carries what the guest says to standard output and standard error, however slow these are. The calling thread
//! carries standard input, the terminal's size and signals to the guest, and never blocks on the way: a signal must get through
//! even if the command reads nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::Exit;
use banger_protocol::frame::Frame;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::SigId;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::low_level::{pipe, unregister};

use super::error::ClientError;
use super::session::{Event, Session};
use super::stream::Stream;
use super::terminal::{self, Raw};

/// How long a signal may be behind input that the command does not read.
const SIGNAL_PATIENCE: Duration = Duration::from_secs(2);
/// So many signals end the session even if the command does not care.
const SIGNALS: u32 = 3;

/// What of this process a command gets, besides its standard output and standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Standard input.
    pub stdin: bool,
    /// The terminal: each key goes to the command, which has a terminal of its own whose size follows. Standard input must be
    /// one.
    pub terminal: bool,
}

impl Session {
    /// Joins the command to this process' standard streams until it ends. `SIGINT`, `SIGTERM`, `SIGHUP` and `SIGQUIT` go to the
    /// command meanwhile; afterwards they are without effect in this process, unless the caller handles them too.
    ///
    /// # Errors
    /// - [`ClientError::Broken`], [`ClientError::Io`]: the connection broke.
    /// - [`ClientError::Local`]: one of the streams of this process did.
    /// - [`ClientError::Interrupted`]: a signal could not be passed on, or three had no effect.
    pub fn attach(self, attachment: Attachment) -> Result<Exit, ClientError> {
        // The terminal last, so that it is set right first.
        let signals = Signals::watch(attachment.terminal).map_err(ClientError::local("watch for signals"))?;
        let stream = self.stream();
        let (end, ended) = io::pipe().map_err(ClientError::local("make a pipe"))?;
        let raw = attachment.terminal.then(Raw::enter).transpose();
        let _raw = raw.map_err(ClientError::local("take over the terminal"))?;
        let (verdict, result) = mpsc::sync_channel(1);
        let output = thread::Builder::new().name("output".into()).spawn(move || {
            // Nobody waits for it after an interruption.
            let _ = verdict.send(carry_out(self));
            drop(ended);
        });
        output.map_err(ClientError::local("start a thread"))?;
        let mut pump =
            Pump { stream, queue: Vec::new(), stdin: attachment.stdin, signals: 0, sent: None, moved: Instant::now() };
        let carried = pump.carry_in(&signals, &end);
        match carried {
            Ok(()) => result.recv().unwrap_or(Err(ClientError::Broken)),
            Err(error) => {
                pump.stream.close();
                Err(error)
            }
        }
    }
}

/// Carries what the guest says to standard output and standard error.
fn carry_out(mut session: Session) -> Result<Exit, ClientError> {
    // Not the library's own handles, which hold back what is no whole line.
    let open = |fd: io::Result<OwnedFd>| fd.map(File::from).map_err(ClientError::local("open standard output"));
    let mut stdout = open(io::stdout().as_fd().try_clone_to_owned())?;
    let mut stderr = open(io::stderr().as_fd().try_clone_to_owned())?;
    while let Some(event) = session.next_event()? {
        match event {
            Event::Stdout(bytes) => stdout.write_all(&bytes).map_err(ClientError::local("write to standard output"))?,
            Event::Stderr(bytes) => stderr.write_all(&bytes).map_err(ClientError::local("write to standard error"))?,
            Event::Exit(exit) => return Ok(exit),
        }
    }
    Err(ClientError::Broken)
}

/// What goes to the guest.
struct Pump {
    stream: Stream,
    /// Bytes of frames that have not left yet.
    queue: Vec<u8>,
    /// Whether there may be more standard input.
    stdin: bool,
    /// Signals that were to end the command.
    signals: u32,
    /// A signal that may not have arrived, and when that is looked into. That it has left says little: what takes the bytes has
    /// buffers of its own.
    sent: Option<(i32, Instant)>,
    /// When bytes have left for the last time.
    moved: Instant,
}

impl Pump {
    /// Carries on until the other end of `end` is dropped.
    fn carry_in(&mut self, signals: &Signals, end: &io::PipeReader) -> Result<(), ClientError> {
        let stdin = io::stdin();
        loop {
            let now = Instant::now();
            if let Some((signal, _)) = self.sent.filter(|(_, deadline)| now >= *deadline) {
                if !self.queue.is_empty() && now.duration_since(self.moved) > SIGNAL_PATIENCE / 2 {
                    return Err(ClientError::Interrupted(signal));
                }
                self.sent = None;
            }
            let left = self.sent.map(|(_, deadline)| deadline.saturating_duration_since(now));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = vec![PollFd::new(end, PollFlags::IN)];
            fds.extend(signals.pipes.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)));
            if !self.queue.is_empty() {
                fds.push(PollFd::new(&self.stream, PollFlags::OUT));
            } else if self.stdin {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(ClientError::Local { doing: "wait for input", source: error.into() }),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            let mut ready = ready.into_iter();
            if ready.next() == Some(true) {
                return Ok(());
            }
            for (signal, pipe) in &signals.pipes {
                if ready.next() == Some(true) && empty(pipe) {
                    self.pass_on(*signal)?;
                }
            }
            if self.queue.is_empty() && ready.next() == Some(true) {
                self.read(&stdin)?;
            }
            self.send();
        }
    }

    fn pass_on(&mut self, signal: i32) -> Result<(), ClientError> {
        if signal == SIGWINCH {
            if let Some(size) = terminal::size() {
                Frame::Resize(size).encode(&mut self.queue);
            }
            return Ok(());
        }
        self.signals = self.signals.saturating_add(1);
        if self.signals >= SIGNALS {
            return Err(ClientError::Interrupted(signal));
        }
        Frame::Signal(u8::try_from(signal).unwrap_or(0)).encode(&mut self.queue);
        let deadline = Instant::now().checked_add(SIGNAL_PATIENCE);
        self.sent = self.sent.or(deadline.map(|deadline| (signal, deadline)));
        Ok(())
    }

    fn read(&mut self, stdin: &io::Stdin) -> Result<(), ClientError> {
        let mut buffer = [0; 16 << 10];
        // Not the library's buffered reader: what it holds would not wake `poll`.
        match rustix::io::read(stdin, &mut buffer) {
            Ok(count) => {
                self.stdin = count > 0;
                Frame::Stdin(buffer.get(..count).unwrap_or_default()).encode(&mut self.queue);
                Ok(())
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(()),
            // A terminal that has hung up.
            Err(Errno::IO) => {
                self.stdin = false;
                Frame::Stdin(&[]).encode(&mut self.queue);
                Ok(())
            }
            Err(error) => Err(ClientError::Local { doing: "read standard input", source: error.into() }),
        }
    }

    /// Sends what can be sent at once.
    fn send(&mut self) {
        while !self.queue.is_empty() {
            match self.stream.write_some(&self.queue) {
                Ok(0) => return,
                Ok(count) => {
                    self.queue.drain(..count);
                    self.moved = Instant::now();
                }
                // The other thread sees how it ended: there may be an exit status on its way.
                Err(_) => {
                    self.queue.clear();
                    self.stdin = false;
                }
            }
        }
    }
}

/// Signals, each with a pipe that has something to read when it came.
struct Signals {
    pipes: Vec<(i32, UnixStream)>,
    ids: Vec<SigId>,
}

impl Signals {
    fn watch(terminal: bool) -> io::Result<Self> {
        let mut signals = Self { pipes: Vec::new(), ids: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().chain(terminal.then_some(SIGWINCH)) {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            signals.ids.push(pipe::register(signal, writer)?);
            signals.pipes.push((signal, reader));
        }
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            unregister(id);
        }
    }
}

/// Empties a signal's pipe; whether there was anything in it.
fn empty(mut pipe: &UnixStream) -> bool {
    let mut any = false;
    while matches!(pipe.read(&mut [0; 64]), Ok(1..)) {
        any = true;
    }
    any
}
