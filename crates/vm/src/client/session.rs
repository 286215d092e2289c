//! A command in the guest, or its workload: frames both ways.

use std::io::{BufReader, Read, Write};

use banger_protocol::exec::{Exit, Size};
use banger_protocol::frame::{Frame, HEAD};
use banger_protocol::limits::FRAME_BYTES;

use super::error::ClientError;
use super::stream::Stream;

/// What the guest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Standard output, or what its terminal shows.
    Stdout(Vec<u8>),
    /// Standard error.
    Stderr(Vec<u8>),
    /// How it ended: the last event.
    Exit(Exit),
}

/// A command in the guest. When this and all of its [senders](Session::sender) are gone before it ended, the guest ends it.
#[derive(Debug)]
pub struct Session {
    reader: BufReader<Stream>,
    /// Bytes of the frame that is being read.
    frame: Vec<u8>,
    ended: bool,
}

impl Session {
    pub(super) fn new(reader: BufReader<Stream>) -> Self {
        // Nobody knows how long a command is silent, or does not read.
        let buffered = reader.buffer().to_vec();
        let stream = reader.into_inner().with_patience(None);
        Self { reader: BufReader::with_capacity(FRAME_BYTES, stream), frame: buffered, ended: false }
    }

    /// Waits for what the guest says next; `None` after its end.
    ///
    /// # Errors
    /// [`ClientError::Broken`] where the connection ends before the command did.
    pub fn next_event(&mut self) -> Result<Option<Event>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            if let Some((frame, length)) = Frame::decode(&self.frame)? {
                let event = match frame {
                    Frame::Stdout(bytes) => Event::Stdout(bytes.to_vec()),
                    Frame::Stderr(bytes) => Event::Stderr(bytes.to_vec()),
                    Frame::Exit(exit) => Event::Exit(exit),
                    _ => return Err(ClientError::Answer("a frame that only the host sends".into())),
                };
                self.frame.drain(..length);
                if matches!(event, Event::Exit(_)) {
                    self.ended = true;
                    self.receipt();
                }
                return Ok(Some(event));
            }
            let mut buffer = [0; HEAD + 16 * 1024];
            let count = self.reader.read(&mut buffer).map_err(ClientError::io("read from the guest"))?;
            if count == 0 {
                return Err(ClientError::Broken);
            }
            self.frame.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Collects everything until the end: standard output, standard error, and how it ended. For commands that say little.
    ///
    /// # Errors
    /// [`ClientError::Broken`] where the connection ends before the command did; an answer of more than `limit` bytes.
    pub fn output(mut self, limit: usize) -> Result<(Vec<u8>, Vec<u8>, Exit), ClientError> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(event) = self.next_event()? {
            match event {
                Event::Stdout(bytes) => stdout.extend(bytes),
                Event::Stderr(bytes) => stderr.extend(bytes),
                Event::Exit(exit) => return Ok((stdout, stderr, exit)),
            }
            if stdout.len().saturating_add(stderr.len()) > limit {
                return Err(ClientError::Answer(format!("a command's output of more than {limit} bytes")));
            }
        }
        Err(ClientError::Broken)
    }

    /// What sends to the command. There may be many, in many threads: each call sends whole frames, but calls of several
    /// threads at a time must not meet, so share one behind a lock where that may happen.
    pub fn sender(&self) -> Sender {
        Sender { stream: self.reader.get_ref().clone() }
    }

    /// Tells the guest that it may end. Not by waiting: a guest that has not taken what was sent before, standard input, does not wait for this.
    fn receipt(&self) {
        let mut bytes = Vec::new();
        Frame::Received.encode(&mut bytes);
        let stream = self.reader.get_ref();
        // Where it cannot be told, it has gone already.
        let _ = stream.write_some(&bytes);
        if !stream.is_port() {
            stream.close();
        }
    }

    /// The connection, to be held open. What leads to a serial port drops what is on its way to the guest when it is closed: the word that
    /// the guest may end, too. So whoever waits for the guest to end keeps this until then.
    pub fn line(&self) -> Line {
        Line { _stream: self.stream() }
    }

    pub(super) fn stream(&self) -> Stream {
        self.reader.get_ref().clone()
    }
}

/// A connection that is held open.
#[derive(Debug)]
pub struct Line {
    _stream: Stream,
}

/// What sends to a command. It waits where the command does not read what was sent before.
#[derive(Debug)]
pub struct Sender {
    stream: Stream,
}

impl Sender {
    /// Sends standard input.
    ///
    /// # Errors
    /// The connection broke.
    pub fn stdin(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        // An empty frame is the end, which is not meant here.
        if bytes.is_empty() { Ok(()) } else { self.send(&Frame::Stdin(bytes)) }
    }

    /// Ends standard input.
    ///
    /// # Errors
    /// The connection broke.
    pub fn end_stdin(&mut self) -> Result<(), ClientError> {
        self.send(&Frame::Stdin(&[]))
    }

    /// The terminal has another size.
    ///
    /// # Errors
    /// The connection broke.
    pub fn resize(&mut self, size: Size) -> Result<(), ClientError> {
        self.send(&Frame::Resize(size))
    }

    /// Sends a signal to the command: to the foreground processes of its terminal, where it has one.
    ///
    /// # Errors
    /// The connection broke.
    pub fn signal(&mut self, signal: u8) -> Result<(), ClientError> {
        self.send(&Frame::Signal(signal))
    }

    /// Breaks the connection: the guest ends the command, if it still runs.
    pub fn close(&self) {
        self.stream.close();
    }

    fn send(&mut self, frame: &Frame<'_>) -> Result<(), ClientError> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).map_err(ClientError::io("send to the guest"))
    }
}
