//! A server that does what it is told, files with holes, and a watcher that remembers.

use banger_catalog::fetch::{Answer, Fetch, FetchError};
use banger_catalog::{Content, ErrorKind, Watch};
use banger_oci::Digest;
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the program is there. Where judges are required it must be.
pub(crate) fn judge(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        let required =
            std::env::var_os("CI").is_some() || std::env::var("BANGER_JUDGES").is_ok_and(|value| value == "required");
        assert!(!required, "{program} is missing");
        eprintln!("SKIPPED: {program} is missing");
    }
    found
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Bytes that do not compress, and are the same each time.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn content(bytes: &[u8]) -> Content {
    Content { sha256: Digest::sha256(bytes), size: bytes.len() as u64 }
}

/// An error and its causes.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file with data at some places and holes elsewhere.
pub(crate) fn sparse(path: &Path, size: u64, data: &[(u64, &[u8])]) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    file.set_len(size).unwrap();
    for (offset, bytes) in data {
        file.write_all_at(bytes, *offset).unwrap();
    }
    file
}

/// How one request is answered; the default is: as it should be.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    Right,
    /// From the beginning, whatever was asked for.
    Everything,
    /// So many bytes, then the connection breaks.
    Break(usize),
    /// So many bytes, then the body ends, though more were promised.
    End(usize),
    /// The length is not told, and only so many bytes come.
    Short(usize),
    /// The length is not told, and more comes than there should be.
    Long,
    /// Another length is told.
    Total(u64),
    /// The body begins elsewhere.
    Offset(u64),
    /// The same length, other bytes.
    Other,
    /// No answer.
    Fail(ErrorKind),
}

/// A server.
#[derive(Default)]
pub(crate) struct Server {
    pub(crate) files: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) turns: Mutex<VecDeque<Turn>>,
    /// What to do when no turn is left.
    pub(crate) always: Option<Turn>,
    pub(crate) requests: Mutex<Vec<(String, u64)>>,
}

impl Server {
    pub(crate) fn with(url: &str, file: &[u8]) -> Self {
        let server = Self::default();
        server.put(url, file);
        server
    }

    pub(crate) fn put(&self, url: &str, file: &[u8]) {
        self.files.lock().unwrap().insert(url.to_owned(), file.to_vec());
    }

    pub(crate) fn remove(&self, url: &str) {
        self.files.lock().unwrap().remove(url);
    }

    pub(crate) fn turns(self, turns: &[Turn]) -> Self {
        self.turns.lock().unwrap().extend(turns.iter().cloned());
        self
    }

    /// The offsets that were asked for.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.requests.lock().unwrap().iter().map(|(_, offset)| *offset).collect()
    }
}

impl Fetch for Server {
    fn get(&self, url: &str, offset: u64) -> Result<Answer, FetchError> {
        self.requests.lock().unwrap().push((url.to_owned(), offset));
        let turn = self.turns.lock().unwrap().pop_front().or(self.always.clone()).unwrap_or(Turn::Right);
        let file = self.files.lock().unwrap().get(url).cloned();
        let file = file.ok_or_else(|| FetchError::new(ErrorKind::NotFound, "404"))?;
        let total = Some(file.len() as u64);
        let rest = file[usize::try_from(offset).unwrap()..].to_vec();
        let answer = |offset, total, body: Vec<u8>| Answer { offset, total, body: Box::new(Cursor::new(body)) };
        Ok(match turn {
            Turn::Right => answer(offset, total, rest),
            Turn::Everything => answer(0, total, file),
            Turn::Break(count) => {
                let body = Cursor::new(rest[..count.min(rest.len())].to_vec()).chain(Broken);
                Answer { offset, total, body: Box::new(body) }
            }
            Turn::End(count) => answer(offset, total, rest[..count.min(rest.len())].to_vec()),
            Turn::Short(count) => answer(offset, None, rest[..count.min(rest.len())].to_vec()),
            Turn::Long => answer(offset, None, [rest, b"more".to_vec()].concat()),
            Turn::Total(total) => answer(offset, Some(total), rest),
            Turn::Offset(offset) => answer(offset, total, rest),
            Turn::Other => answer(offset, total, rest.iter().map(|byte| byte ^ 1).collect()),
            Turn::Fail(kind) => return Err(FetchError::new(kind, "there is no network")),
        })
    }
}

/// A connection that breaks.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// Remembers what it is told, and has it end after a while.
#[derive(Default)]
pub(crate) struct Watcher {
    pub(crate) told: Mutex<Vec<String>>,
    pub(crate) received: AtomicU64,
    /// Bytes after which it is to end; 0 for never.
    pub(crate) enough: u64,
}

impl Watcher {
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn tell(&self, text: String) {
        self.told.lock().unwrap().push(text);
    }
}

impl Watch for Watcher {
    fn go_on(&self) -> bool {
        self.enough == 0 || self.received.load(Ordering::Relaxed) < self.enough
    }

    fn resumed(&self, bytes: u64) {
        self.tell(format!("resumed {bytes}"));
    }

    fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn restarted(&self) {
        self.tell("restarted".to_owned());
    }

    fn shared(&self) {
        self.tell("shared".to_owned());
    }

    fn advanced(&self, done: u64, total: u64) {
        assert!(done <= total);
        self.received.store(done, Ordering::Relaxed);
    }
}
