//! Answers.

use std::io::{self, Write};
use std::time::Duration;

use banger_protocol::UPGRADE;
use banger_protocol::failure::{Failure, FailureKind};
use banger_protocol::limits::FRAME_BYTES;
use serde::Serialize;

use crate::service::connection::Connection;

/// How long who is refused may take to take that.
const FAREWELL: Duration = Duration::from_secs(5);

/// Whether another request may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Next {
    /// It may.
    Request,
    /// The connection ends.
    End,
}

impl Next {
    fn field(self) -> &'static str {
        if self == Self::End { "Connection: close\r\n" } else { "" }
    }
}

/// JSON.
pub(in crate::service) fn json(
    connection: &mut Connection,
    status: u16,
    body: &impl Serialize,
    next: Next,
) -> io::Result<()> {
    let body = serde_json::to_vec(body).map_err(io::Error::other)?;
    let mut bytes = format!(
        "HTTP/1.1 {status} {}\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        reason(status),
        next.field(),
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    connection.write_all(&bytes)
}

/// No content. `field` is a line of the head, the last one.
pub(in crate::service) fn empty(connection: &mut Connection, status: u16, field: &str, next: Next) -> io::Result<()> {
    let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
    let head = format!("HTTP/1.1 {status} {}\r\n{}{length}{field}\r\n", reason(status), next.field());
    connection.write_all(head.as_bytes())
}

/// A refusal.
pub(in crate::service) fn failure(connection: &mut Connection, failure: &Failure, next: Next) -> io::Result<()> {
    json(connection, failure.kind.status(), failure, next)
}

/// What somebody is told for whom there is no place.
pub(in crate::service) fn busy(connection: &mut Connection) {
    let busy = Failure { kind: FailureKind::Busy, error: "too many conversations at the same time".into() };
    // Who does not listen is not told.
    let _ = failure(connection, &busy, Next::End);
    connection.linger(Some(FAREWELL));
}

/// From now on the connection is a stream of frames.
pub(in crate::service) fn upgrade(connection: &mut Connection) -> io::Result<()> {
    let head = format!("HTTP/1.1 101 {}\r\nConnection: Upgrade\r\nUpgrade: {UPGRADE}\r\n\r\n", reason(101));
    connection.write_all(head.as_bytes())
}

/// An answer of unknown length. It is complete when it is [finished](Chunks::finish); otherwise the connection must end.
#[derive(Debug)]
pub(in crate::service) struct Chunks<'a> {
    connection: &'a mut Connection,
    buffer: Vec<u8>,
}

impl<'a> Chunks<'a> {
    pub(in crate::service) fn begin(connection: &'a mut Connection, kind: &str, next: Next) -> io::Result<Self> {
        let head = format!(
            "HTTP/1.1 200 {}\r\n{}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n",
            reason(200),
            next.field()
        );
        connection.write_all(head.as_bytes())?;
        Ok(Self { connection, buffer: Vec::with_capacity(FRAME_BYTES) })
    }

    pub(in crate::service) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.connection.write_all(b"0\r\n\r\n")
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = FRAME_BYTES.saturating_sub(self.buffer.len());
        let piece = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() >= FRAME_BYTES {
            self.flush()?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", self.buffer.len()).into_bytes();
        chunk.append(&mut self.buffer);
        chunk.extend_from_slice(b"\r\n");
        self.connection.write_all(&chunk)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        413 => "Content Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
