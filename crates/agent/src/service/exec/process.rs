//! The process of a command, with its pipes or its terminal. It leads a session of its own.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::{Exec, Exit, Size};
use banger_protocol::failure::FailureKind;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, SpecialCodeIndex, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

use crate::insist;
use crate::launch::{self, Launch, LaunchError};
use crate::namespace::{NamespaceHandle, Namespaces};
use crate::service::connection::wait;
use crate::service::http::Trouble;
use crate::state::State;
use crate::stdio;
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
    /// Whether it is PID 1 of a namespace.
    is_init: bool,
    /// Where other commands join it, until it has ended.
    joined: Option<Arc<State>>,
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
    /// Starts a command. What it does not say is as the image and the machine have it.
    pub(super) fn start(state: &Arc<State>, exec: &Exec) -> Result<Self, Trouble> {
        let settings = state.settings();
        let mut env = settings.env.clone();
        if exec.terminal.is_some() {
            env.insert("TERM".to_owned(), TERM.to_owned());
        }
        env.extend(exec.env.clone());
        let user = exec.user.as_deref().or(settings.user.as_deref());
        let directory = exec.directory.as_deref().or_else(|| launch::working_directory(settings));
        let session = if exec.terminal.is_some() { Session::Terminal } else { Session::New };
        let own = exec.init.then(Namespaces::new_where_known).flatten();
        let namespaces = &own.unwrap_or_else(|| state.namespaces());
        let (mut command, user) =
            Launch { argv: &exec.argv, env, user, directory, namespaces, limits: state.limits() }.command(session)?;
        let failed = |error: io::Error| Trouble::new(FailureKind::Internal, format!("a command's streams: {error}"));
        let streams = match exec.terminal {
            Some(size) => Streams::Terminal(terminal(&mut command, size, &user).map_err(failed)?),
            None => pipes(&mut command, exec.stdin, &user).map_err(failed)?,
        };
        let name = exec.argv.first().map_or("", String::as_str);
        let child = namespaces.spawn(&mut command).map_err(|error| LaunchError::from_spawn(name, error))?;
        // The command holds this side's copies of what the child was given: its ends of the streams must close with the child's.
        drop(command);
        let mut process = Self::watch(child, streams).map_err(failed)?;
        process.is_init = matches!(namespaces, Namespaces::New);
        if process.is_init && state.offer_namespaces(NamespaceHandle::of(&process.child)) {
            process.joined = Some(Arc::clone(state));
        }
        Ok(process)
    }

    fn watch(mut child: Child, streams: Streams) -> io::Result<Self> {
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
        let process = Self { child, end, streams, exit: None, is_init: false, joined: None };
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
            if self.exit.is_some()
                && let Some(state) = self.joined.take()
            {
                state.set_namespaces(None);
            }
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
        if self.is_init && group == own {
            let _ = insist::after(insist::STOP, own, signal);
        }
    }

    /// These bytes were typed at its terminal, which may have made a signal of them.
    pub(super) fn typed(&self, bytes: &[u8]) {
        let Streams::Terminal(master) = &self.streams else { return };
        if !self.is_init || self.exit.is_some() {
            return;
        }
        let Ok(settings) = tcgetattr(master) else { return };
        let own = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        let in_foreground = tcgetpgrp(master).is_ok_and(|group| group.as_raw_pid() == own);
        if !in_foreground || !settings.local_modes.contains(LocalModes::ISIG) {
            return;
        }
        for (key, signal) in [(SpecialCodeIndex::VINTR, libc::SIGINT), (SpecialCodeIndex::VQUIT, libc::SIGQUIT)] {
            if bytes.contains(&settings.special_codes[key]) {
                let _ = insist::after(insist::STOP, own, signal);
            }
        }
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
            self.ended();
        }
    }
}

/// Gives a command pipes: this side's ends of them.
fn pipes(command: &mut Command, with_stdin: bool, user: &User) -> io::Result<Streams> {
    let stdin = if with_stdin {
        let (from, to) = stdio::pipe(user)?;
        command.stdin(from);
        Some(to.into())
    } else {
        command.stdin(Stdio::null());
        None
    };
    let (stdout, to_stdout) = stdio::pipe(user)?;
    let (stderr, to_stderr) = stdio::pipe(user)?;
    command.stdout(to_stdout).stderr(to_stderr);
    Ok(Streams::Pipes { stdin, stdout: Some(stdout.into()), stderr: Some(stderr.into()) })
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
