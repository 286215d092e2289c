//! Daemons: in this process, or in one of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use banger_daemon::{Options, ServeError, Socket, serve};

use super::curl::curl;
use super::memory::Memory;

/// How long anything may take before a test is given up: only what hangs is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is the case.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A daemon in this process.
pub(crate) struct Served {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(&Options::default())
    }

    pub(crate) fn with(options: &Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/bangerd.sock");
        let bound = Socket::bind(&socket).unwrap();
        let options = options.clone();
        let service = Arc::new(Memory::new("1"));
        let thread = std::thread::spawn(move || serve(bound, service, &options));
        Self { directory, socket, thread: Some(thread) }
    }

    /// A path in a directory that is removed with the daemon.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The source of a pull that waits for this file.
    pub(crate) fn until(&self, name: &str) -> String {
        format!("until:{}", self.path(name).display())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if std::thread::panicking() {
            return;
        }
        assert_eq!(curl(&self.socket, "/v1/system.stop", Some(r#"{"force":true}"#)).status, 200);
        thread.join().unwrap().unwrap();
        assert!(!self.socket.exists());
    }
}

/// A daemon in a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) said: Vec<String>,
}

impl Process {
    pub(crate) fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg(socket).args(arguments);
        Self::run(&mut command)
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits until it says something.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never said {text:?}, but {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(text) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Its exit code.
    #[track_caller]
    pub(crate) fn code(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of the daemon", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of `examples/memory.rs`, which cargo makes with the tests.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/memory")
}
