//! Machines that `banger run` boots, with Debian's kernel and in an environment of their own.
//!
//! At most two run at the same time: more would only be slower, and hit their time limits.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::agent::Agent;
use super::corpus::repository;
use super::judge;
use super::program::{PROGRAM, Run};
use super::scratch;
use crate::args;

/// Seconds after which a machine has hung; it is asked to stop then, and killed later.
const LIMIT: &str = "660";

/// How long anything in a guest may take, on a busy machine and without KVM.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the machines of one test share: where their disks and logs are.
pub(crate) struct Machines {
    home: TempDir,
    /// Sockets: their paths must be short.
    run: TempDir,
    kernel: PathBuf,
    /// How agents are reached: the value of `--channel`.
    channel: &'static str,
}

impl Machines {
    /// None where something that is needed is missing, and may be.
    pub(crate) fn new() -> Option<Self> {
        for needed in ["qemu-system-x86_64", "qemu-img", "e2fsck", "apt-get", "dpkg-deb", "timeout"] {
            if !judge::is_here(needed) {
                judge::missing(needed, "a machine");
                return None;
            }
        }
        let kernel = repository().join("target/kernel");
        Run::of(Command::new(repository().join("tests/boot/fetch-kernel.sh")).arg(&kernel)).ok();
        let run = tempfile::tempdir().unwrap();
        Some(Self { home: scratch(), run, kernel, channel: "vhost-user" })
    }

    /// Machines that can be reached over vsock only.
    pub(crate) fn with_vsock() -> Option<Self> {
        if !tool().exists() {
            judge::missing("target/tools/bin/vhost-device-vsock", "a machine");
            return None;
        }
        Self::new()
    }

    /// Machines on a host that has no vsock.
    pub(crate) fn without_vsock() -> Option<Self> {
        Some(Self { channel: "serial", ..Self::new()? })
    }

    /// Machines whose initramfs lacks a directory of modules: for the guest, the kernel has them all the same.
    pub(crate) fn without_modules_in(mut self, directory: &str) -> Self {
        let kernel = self.path("kernel");
        std::fs::create_dir(&kernel).unwrap();
        std::fs::copy(self.kernel.join("vmlinuz"), kernel.join("vmlinuz")).unwrap();
        judge::ask("cp", args!["-r", self.kernel.join("modules"), kernel]).ok();
        std::fs::remove_dir_all(kernel.join("modules").join(directory)).unwrap();
        self.kernel = kernel;
        self
    }

    /// A place for files of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `banger run`, with the kernel.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--signal=TERM", "--kill-after=20", LIMIT, PROGRAM, "run"]);
        command.args(args!["--kernel", self.kernel.join("vmlinuz"), "--modules", self.kernel.join("modules")]);
        command.args(["--channel", self.channel]);
        command.args(arguments).env_clear().envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs the program for something else than a machine of which everything is said, and without a daemon.
    pub(crate) fn banger<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        let _permit = Permit::wait();
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--signal=TERM", "--kill-after=20", LIMIT, PROGRAM]).args(arguments);
        command.env_clear().envs(self.environment()).env("BANGER_NO_DAEMON", "1").stdin(Stdio::null());
        Run::of(&mut command)
    }

    /// The variables of its user.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        vec![
            ("PATH", path),
            ("HOME", self.home.path().into()),
            ("XDG_STATE_HOME", self.home.path().join("state").into()),
            ("XDG_RUNTIME_DIR", self.run.path().into()),
            ("BANGER_VHOST_DEVICE_VSOCK", tool().into()),
            ("TERM", "dumb".into()),
        ]
    }

    /// Runs a machine to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        let _permit = Permit::wait();
        Run::of(&mut self.command(arguments))
    }

    /// Starts a machine.
    #[track_caller]
    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Running<'_> {
        let permit = Permit::wait();
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = Collected::of(child.stdout.take().unwrap());
        let stderr = Collected::of(child.stderr.take().unwrap());
        Running { machines: self, child, stdin, stdout, stderr, permit: Some(permit) }
    }

    /// The directories of the machines that are there, running or not.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("state/banger/machines")) else { return Vec::new() };
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        found.sort();
        found
    }

    /// The directory of the one machine that there is.
    #[track_caller]
    pub(crate) fn directory(&self) -> PathBuf {
        let found = self.directories();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// What the one machine that there is has said on its console.
    #[track_caller]
    pub(crate) fn serial_log(&self) -> String {
        let log = self.directory().join("serial.log");
        let bytes = std::fs::read(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The right to run a machine in another way than by the functions here.
    pub(crate) fn permit(&self) -> Permit {
        Permit::wait()
    }

    /// The disk of the one machine that there is, as a file system of its own: what the image was, and what was written since.
    #[track_caller]
    pub(crate) fn disk(&self) -> PathBuf {
        let disk = self.path("disk");
        let overlay = self.directory().join("overlay.qcow2");
        judge::ask("qemu-img", args!["convert", "-O", "raw", overlay, disk]).ok();
        disk
    }

    /// e2fsck must find nothing wrong with the disk that a machine has left.
    #[track_caller]
    pub(crate) fn disk_is_clean(&self) {
        let disk = self.disk();
        judge::e2fsck(&disk, &[]);
        std::fs::remove_file(disk).unwrap();
    }
}

/// The vsock device that `make` has put there.
fn tool() -> PathBuf {
    repository().join("target/tools/bin/vhost-device-vsock")
}

/// A TCP port that is free now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The right to run a machine.
pub(crate) struct Permit;

static RUNNING: Mutex<u8> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Permit {
    fn wait() -> Self {
        let running = RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut running =
            ENDED.wait_while(running, |running| *running >= 2).unwrap_or_else(|poisoned| poisoned.into_inner());
        *running += 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) -= 1;
        ENDED.notify_one();
    }
}

/// A machine that runs: `banger run`, which waits for what its test does.
pub(crate) struct Running<'a> {
    machines: &'a Machines,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
    /// Until it has ended.
    permit: Option<Permit>,
}

impl Running<'_> {
    /// Waits until this is on standard output.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("{text:?} on standard output"), |running| running.stdout.text().contains(text));
    }

    /// Waits until something holds that the machine must come to before it ends.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() && holds(self) {
                return;
            }
            assert!(ended.is_none(), "it ended ({ended:?}) before {what}: {self}");
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}: {self}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Writes to its standard input.
    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Closes its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to `banger run`.
    pub(crate) fn signal(&self, name: &str) {
        // Behind `timeout`, which hands on what it is sent.
        judge::ask("kill", args![format!("-{name}"), self.child.id().to_string()]).ok();
    }

    /// The agent in it, reached over vsock.
    #[track_caller]
    pub(crate) fn agent(&self) -> Agent {
        let description = self.machines.directory().join("machine.json");
        let description: Value = serde_json::from_slice(&std::fs::read(description).unwrap()).unwrap();
        let sockets = description["sockets"].as_str().unwrap_or_else(|| panic!("no sockets in {description}"));
        Agent::at(PathBuf::from(sockets).join("vsock"))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Ended {
        self.close_stdin();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {self}");
            thread::sleep(Duration::from_millis(50));
        };
        self.permit = None;
        Ended { code: status.code(), stdout: self.stdout.all(), stderr: self.stderr.all() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("TERM");
            let _ = self.child.wait();
        }
    }
}

impl fmt::Display for Running<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout.text(), self.stderr.text())?;
        for directory in self.machines.directories() {
            let log = std::fs::read(directory.join("serial.log")).unwrap_or_default();
            write!(f, "\n--- {}\n{}", directory.display(), String::from_utf8_lossy(&log))?;
        }
        Ok(())
    }
}

/// How `banger run` has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// What comes out of a pipe, as far as it has come.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Collected {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                collected.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Everything, to the end.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

/// The value behind a word at the start of a line: `report` and the tests' scripts print such lines.
#[track_caller]
pub(crate) fn value<'a>(output: &'a str, word: &str) -> &'a str {
    let found = output.lines().find_map(|line| line.trim_end().strip_prefix(word)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no line {word:?} in\n{output}"))
}
