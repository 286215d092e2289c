//! One request over one connection, and its answer (RFC 9112).
//!
//! An answer's body can be read in pieces, with a time limit for each: what has arrived is kept when the time is over.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use crate::limits::{CHUNK_LINE, HEAD_BYTES, HEADERS};

/// Bytes that are asked of the system at once.
const PIECE: usize = 16 << 10;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) target: &'a str,
    pub(crate) body: Option<&'a [u8]>,
}

/// An answer, whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Incoming,
}

/// A body that arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: UnixStream,
    /// What has arrived and was not looked at yet.
    raw: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes, and the end.
    Length(u64),
    /// The line that tells the length of a chunk.
    ChunkLine,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The line break behind a chunk.
    ChunkEnd,
    /// The last line break.
    Trailer,
    End,
}

/// Asks, and reads the answer's head.
pub(crate) fn exchange(mut stream: UnixStream, request: Request<'_>) -> io::Result<Answer> {
    let Request { method, target, body } = request;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if let Some(body) = body {
        head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    let sent = stream.write_all(&bytes);
    // Somebody who says no need not listen to the end.
    match (answer(stream), sent) {
        (Err(_), Err(error)) => Err(error),
        (answer, _) => answer,
    }
}

fn answer(mut stream: UnixStream) -> io::Result<Answer> {
    let mut raw = Vec::new();
    loop {
        more(&mut stream, &mut raw)?;
        if let Some((length, status, state)) = parse(&raw)? {
            raw.drain(..length);
            return Ok(Answer { status, body: Incoming { stream, raw, state } });
        }
        if raw.len() > HEAD_BYTES {
            return Err(invalid("its head is too long"));
        }
    }
}

/// The length of the head, the status, and how the body is told; none where there is no whole head yet.
fn parse(bytes: &[u8]) -> io::Result<Option<(usize, u16, State)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| invalid(&error.to_string()))?;
    let (httparse::Status::Complete(length), Some(status)) = (parsed, response.code) else { return Ok(None) };
    let field = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.trim_ascii())
    };
    let state = match (field("transfer-encoding"), field("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => State::ChunkLine,
        (Some(_), _) => return Err(invalid("it has a transfer coding that nobody asked for")),
        (None, Some(length)) => {
            let number = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            State::Length(number.ok_or_else(|| invalid("its length is no number"))?)
        }
        (None, None) => State::Length(0),
    };
    Ok(Some((length, status, state)))
}

impl Incoming {
    /// How long [`read`](Self::read) waits from now on.
    pub(crate) fn set_patience(&self, patience: std::time::Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }

    /// Appends what arrives next. False at the end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing arrived in time: it can be tried again.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let before = into.len();
        loop {
            self.decode(into)?;
            if into.len() > before {
                return Ok(true);
            }
            if self.state == State::End {
                return Ok(false);
            }
            more(&mut self.stream, &mut self.raw)?;
        }
    }

    /// All of it.
    pub(crate) fn read_all(mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.read(&mut bytes)? {
            if bytes.len() > limit {
                return Err(invalid(&format!("it is over {limit} bytes")));
            }
        }
        Ok(bytes)
    }

    /// Takes as much as can be taken of what has arrived.
    fn decode(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        loop {
            self.state = match self.state {
                State::Length(0) => State::End,
                State::End => return Ok(()),
                State::Length(left) => match self.take(left, into) {
                    0 => return Ok(()),
                    count => State::Length(left.saturating_sub(count)),
                },
                State::Chunk(0) => State::ChunkEnd,
                State::Chunk(left) => match self.take(left, into) {
                    0 => return Ok(()),
                    count => State::Chunk(left.saturating_sub(count)),
                },
                State::ChunkLine => match httparse::parse_chunk_size(&self.raw) {
                    Ok(httparse::Status::Complete((length, size))) => {
                        self.raw.drain(..length);
                        if size == 0 { State::Trailer } else { State::Chunk(size) }
                    }
                    Ok(httparse::Status::Partial) if self.raw.len() <= CHUNK_LINE => return Ok(()),
                    _ => return Err(invalid("the length of a chunk is no number")),
                },
                State::ChunkEnd | State::Trailer => {
                    let next = if self.state == State::Trailer { State::End } else { State::ChunkLine };
                    match self.raw.get(..2) {
                        Some(b"\r\n") => drop(self.raw.drain(..2)),
                        Some(_) => return Err(invalid("a chunk does not end where it should")),
                        None => return Ok(()),
                    }
                    next
                }
            };
        }
    }

    /// Moves at most so many bytes.
    fn take(&mut self, left: u64, into: &mut Vec<u8>) -> u64 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.raw.len());
        into.extend(self.raw.drain(..count));
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Reads once.
fn more(stream: &mut UnixStream, into: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; PIECE];
    let count = loop {
        match stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if count == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection ended before the answer did"));
    }
    into.extend_from_slice(buffer.get(..count).unwrap_or_default());
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the answer makes no sense: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an answer, however it is cut into pieces.
    fn read(bytes: &[u8], piece: usize) -> io::Result<(u16, Vec<u8>)> {
        let (here, mut there) = UnixStream::pair().unwrap();
        let bytes = bytes.to_vec();
        let sender = std::thread::spawn(move || {
            for piece in bytes.chunks(piece) {
                // The other side may have seen enough.
                if there.write_all(piece).is_err() {
                    break;
                }
            }
        });
        let read = answer(here).and_then(|answer| Ok((answer.status, answer.body.read_all(100)?)));
        sender.join().unwrap();
        read
    }

    #[test]
    fn bodies_are_as_long_as_they_say() {
        for (answer, body) in [
            ("HTTP/1.1 200 OK\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
        ] {
            for piece in [1, 2, 3, 1000] {
                let (status, found) = read(answer.as_bytes(), piece).unwrap();
                assert_eq!((status, found.as_slice()), (200, body.as_bytes()), "{answer:?} by {piece}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(HEAD_BYTES + PIECE));
        let long_body = format!("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n{}", "y".repeat(101));
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
            &long_head,
            &long_body,
        ] {
            for piece in [1, 1 << 20] {
                assert!(read(answer.as_bytes(), piece).is_err(), "{answer:.80}");
            }
        }
    }
}
