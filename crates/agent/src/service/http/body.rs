//! The body of a request, as it comes.

use std::io::{self, ErrorKind, Read};
use std::time::Instant;

use banger_protocol::limits::JSON_BYTES;
use serde::de::DeserializeOwned;

use super::Trouble;
use super::head::{Head, Length};
use crate::service::connection::{Connection, PATIENCE};

/// Bytes of the line that tells a chunk's length, and of all trailers.
const LINE: usize = 256;

/// A body that is being read. It asks for itself, where it is sent only when it is welcome.
#[derive(Debug)]
pub(in crate::service) struct Body<'a> {
    connection: &'a mut Connection,
    part: Part,
    welcome: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So much is left of all of it.
    Bytes(u64),
    /// So much is left of a chunk, after which there are others.
    Chunk(u64),
    /// A chunk's length comes next.
    Line,
    /// All of it has been read.
    End,
}

impl<'a> Body<'a> {
    pub(in crate::service) fn new(connection: &'a mut Connection, head: &Head) -> Self {
        let part = match head.length {
            Length::Bytes(0) => Part::End,
            Length::Bytes(length) => Part::Bytes(length),
            Length::Chunked => Part::Line,
        };
        Self { connection, part, welcome: !head.expects_continue }
    }

    /// Whether all of it has been read.
    pub(in crate::service) fn is_read(&self) -> bool {
        self.part == Part::End
    }

    /// All of it as JSON; the default where it is empty.
    pub(in crate::service) fn json<T: DeserializeOwned + Default>(&mut self) -> Result<T, Trouble> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(JSON_BYTES).unwrap_or(u64::MAX);
        self.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(said)?;
        if bytes.len() > JSON_BYTES {
            let error = format!("a body of more than {JSON_BYTES} bytes");
            return Err(Trouble::new(banger_protocol::failure::FailureKind::Limit, error));
        }
        if bytes.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&bytes).map_err(|error| Trouble::request(format!("the body: {error}")))
    }

    /// The line that comes next, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let buffered = self.connection.buffered();
            if let Some(at) = buffered.iter().take(LINE).position(|&byte| byte == b'\n') {
                let line = buffered.get(..at).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.connection.consume(at.saturating_add(1));
                return Ok(line);
            }
            if buffered.len() >= LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "a chunk whose length does not end"));
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        match self.connection.fill(Instant::now().checked_add(PATIENCE))? {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What comes next, where that is no content.
    fn advance(&mut self) -> io::Result<()> {
        if self.part != Part::Line {
            return Ok(());
        }
        let line = self.line()?;
        let number = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let number = std::str::from_utf8(number).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let length = number.and_then(|text| u64::from_str_radix(text, 16).ok());
        self.part = match length.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a chunk without a length"))? {
            0 => {
                if !self.line()?.is_empty() {
                    return Err(io::Error::new(ErrorKind::InvalidData, "trailers, which nobody asked for"));
                }
                Part::End
            }
            length => Part::Chunk(length),
        };
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.is_read() || to.is_empty() {
            return Ok(0);
        }
        if !self.welcome {
            self.welcome = true;
            self.connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.advance()?;
        let (Part::Bytes(left) | Part::Chunk(left)) = self.part else { return Ok(0) };
        if self.connection.buffered().is_empty() {
            self.more()?;
        }
        let buffered = self.connection.buffered();
        let count = buffered.len().min(to.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        if let (Some(to), Some(from)) = (to.get_mut(..count), buffered.get(..count)) {
            to.copy_from_slice(from);
        }
        self.connection.consume(count);
        let left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        self.part = match self.part {
            Part::Chunk(_) if left == 0 => {
                if !self.line()?.is_empty() {
                    return Err(io::Error::new(ErrorKind::InvalidData, "a chunk that is longer than it says"));
                }
                Part::Line
            }
            Part::Chunk(_) => Part::Chunk(left),
            _ if left == 0 => Part::End,
            _ => Part::Bytes(left),
        };
        Ok(count)
    }
}

/// What the host is told of a body that cannot be read: something, where it is still there.
pub(in crate::service) fn said(error: io::Error) -> Trouble {
    if error.kind() == ErrorKind::InvalidData { Trouble::request(error.to_string()) } else { Trouble::Broken(error) }
}
