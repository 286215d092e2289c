//! Talks to the agent of one machine: HTTP over whatever leads there.
//!
//! Each request has a connection of its own, so a [`Client`] may be used by many threads at a time. What the agent says is
//! foreign: heads, bodies and frames have limits, and no answer takes longer than it may.
//!
//! - [`connector`]: ways to the agent; `stream`: one connection
//! - `http`: one request and its answer
//! - [`session`]: a command in the guest; [`attach`]: with this process' standard streams and [`terminal`]

pub mod attach;
pub mod connector;
mod error;
mod http;
mod serial;
pub mod session;
mod stream;
pub mod terminal;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::Exec;
use banger_protocol::health::{Health, Status};
use banger_protocol::ports::Ports;
use banger_protocol::shutdown::{Action, Shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::attach::Attachment;
pub use self::connector::Connector;
pub use self::error::ClientError;
use self::http::{Answer, Content, Request};
pub use self::session::{Event, Line, Sender, Session};

/// How long the agent may be silent before it is given up, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the first attempt may take while it is waited for a guest that boots. Each further one that takes too long may take twice as long as
/// the one before.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// The way to one machine's agent.
#[derive(Clone, Debug)]
pub struct Client {
    connector: Connector,
    patience: Duration,
}

impl Client {
    /// One that has not asked anything yet.
    pub fn new(connector: Connector) -> Self {
        Self { connector, patience: PATIENCE }
    }

    /// The same, but with another limit to the agent's silence. Sessions are exempt: a command may be silent for ever.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How the guest is.
    ///
    /// # Errors
    /// The agent cannot be reached, or makes no sense.
    pub fn health(&self) -> Result<Health, ClientError> {
        self.json(&Request::get("/healthz"))
    }

    /// Waits until the agent has done what it does at boot: until it answers with anything but [`Status::Starting`].
    /// `still_alive` is asked between attempts whether waiting makes sense.
    ///
    /// # Errors
    /// - [`ClientError::Gone`]: `still_alive` said no.
    /// - [`ClientError::NotHealthy`]: not until the deadline; with what was the matter last.
    pub fn wait_healthy(
        &self,
        deadline: Instant,
        mut still_alive: impl FnMut() -> bool,
    ) -> Result<Health, ClientError> {
        let mut attempt = ATTEMPT.min(self.patience);
        loop {
            let begun = Instant::now();
            let asking = self.clone().with_patience(attempt);
            let (tell, told) = sync_channel(1);
            // In a thread of its own, which is left behind when waiting makes no sense any more.
            let ask = move || drop(tell.send(asking.health()));
            let asked = thread::Builder::new().name("health".into()).spawn(ask);
            asked.map_err(ClientError::local("start a thread"))?;
            let last = loop {
                match told.recv_timeout(PAUSE) {
                    Ok(Ok(health)) if health.status != Status::Starting => return Ok(health),
                    Ok(Ok(_)) => break None,
                    Ok(Err(error)) => break Some(Box::new(error)),
                    Err(RecvTimeoutError::Timeout) if still_alive() && Instant::now() < deadline => {}
                    Err(_) => break None,
                }
            };
            if !still_alive() {
                return Err(ClientError::Gone);
            }
            if Instant::now() >= deadline {
                return Err(ClientError::NotHealthy { last });
            }
            if last.is_some() && begun.elapsed() >= attempt {
                attempt = attempt.saturating_mul(2).min(self.patience);
            }
            thread::sleep(PAUSE);
        }
    }

    /// What listens in the guest.
    ///
    /// # Errors
    /// The agent cannot be reached, or makes no sense.
    pub fn ports(&self) -> Result<Ports, ClientError> {
        self.json(&Request::get("/ports"))
    }

    /// Starts a command.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the agent cannot start it: its kind says whether it is
    /// [not there](banger_protocol::failure::FailureKind::NotFound) or
    /// [cannot be run](banger_protocol::failure::FailureKind::NotPermitted).
    pub fn exec(&self, exec: &Exec) -> Result<Session, ClientError> {
        self.session(&Request::post("/exec", to_json(exec)?))
    }

    /// Attaches to the workload: all that is kept of its output, then what comes, then how it ended.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the guest has none.
    pub fn workload(&self) -> Result<Session, ClientError> {
        self.session(&Request::get("/workload"))
    }

    /// Writes a tar archive of the guest's file or tree at an absolute path to `to`. How many bytes it has.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where it is not there, [`ClientError::Local`] where `to` fails.
    pub fn get_files(&self, path: impl AsRef<Path>, to: &mut dyn Write) -> Result<u64, ClientError> {
        let mut answer = self.ask(&Request::get(files(path.as_ref())))?;
        answer.copy_to(to)
    }

    /// Extracts a tar archive below the guest's directory at an absolute path. What stands there already is replaced.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the agent takes it amiss, what came before stays; [`ClientError::Local`] where `from` fails.
    pub fn put_files(&self, path: impl AsRef<Path>, from: &mut dyn Read) -> Result<(), ClientError> {
        let request = Request::put(files(path.as_ref()));
        let stream = self.connector.connect(self.patience)?;
        http::exchange_streaming(stream, &request, from)?.nothing()
    }

    /// Ends the machine, or starts it again. The agent has agreed when this returns, and has not done it yet.
    ///
    /// # Errors
    /// The agent cannot be reached, or makes no sense.
    pub fn shutdown(&self, action: Action) -> Result<(), ClientError> {
        self.ask(&Request::post("/shutdown", to_json(&Shutdown { action })?))?.nothing()
    }

    fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        self.ask(request)?.json()
    }

    /// The answer, if it says yes.
    fn ask(&self, request: &Request) -> Result<Answer, ClientError> {
        http::exchange(self.connector.connect(self.patience)?, request)?.success()
    }

    fn session(&self, request: &Request) -> Result<Session, ClientError> {
        let answer = http::exchange(self.connector.connect(self.patience)?, &request.upgrading())?;
        match answer.content {
            Content::Upgraded => Ok(Session::new(answer.reader)),
            _ => match answer.success() {
                Ok(_) => Err(ClientError::Answer("there is no stream where one was asked for".into())),
                Err(refused) => Err(refused),
            },
        }
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|error| ClientError::Answer(error.to_string()))
}

/// `/files` of a path: all but what RFC 3986 calls unreserved is encoded.
fn files(path: &Path) -> String {
    let mut target = String::from("/files?path=");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => target.push(byte.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(target, "%{byte:02X}")),
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded() {
        assert_eq!(files(Path::new("/a b/ü&c%.txt")), "/files?path=/a%20b/%C3%BC%26c%25.txt");
    }
}
