//! The process of a command, with its pipes or its terminal. It leads a session of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::{Exec, Exit, Size};
use banger_protocol::failure::FailureKind;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetpgrp, tcsetwinsize};

use crate::launch::{Launch, LaunchError};
use crate::service::connection::wait;
use crate::service::http::Trouble;
use crate::sys::{self, Session};
use crate::users::User;

/// What `TERM` is, unless the host says.
const TERM: &str = "xterm";

/// How long a process may take to end that nobody listens to any more.
const MERCY: Duration = Duration::from_secs(3);

/// A process whose streams are this side's: none of them blocks.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// It can be read when the process has ended (pidfd_open(2)).
    pub(super) end: OwnedFd,
    pub(super) streams: Streams,
    /// What it became, once it was waited for.
    exit: Option<Exit>,
}

/// The streams of a process.
#[derive(Debug)]
pub(super) enum Streams {
    /// Each where it is still open.
    Pipes { stdin: Option<File>, stdout: Option<File>, stderr: Option<File> },
    /// The master's side.
    Terminal(File),
}

impl Process {
    /// Starts a command, whose variables are on top of `env`.
    pub(super) fn start(exec: &Exec, env: &BTreeMap<String, String>) -> Result<Self, Trouble> {
        let mut env = env.clone();
        if exec.terminal.is_some() {
            env.insert("TERM".to_owned(), TERM.to_owned());
        }
        env.extend(exec.env.clone());
        let (user, directory) = (exec.user.as_deref(), exec.directory.as_deref());
        let session = if exec.terminal.is_some() { Session::Terminal } else { Session::New };
        let (mut command, user) = Launch { argv: &exec.argv, env, user, directory }.command(session)?;
        let failed = |error: io::Error| Trouble::new(FailureKind::Internal, format!("a command's streams: {error}"));
        let master = match exec.terminal {
            Some(size) => Some(terminal(&mut command, size, &user).map_err(failed)?),
            None => {
                command.stdin(if exec.stdin { Stdio::piped() } else { Stdio::null() });
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                None
            }
        };
        let name = exec.argv.first().map_or("", String::as_str);
        let child = command.spawn().map_err(|error| LaunchError::from_spawn(name, error))?;
        // The command holds this side's copies of what the child was given: its end of the terminal must close with the child's.
        drop(command);
        Self::watch(child, master).map_err(failed)
    }

    fn watch(mut child: Child, master: Option<File>) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let end = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(end) => end,
            Err(error) => {
                // Nobody will look after it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error.into());
            }
        };
        let streams = match master {
            Some(master) => Streams::Terminal(master),
            None => Streams::Pipes {
                stdin: child.stdin.take().map(|pipe| OwnedFd::from(pipe).into()),
                stdout: child.stdout.take().map(|pipe| OwnedFd::from(pipe).into()),
                stderr: child.stderr.take().map(|pipe| OwnedFd::from(pipe).into()),
            },
        };
        let process = Self { child, end, streams, exit: None };
        match &process.streams {
            Streams::Terminal(master) => rustix::io::ioctl_fionbio(master, true)?,
            Streams::Pipes { stdin, stdout, stderr } => {
                for pipe in [stdin, stdout, stderr].into_iter().flatten() {
                    rustix::io::ioctl_fionbio(pipe, true)?;
                }
            }
        }
        Ok(process)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().ok().flatten().map(exit);
        }
        self.exit
    }

    /// Sends a signal to its process group; to the group in the foreground, where it has a terminal.
    pub(super) fn signal(&mut self, signal: i32) {
        if self.ended().is_some() {
            // Its number may be another's by now.
            return;
        }
        let own = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        let foreground = match &self.streams {
            Streams::Terminal(master) => tcgetpgrp(master).ok().map(Pid::as_raw_pid),
            Streams::Pipes { .. } => None,
        };
        let group = foreground.filter(|&group| group > 1).unwrap_or(own);
        // It may have ended in this moment.
        let _ = sys::kill(group.saturating_neg(), signal);
    }

    pub(super) fn resize(&self, size: Size) {
        if let Streams::Terminal(master) = &self.streams {
            // A size that the kernel does not like changes nothing.
            let _ = tcsetwinsize(master, window(size));
        }
    }

    /// Nobody listens any more: what a terminal that hangs up says, and if that has no effect the end.
    pub(super) fn hang_up(&mut self) {
        self.signal(libc::SIGHUP);
        self.signal(libc::SIGCONT);
        let deadline = Instant::now().checked_add(MERCY);
        while self.ended().is_none() && wait(&self.end, rustix::event::PollFlags::IN, deadline).is_ok() {
            thread::yield_now();
        }
        let own = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        if self.ended().is_none() {
            let _ = sys::kill(own.saturating_neg(), libc::SIGKILL);
            // Nothing survives that.
            let _ = self.child.wait();
        }
    }
}

/// Gives a command a terminal: the master's side of it.
fn terminal(command: &mut Command, size: Size, user: &User) -> io::Result<File> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    // Not by its name: /dev/pts may be another one, or none.
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(&slave, window(size))?;
    // So that the user may open it by its name; its group is what /dev/pts was mounted with.
    let uid = rustix::fs::Uid::from_raw(user.credentials.uid);
    rustix::fs::fchown(&slave, Some(uid), None)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    Ok(master.into())
}

fn window(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn exit(status: ExitStatus) -> Exit {
    status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Code)
}
