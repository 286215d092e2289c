//! One request over one connection, and its answer (RFC 9112).

use std::io::{self, BufRead, BufReader, Read, Write};

use banger_protocol::UPGRADE;
use banger_protocol::failure::{Failure, FailureKind};
use banger_protocol::limits::{FRAME_BYTES, HEAD_BYTES, HEADERS, JSON_BYTES};
use serde::de::DeserializeOwned;

use super::error::ClientError;
use super::stream::Stream;

/// Bytes of the line that tells a chunk's length.
const CHUNK_LINE: u64 = 32;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: &'static str,
    target: String,
    body: Option<Vec<u8>>,
    upgrade: bool,
}

impl Request {
    pub(super) fn get(target: impl Into<String>) -> Self {
        Self { method: "GET", target: target.into(), body: None, upgrade: false }
    }

    pub(super) fn put(target: impl Into<String>) -> Self {
        Self { method: "PUT", ..Self::get(target) }
    }

    pub(super) fn post(target: impl Into<String>, json: Vec<u8>) -> Self {
        Self { method: "POST", body: Some(json), ..Self::get(target) }
    }

    /// The same, which is to become a stream of frames.
    pub(super) fn upgrading(&self) -> Self {
        Self { upgrade: true, ..self.clone() }
    }

    fn head(&self, streaming: bool) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: guest\r\n", self.method, self.target);
        if self.upgrade {
            head.push_str(&format!("Connection: Upgrade\r\nUpgrade: {UPGRADE}\r\n"));
        } else {
            head.push_str("Connection: close\r\n");
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        if streaming {
            head.push_str("Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

/// How long an answer's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// It has none: from here on there are frames.
    Upgraded,
}

/// An answer, whose body is still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    pub(super) content: Content,
    pub(super) reader: BufReader<Stream>,
}

/// Asks, and reads the answer's head.
pub(super) fn exchange(mut stream: Stream, request: &Request) -> Result<Answer, ClientError> {
    let mut bytes = request.head(false).into_bytes();
    bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
    let sent = stream.write_all(&bytes);
    answer_after(BufReader::new(stream), sent)
}

/// Asks with a body of unknown length, which is not sent where the agent does not want it.
pub(super) fn exchange_streaming(
    mut stream: Stream,
    request: &Request,
    body: &mut dyn Read,
) -> Result<Answer, ClientError> {
    stream.write_all(request.head(true).as_bytes()).map_err(ClientError::io("ask the guest's agent"))?;
    let mut reader = BufReader::new(stream.clone());
    let first = answer(&mut reader)?;
    if first.status != 100 {
        return Answer { status: first.status, content: first.content, reader }.success();
    }
    let mut buffer = vec![0; FRAME_BYTES];
    let sent = loop {
        let count = match body.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(ClientError::local("read what is to be put into the guest"))?,
        };
        // An answer before the end is a refusal: there is no use in sending the rest.
        if stream.has_something().unwrap_or(true) {
            break Ok(());
        }
        let mut chunk = format!("{count:x}\r\n").into_bytes();
        chunk.extend_from_slice(buffer.get(..count).unwrap_or_default());
        chunk.extend_from_slice(b"\r\n");
        let sent = stream.write_all(&chunk);
        if sent.is_err() || count == 0 {
            break sent;
        }
    };
    answer_after(reader, sent)?.success()
}

/// The answer; or why asking failed, if there is none. Somebody who says no need not listen to the end.
fn answer_after(mut reader: BufReader<Stream>, sent: io::Result<()>) -> Result<Answer, ClientError> {
    match (answer(&mut reader), sent) {
        (Ok(head), _) => Ok(Answer { status: head.status, content: head.content, reader }),
        (Err(_), Err(source)) => Err(ClientError::Io { doing: "ask the guest's agent", source }),
        (Err(error), Ok(())) => Err(error),
    }
}

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    content: Content,
}

fn answer(reader: &mut impl BufRead) -> Result<Head, ClientError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
    loop {
        let before = bytes.len();
        let left = limit.saturating_sub(u64::try_from(before).unwrap_or(u64::MAX));
        reader.take(left).read_until(b'\n', &mut bytes).map_err(ClientError::io("read the agent's answer"))?;
        match bytes.get(before..) {
            Some(b"\r\n" | b"\n") => return parse(&bytes),
            Some([.., b'\n']) => {}
            _ => {
                let kind = io::ErrorKind::UnexpectedEof;
                let source = io::Error::new(kind, "it ends early, or is too long");
                return Err(ClientError::Io { doing: "read the agent's answer", source });
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Head, ClientError> {
    let wrong = |what: &str| ClientError::Answer(what.to_owned());
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| wrong(&error.to_string()))?;
    let status = response.code.filter(|_| parsed.is_complete()).ok_or_else(|| wrong("half a head"))?;
    let field = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.trim_ascii())
    };
    let content = if status == 101 {
        if field("upgrade") != Some(UPGRADE.as_bytes()) {
            return Err(wrong("an upgrade to something else"));
        }
        Content::Upgraded
    } else if let Some(coding) = field("transfer-encoding") {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(wrong("a transfer coding that nobody asked for"));
        }
        Content::Chunked
    } else {
        let length = field("content-length").map(|value| std::str::from_utf8(value).ok()?.parse().ok());
        Content::Length(length.unwrap_or(Some(0)).ok_or_else(|| wrong("a length that is no number"))?)
    };
    Ok(Head { status, content })
}

impl Answer {
    /// Itself where it says yes, what it says otherwise.
    pub(super) fn success(mut self) -> Result<Self, ClientError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let status = self.status;
        let failure: Failure = self.json().unwrap_or_else(|_| Failure {
            kind: FailureKind::Internal,
            error: format!("the guest's agent answers with status {status}"),
        });
        Err(ClientError::Refused(failure))
    }

    /// Reads a body that nobody needs.
    pub(super) fn nothing(mut self) -> Result<(), ClientError> {
        self.copy_to(&mut io::sink()).map(drop)
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let mut body = Bounded { bytes: Vec::new() };
        match self.copy_to(&mut body) {
            Err(ClientError::Local { source, .. }) => Err(ClientError::Answer(source.to_string())),
            copied => copied,
        }?;
        serde_json::from_slice(&body.bytes).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// Writes the body to `to`. How many bytes it has.
    pub(super) fn copy_to(&mut self, to: &mut dyn Write) -> Result<u64, ClientError> {
        match self.content {
            Content::Upgraded => Ok(0),
            Content::Length(length) => self.copy_bytes(length, to),
            Content::Chunked => {
                let mut total = 0_u64;
                loop {
                    let length = self.chunk()?;
                    total = total.saturating_add(self.copy_bytes(length, to)?);
                    // After a chunk, and instead of trailers after the last one, there is an empty line.
                    if !self.line()?.is_empty() {
                        return Err(ClientError::Answer("a chunk that does not end".into()));
                    }
                    if length == 0 {
                        return Ok(total);
                    }
                }
            }
        }
    }

    fn chunk(&mut self) -> Result<u64, ClientError> {
        let line = self.line()?;
        let number = line.split(';').next().unwrap_or_default();
        u64::from_str_radix(number, 16).map_err(|_| ClientError::Answer("a chunk without a length".into()))
    }

    fn line(&mut self) -> Result<String, ClientError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(CHUNK_LINE);
        limited.read_until(b'\n', &mut line).map_err(ClientError::io("read from the guest"))?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if line.is_empty() => Err(early()),
            None => Err(ClientError::Answer("a chunk without a length".into())),
        }
    }

    fn copy_bytes(&mut self, length: u64, to: &mut dyn Write) -> Result<u64, ClientError> {
        let mut left = length;
        while left > 0 {
            let bytes = self.reader.fill_buf().map_err(ClientError::io("read from the guest"))?;
            let piece = bytes.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(bytes);
            if piece.is_empty() {
                return Err(early());
            }
            to.write_all(piece).map_err(ClientError::local("write what comes from the guest"))?;
            let count = piece.len();
            self.reader.consume(count);
            left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        }
        Ok(length)
    }
}

fn early() -> ClientError {
    let source = io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off");
    ClientError::Io { doing: "read from the guest", source }
}

/// A JSON body on its way.
struct Bounded {
    bytes: Vec<u8>,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > JSON_BYTES {
            return Err(io::Error::other(format!("a body of more than {JSON_BYTES} bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_understood_or_refused() {
        let cases: &[(&str, Option<Head>)] = &[
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some(Head { status: 200, content: Content::Length(5) })),
            ("HTTP/1.1 204 No\r\n\r\n", Some(Head { status: 204, content: Content::Length(0) })),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n",
                Some(Head { status: 200, content: Content::Chunked }),
            ),
            (
                "HTTP/1.1 101 x\r\nUpgrade: banger-stream\r\n\r\n",
                Some(Head { status: 101, content: Content::Upgraded }),
            ),
            ("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("SSH-2.0-OpenSSH\r\n\r\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(&answer(&mut text.as_bytes()).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(HEAD_BYTES));
        assert!(matches!(answer(&mut endless.as_bytes()), Err(ClientError::Io { .. })));
    }
}
