//! Frames one way, a process' streams the other: one loop that never blocks.
//!
//! Each direction holds little, and takes more only when it has room: a process that reads nothing holds up its standard input and
//! nothing else, a host that reads nothing holds up the process. When the exit is told, all that the process itself wrote has
//! been. What its children write after its end is lost: nobody knows whether they ever end.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use banger_protocol::frame::Frame;
use banger_protocol::limits::FRAME_BYTES;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::process::{Process, Streams};
use crate::service::connection::{Connection, retry};

/// Bytes that wait for the host before the process has to.
const OUTGOING: usize = 4 * FRAME_BYTES;

/// Bytes that are read of a stream at once.
const PIECE: usize = 16 << 10;

/// How long a terminal's last output may take to come out, where others still have the terminal open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How often a terminal is looked at that nobody has open: that is no event to wait for.
const TICK: Duration = Duration::from_millis(100);

/// What a terminal takes for the end of its input (termios(3), VEOF).
const END_OF_INPUT: u8 = 4;

/// Carries on until the process has ended and the host knows it, or until the connection breaks, which ends the process.
pub(super) fn relay(connection: &mut Connection, process: &mut Process) -> io::Result<()> {
    let relay = Relay { connection, process, incoming: Vec::new(), outgoing: Vec::new(), input_ends: false };
    let result = relay.run();
    match &result {
        // However slow the host is: what has left here may still be on its way, and is lost when this side closes the connection.
        Ok(()) => connection.linger(None),
        Err(_) => process.hang_up(),
    }
    result
}

struct Relay<'a> {
    connection: &'a mut Connection,
    process: &'a mut Process,
    /// Standard input that the process has not taken yet.
    incoming: Vec<u8>,
    /// Frames that the host has not taken yet.
    outgoing: Vec<u8>,
    /// After what is in `incoming`, standard input ends.
    input_ends: bool,
}

/// What became of an attempt to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Something,
    /// Nothing is there now.
    Nothing,
    /// Nothing is there, and nobody has the other end.
    Closed,
}

impl Relay<'_> {
    fn run(mut self) -> io::Result<()> {
        let mut ended: Option<Instant> = None;
        let mut told = false;
        loop {
            self.take_frames()?;
            self.feed();
            // Asked before reading: then what it wrote last is there to be read.
            let exit = self.process.ended();
            if exit.is_some() {
                ended.get_or_insert_with(Instant::now);
            }
            let has_room = self.outgoing.len() < OUTGOING;
            let got = if told || !has_room { Got::Nothing } else { self.read()? };
            self.send()?;
            let words = ended.map_or(Duration::MAX, |ended| ended.elapsed());
            let silent = match (&self.process.streams, got) {
                (_, Got::Something) => false,
                (_, Got::Closed) | (Streams::Pipes { .. }, Got::Nothing) => true,
                (Streams::Terminal(_), Got::Nothing) => words >= LAST_WORDS,
            };
            if let Some(exit) = exit.filter(|_| !told && has_room && silent) {
                Frame::Exit(exit).encode(&mut self.outgoing);
                told = true;
            }
            if told && self.outgoing.is_empty() {
                return Ok(());
            }
            if got != Got::Something {
                self.wait(ended.is_some(), told, got == Got::Closed)?;
            }
        }
    }

    /// Takes what the host has sent, as long as there is room for it.
    fn take_frames(&mut self) -> io::Result<()> {
        while self.incoming.len() < FRAME_BYTES {
            let frame = Frame::decode(self.connection.buffered());
            let Some((frame, size)) = frame.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))? else {
                return Ok(());
            };
            match frame {
                Frame::Stdin([]) => self.input_ends = true,
                Frame::Stdin(bytes) if !self.input_ends => self.incoming.extend_from_slice(bytes),
                Frame::Stdin(_) => {}
                Frame::Resize(size) => self.process.resize(size),
                Frame::Signal(signal) => self.process.signal(signal.into()),
                // The exit is all that is to be received, and after it nothing is read here.
                Frame::Received => {}
                _ => return Err(io::Error::new(ErrorKind::InvalidData, "a frame that only a guest sends")),
            }
            self.connection.consume(size);
        }
        Ok(())
    }

    /// Gives the process as much standard input as it takes now.
    fn feed(&mut self) {
        let to = match &self.process.streams {
            Streams::Pipes { stdin, .. } => stdin.as_ref(),
            Streams::Terminal(master) => {
                if std::mem::take(&mut self.input_ends) {
                    self.incoming.push(END_OF_INPUT);
                }
                Some(master)
            }
        };
        // Nobody reads what comes after the reader's end.
        let Some(to) = to else { return self.incoming.clear() };
        while !self.incoming.is_empty() {
            match retry(|| rustix::io::write(to, &self.incoming)) {
                Ok(count) => {
                    self.process.typed(self.incoming.get(..count).unwrap_or_default());
                    drop(self.incoming.drain(..count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.incoming.clear();
                    self.input_ends = true;
                }
            }
        }
        if self.input_ends
            && let Streams::Pipes { stdin, .. } = &mut self.process.streams
        {
            *stdin = None;
        }
    }

    /// Reads what the process has written: a piece of each stream.
    fn read(&mut self) -> io::Result<Got> {
        let outgoing = &mut self.outgoing;
        match &mut self.process.streams {
            Streams::Terminal(master) => read_piece(master, outgoing, |piece| Frame::Stdout(piece)),
            Streams::Pipes { stdout, stderr, .. } => {
                let one = read_pipe(stdout, outgoing, |piece| Frame::Stdout(piece))?;
                let other = read_pipe(stderr, outgoing, |piece| Frame::Stderr(piece))?;
                Ok(match (one, other) {
                    (Got::Something, _) | (_, Got::Something) => Got::Something,
                    (Got::Closed, Got::Closed) => Got::Closed,
                    _ => Got::Nothing,
                })
            }
        }
    }

    /// Sends what the host takes now.
    fn send(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.connection.write_now(&self.outgoing)? {
                0 => return Ok(()),
                count => drop(self.outgoing.drain(..count)),
            }
        }
        Ok(())
    }

    /// Waits until something can be done, and takes what the host has sent meanwhile.
    fn wait(&mut self, ended: bool, told: bool, closed: bool) -> io::Result<()> {
        let wants = |flag, wanted| if wanted { flag } else { PollFlags::empty() };
        let reads = wants(PollFlags::IN, !told && !closed && self.outgoing.len() < OUTGOING);
        let feeds = wants(PollFlags::OUT, !self.incoming.is_empty());
        let host = PollFlags::RDHUP
            | wants(PollFlags::IN, self.incoming.len() < FRAME_BYTES)
            | wants(PollFlags::OUT, !self.outgoing.is_empty());
        let mut fds = vec![PollFd::new(&*self.connection, host)];
        if !ended {
            fds.push(PollFd::new(&self.process.end, PollFlags::IN));
        }
        // Whoever waits for nothing is left out: that the other end is closed is told even to those who do not ask.
        let mut add = |file, flags: PollFlags| {
            if !flags.is_empty() {
                fds.push(PollFd::new(file, flags));
            }
        };
        match &self.process.streams {
            Streams::Terminal(master) => add(master, if closed { PollFlags::empty() } else { reads | feeds }),
            Streams::Pipes { stdin, stdout, stderr } => {
                stdin.iter().for_each(|pipe| add(pipe, feeds));
                stdout.iter().chain(stderr).for_each(|pipe| add(pipe, reads));
            }
        }
        let is_terminal = matches!(self.process.streams, Streams::Terminal(_));
        let timeout = (is_terminal && !told && (closed || ended)).then_some(TICK);
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        retry(|| poll(&mut fds, timeout.as_ref()))?;
        let seen = fds.first().map_or(PollFlags::empty(), PollFd::revents);
        if seen.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if seen.contains(PollFlags::IN) && !self.connection.fill_now()? {
            return Err(ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

/// Reads of a pipe, and closes this side of it when nobody has the other.
fn read_pipe(pipe: &mut Option<File>, to: &mut Vec<u8>, frame: fn(&[u8]) -> Frame<'_>) -> io::Result<Got> {
    let Some(file) = pipe else { return Ok(Got::Closed) };
    let got = read_piece(file, to, frame)?;
    if got == Got::Closed {
        *pipe = None;
    }
    Ok(got)
}

fn read_piece(file: &File, to: &mut Vec<u8>, frame: fn(&[u8]) -> Frame<'_>) -> io::Result<Got> {
    let mut piece = [0; PIECE];
    loop {
        return match rustix::io::read(file, &mut piece) {
            // A terminal that nobody has open.
            Ok(0) | Err(Errno::IO) => Ok(Got::Closed),
            Ok(count) => {
                frame(piece.get(..count).unwrap_or_default()).encode(to);
                Ok(Got::Something)
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Got::Nothing),
            Err(error) => Err(error.into()),
        };
    }
}
