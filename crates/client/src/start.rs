//! Starts the daemon where none answers.
//!
//! Of several who want one at once, one starts it, under a lock; the others find it. The daemon goes on when who started it
//! ends: it makes a session of its own, reads nothing, and writes into a log.
//!
//! A daemon of another version is asked to end when it has nothing to do, and one of this version takes its place. While it has
//! jobs it is left alone: it is asked all the same if it speaks this version of the API, with a warning.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use banger_api::system::{API_VERSION, Info};
use banger_api::{ErrorKind, Problem, Service};

use crate::client::Client;
use crate::connection::ConnectError;
use crate::limits::{LOG_BYTES, LOG_SHOWN, START, START_AGAIN, START_GLANCE};

/// What the daemon exits with when another has the socket, perhaps one that is about to end: it can be tried again
/// (`EX_TEMPFAIL`, sysexits.h).
pub const EXIT_TAKEN: u8 = 75;

/// The name of the daemon's program.
const PROGRAM: &str = "bangerd";

/// A daemon, as it would be started.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Where it listens.
    pub socket: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Its arguments. It has to listen on `socket`, and to leave the session that it was started in.
    pub arguments: Vec<OsString>,
    /// What its standard error is appended to.
    pub log: PathBuf,
    /// The version that it should be of.
    pub version: String,
}

/// A daemon that answers.
#[derive(Debug)]
pub struct Ensured {
    /// What to ask it by.
    pub client: Client,
    /// What is odd about it.
    pub warning: Option<String>,
}

/// Why no daemon answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else's does, or none can.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It answers that it does not work.
    #[error("the daemon does not answer as it should")]
    Answer(#[source] Problem),
    /// One of another version has jobs, and does not understand this one.
    #[error("a daemon of version {0} is running, which this version cannot ask")]
    Incompatible(String),
    /// The system does not allow it.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It was started, and ended.
    #[error("{} {how}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        how: String,
        /// The end of its log.
        log: String,
    },
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let problem = Self::of(ErrorKind::Other, &error);
        match error {
            StartError::Failed { log, .. } if !log.is_empty() => problem.hint(format!("it said: {log}")),
            StartError::Incompatible(_) => problem.hint("wait until its jobs are done, or use --no-daemon"),
            _ => problem.hint("--no-daemon does without it"),
        }
    }
}

impl StartError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// The daemon's program: beside the one that runs, or else where programs are found.
pub fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM))
}

impl Daemon {
    /// Sees that a daemon answers.
    ///
    /// # Errors
    /// As they say.
    pub fn ensure(&self) -> Result<Ensured, StartError> {
        let client = match Client::connect(&self.socket) {
            Ok(client) => client,
            Err(ConnectError::Absent { .. }) => return self.start(None),
            Err(error) => return Err(error.into()),
        };
        let info = match client.system_info() {
            Ok(info) => info,
            // It ended just now, having had nothing to do.
            Err(_) if Client::connect(&self.socket).is_err() => return self.start(None),
            Err(problem) => return Err(StartError::Answer(problem)),
        };
        if info.version == self.version {
            return Ok(Ensured { client, warning: None });
        }
        match client.stop(false) {
            Ok(ending) => self.start(ending.pid),
            Err(_) if info.api == API_VERSION => Ok(self.judge(client, &info)),
            Err(_) => Err(StartError::Incompatible(info.version)),
        }
    }

    fn judge(&self, client: Client, info: &Info) -> Ensured {
        let warning = (info.version != self.version)
            .then(|| format!("the daemon is of version {}, this program of {}", info.version, self.version));
        Ensured { client, warning }
    }

    /// Starts it, unless somebody else did by now. The one of the process `ending` does not count.
    fn start(&self, ending: Option<u32>) -> Result<Ensured, StartError> {
        if let Some(directory) = self.socket.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(StartError::io("create", directory))?;
        }
        let mut lock = self.socket.as_os_str().to_owned();
        lock.push(".start");
        let lock = PathBuf::from(lock);
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
        let held = open.map_err(StartError::io("open", &lock))?;
        held.lock().map_err(StartError::io("lock", &lock))?;

        let begun = Instant::now();
        let mut pause = START_GLANCE;
        let mut child: Option<Child> = None;
        loop {
            match Client::connect(&self.socket) {
                // One that is about to end may still have a connection that waits: only an answer counts.
                Ok(client) => match client.system_info() {
                    Ok(info) if ending.is_none() || info.pid != ending => return Ok(self.judge(client, &info)),
                    _ => {}
                },
                Err(ConnectError::Absent { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let ended = child.as_mut().map(Child::try_wait).transpose();
            match ended.map_err(StartError::io("wait for", &self.program))?.flatten() {
                Some(status) if status.code() != Some(i32::from(EXIT_TAKEN)) => {
                    return Err(self.failed(format!("ended with {status}")));
                }
                // Another has the socket: it answers soon, or ends.
                Some(_) => (child, pause) = (None, START_AGAIN),
                None => {}
            }
            if begun.elapsed() > START {
                return Err(self.failed("does not answer".to_owned()));
            }
            if child.is_none() {
                child = Some(self.spawn()?);
            }
            std::thread::sleep(pause);
        }
    }

    fn spawn(&self) -> Result<Child, StartError> {
        if let Some(directory) = self.log.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(StartError::io("create", directory))?;
        }
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.log);
        let log = open.map_err(StartError::io("open", &self.log))?;
        if log.metadata().is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
            log.set_len(0).map_err(StartError::io("shorten", &self.log))?;
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map_err(StartError::io("start", &self.program))
    }

    fn failed(&self, how: String) -> StartError {
        let log = tail(&self.log).unwrap_or_default();
        StartError::Failed { program: self.program.clone(), how, log }
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_SHOWN)))?;
    let mut bytes = Vec::new();
    file.take(LOG_SHOWN).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
