//! One question after another, each over a connection of its own.

use std::io;
use std::path::{Path, PathBuf};

use banger_api::job::{CancelJob, Job};
use banger_api::system::{Info, StopDaemon};
use banger_api::{ErrorKind, Problem, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{ConnectError, connect};
use crate::http::{Answer, Request, exchange};
use crate::limits::ANSWER_BYTES;

/// A daemon that can be asked. What takes long is ended early when the observer wishes it, unless others wait for it too.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Sees that a daemon listens on a socket.
    ///
    /// # Errors
    /// None does, or it is somebody else's.
    pub fn connect(socket: &Path) -> std::result::Result<Self, ConnectError> {
        connect(socket).map(|_| Self { socket: socket.to_owned() })
    }

    /// `job.list`: the oldest first.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        self.get("job.list")
    }

    /// `job.show`
    ///
    /// # Errors
    /// There is no job of this number, or the daemon does not answer.
    pub fn job(&self, id: u64) -> Result<Job> {
        self.get(&format!("job.show?id={id}"))
    }

    /// `job.cancel`: the job as it is then.
    ///
    /// # Errors
    /// There is no job of this number, or the daemon does not answer.
    pub fn cancel(&self, request: &CancelJob) -> Result<Job> {
        self.post("job.cancel", request)
    }

    /// `system.stop`: the daemon that will end.
    ///
    /// # Errors
    /// It has jobs, or does not answer.
    pub fn stop(&self, force: bool) -> Result<Info> {
        self.post("system.stop", &StopDaemon { force })
    }

    pub(crate) fn get<A: DeserializeOwned>(&self, target: &str) -> Result<A> {
        self.read(self.ask("GET", target, None)?)
    }

    pub(crate) fn post<A: DeserializeOwned>(&self, operation: &str, request: &impl Serialize) -> Result<A> {
        let body = serde_json::to_vec(request).map_err(|error| Problem::of(ErrorKind::Usage, &error))?;
        self.read(self.ask("POST", operation, Some(&body))?)
    }

    /// An answer that is no problem.
    pub(crate) fn ask(&self, method: &'static str, target: &str, body: Option<&[u8]>) -> Result<Answer> {
        let stream = connect(&self.socket)?;
        let target = format!("/v{}/{target}", banger_api::system::API_VERSION);
        let answer = exchange(stream, Request { method, target: &target, body });
        let answer = answer.map_err(|error| self.failed(&error))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let status = answer.status;
        let bytes = answer.body.read_all(ANSWER_BYTES).map_err(|error| self.failed(&error))?;
        let other = |_| Problem::new(ErrorKind::Other, format!("the daemon answers with status {status}"));
        Err(serde_json::from_slice(&bytes).unwrap_or_else(other))
    }

    fn read<A: DeserializeOwned>(&self, answer: Answer) -> Result<A> {
        let bytes = answer.body.read_all(ANSWER_BYTES).map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| nonsense().because(&error))
    }

    /// The connection broke.
    pub(crate) fn failed(&self, error: &io::Error) -> Problem {
        Problem::new(ErrorKind::Other, format!("cannot ask the daemon on {}", self.socket.display())).because(error)
    }
}

/// The answer is none of those that there are.
pub(crate) fn nonsense() -> Problem {
    let problem = Problem::new(ErrorKind::Other, "the daemon's answer makes no sense");
    problem.hint("it may be of another version: end it, so that another one is started")
}

/// Text as a part of a query (RFC 3986, section 2.1).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
