//! Talking to the agent in a guest, as any program could: HTTP/1.1 in plain bytes over the socket that leads to its vsock port.
//!
//! It shares no code with banger's own client.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take: a guest under emulation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The socket of a machine's vsock device, which speaks as that of Firecracker does: the port first, then a connection to it.
pub(crate) struct Agent {
    socket: PathBuf,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Agent {
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// A connection to a port of the guest.
    ///
    /// # Errors
    /// Nobody answers there: why.
    pub(crate) fn connect(&self, port: u32) -> Result<UnixStream, String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|error| format!("connecting: {error}"))?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // In one piece: vhost-device-vsock takes what it reads first for the whole line.
        let line = format!("CONNECT {port}\n");
        stream.write_all(line.as_bytes()).map_err(|error| format!("asking for port {port}: {error}"))?;
        // Not a byte more than the line: what follows it is the guest's.
        let mut line = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte).map_err(|error| format!("waiting for port {port}: {error}"))? == 1
            && byte != *b"\n"
        {
            line.push(byte[0]);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.starts_with("OK ") { Ok(stream) } else { Err(format!("port {port}: {line:?}")) }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, b"")
    }

    /// The body of an answer that must be 200, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "GET {path}: {answer}");
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("GET {path}: {error}: {answer}"))
    }

    /// Starts a command, as `POST /exec` has it.
    #[track_caller]
    pub(crate) fn start(&self, exec: &Value) -> Execution {
        let body = exec.to_string();
        let stream = self.connect(10_240);
        let mut stream = stream.unwrap_or_else(|error| panic!("{}: {error}", self.socket.display()));
        let length = body.len();
        let head = "POST /exec HTTP/1.1\r\nHost: guest\r\nConnection: Upgrade\r\nUpgrade: banger-stream";
        write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut stream = BufReader::new(stream);
        let lines = read_head(&mut stream);
        if status(&lines) != 101 {
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            panic!("{exec} is refused: {lines:?} {answer}");
        }
        Execution { stream, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn exec(&self, exec: &Value) -> Executed {
        self.start(exec).end()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let stream = self.connect(10_240);
        let mut stream = stream.unwrap_or_else(|error| panic!("{}: {error}", self.socket.display()));
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: guest\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        read(stream)
    }
}

/// A command that runs in a guest, with the connection that carries its streams.
pub(crate) struct Execution {
    stream: BufReader<UnixStream>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// How a command in a guest has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// As a shell has it: 128 and the number of a signal that ended it.
    pub(crate) status: i32,
}

impl Execution {
    /// Waits until standard output has this text.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.stdout).contains(text) {
            let ended = self.frame();
            assert_eq!(ended, None, "{text:?} did not come: {}", String::from_utf8_lossy(&self.stdout));
        }
    }

    /// Sends a signal, by its number.
    pub(crate) fn signal(&mut self, number: u8) {
        self.stream.get_mut().write_all(&[5, 0, 0, 0, 1, number]).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Executed {
        let status = loop {
            if let Some(status) = self.frame() {
                break status;
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Executed { stdout: text(&self.stdout), stderr: text(&self.stderr), status }
    }

    /// One frame: the status, if it is the last one.
    #[track_caller]
    fn frame(&mut self) -> Option<i32> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        match head[0] {
            1 => self.stdout.extend(payload),
            2 => self.stderr.extend(payload),
            3 => {
                let number = i32::from_be_bytes(payload[1..].try_into().unwrap());
                return Some(if payload[0] == 0 { number } else { 128 + number });
            }
            other => panic!("a frame of type {other}"),
        }
        None
    }
}

fn read(stream: UnixStream) -> Answer {
    let mut stream = BufReader::new(stream);
    let lines = read_head(&mut stream);
    let status = status(&lines);
    let is_chunked = lines.iter().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let length = u64::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
            stream.by_ref().take(length).read_to_end(&mut body).unwrap();
            stream.read_line(&mut line).unwrap();
            if length == 0 {
                break;
            }
        }
    } else {
        stream.read_to_end(&mut body).unwrap();
    }
    Answer { status, body }
}

/// The lines before an empty one.
fn read_head(stream: &mut impl BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            return lines;
        }
        lines.push(line);
    }
}

#[track_caller]
fn status(lines: &[String]) -> u16 {
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {lines:?}"))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
