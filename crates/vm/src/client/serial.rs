//! A conversation over a virtio-serial port: a pipe without beginning or end, that outlives those who use it.
//!
//! What an earlier user did not read may still come, and what he did not finish the guest may still wait for. So a conversation
//! begins with `GET /sync/NUMBER`, which the agent answers with a header field `Sync: NUMBER`; all before that answer belongs to
//! somebody else. Where no answer comes, the port is closed, which the guest sees, and tried again later.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::ClientError;
use super::stream::Stream;

/// How long the answer to the first greeting may take: the agent gives it at once, if it is there. Each further greeting may take twice as long
/// as the one before, because a guest on a busy host may be slower than any time.
const GREETING: Duration = Duration::from_millis(1500);
/// How long a port is left alone in which nobody answered: the guest needs to see that it was closed.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that may come before the answer to a greeting: what the guest's and the host's queues hold, and more.
const STALE_BYTES: usize = 4 << 20;

/// A conversation over the first port that is free.
pub(super) fn connect(
    paths: &[PathBuf],
    patience: Duration,
    failed: impl Fn(io::Error) -> ClientError,
) -> Result<Stream, ClientError> {
    let deadline = Instant::now().checked_add(patience);
    let mut greeting = GREETING.min(patience);
    loop {
        let mut last = None;
        for path in paths {
            let Some(lock) = lock(path).map_err(&failed)? else { continue };
            match converse(path, greeting, lock) {
                Ok(stream) => return Ok(stream.with_patience(Some(patience))),
                Err(error) => last = Some(error),
            }
        }
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(last.map_or(ClientError::Busy(paths.len()), failed));
        }
        greeting = greeting.saturating_mul(2).min(patience);
        std::thread::sleep(PAUSE);
    }
}

/// None: somebody else has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Greets the agent, whose answer may take `time`.
fn converse(path: &Path, time: Duration, lock: File) -> io::Result<Stream> {
    let mut stream = Stream::new(UnixStream::connect(path)?.into(), time, Some(lock))?;
    // A number that nobody has used: hash maps are seeded with random ones.
    let number = format!("{:016x}", RandomState::new().build_hasher().finish());
    // One piece: the port has a queue of buffers, and each write takes one of them.
    stream.write_all(format!("GET /sync/{number} HTTP/1.1\r\n\r\n").as_bytes())?;
    let end = format!("Sync: {number}\r\n\r\n");
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let deadline = Instant::now().checked_add(time);
    loop {
        // The agent says nothing after its answer before it is asked something: so the answer is the end of what is read.
        let count = stream.read(&mut buffer)?;
        seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if seen.ends_with(end.as_bytes()) {
            return Ok(stream);
        }
        let late = deadline.is_none_or(|deadline| Instant::now() >= deadline);
        if count == 0 || late || seen.len() > STALE_BYTES {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the agent does not answer on the serial port"));
        }
    }
}
