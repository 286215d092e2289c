//! What is done in a machine that is ready, and the exit status that comes of it.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use banger_protocol::boot::BootMode;
use banger_protocol::exec::{Exec, Exit as Ended};
use banger_protocol::failure::FailureKind;
use banger_protocol::health::{Health, Workload};
use banger_vm::client::{Attachment, ClientError, Line, Session, terminal};
use banger_vm::{Error, Machine};

use super::about;
use super::failures;
use super::image::Image;
use crate::args::Run;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupts::{self, Interrupts};

/// A command that is not there, and one that cannot be run: as shells say it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// What is wanted of a machine.
#[derive(Debug)]
pub(super) enum Wish {
    /// To see what its workload prints, until it ends.
    Workload,
    /// To run this in it.
    Command(Exec),
}

/// Whether the image's own command is a shell that gets this process' terminal, as `docker run -it` gives it one.
pub(super) fn is_at_terminal(run: &Run, image: &Image) -> bool {
    super::argv(run).is_none() && image.about.is_shell() && terminal::is_interactive()
}

/// What a machine does that is ready, in words.
pub(super) fn doing(run: &Run, image: &Image, health: &Health) -> String {
    let boot = &health.boot;
    if boot.mode != BootMode::Workload {
        return format!("{}, {}", boot.mode, boot.why);
    }
    // The decision names the command first, which is said here as it is now.
    let reason = match boot.why.rsplit_once("; ").map_or(&*boot.why, |(_, reason)| reason) {
        reason if reason.starts_with("there is no init") => "the image has no init",
        reason => reason,
    };
    let argv = super::argv(run).unwrap_or_else(|| image.about.argv.clone());
    if argv.is_empty() {
        return format!("there is no command to run ({reason})");
    }
    format!("runs {} ({reason})", about::shown(&argv))
}

/// How a machine ends, where who runs it cannot know.
pub(super) fn ending(run: &Run, image: &Image, wish: &Wish) -> Option<&'static str> {
    match wish {
        Wish::Workload if image.about.is_shell() => {
            Some("that is a shell, which ends at once without a terminal; `banger run IMAGE -- CMD` runs a command")
        }
        Wish::Workload => Some("Ctrl-C ends it"),
        Wish::Command(_) if super::argv(run).is_none() && std::io::stdin().is_terminal() => {
            Some("the machine ends with this shell: exit, or Ctrl-D")
        }
        Wish::Command(_) => None,
    }
}

/// The command that was asked for; or the image's own; or a shell, where an init is all there is.
pub(super) fn wish(run: &Run, image: &Image, health: &Health) -> Result<Wish, Failure> {
    if let Some(argv) = super::argv(run) {
        // Where the agent runs commands, it is in the place of the image's own.
        let init = health.boot.mode == BootMode::Workload;
        return Ok(Wish::Command(Exec { init, ..exec(argv) }));
    }
    match &health.workload {
        Some(Workload::Failed { error }) => {
            let failure = Failure::new(Exit::Other, format!("the image's command could not be started: {error}"));
            Err(failure.hint("run another one: `banger run SOURCE -- CMD`"))
        }
        _ if is_at_terminal(run, image) => Ok(Wish::Command(Exec { init: true, ..exec(image.about.argv.clone()) })),
        _ if health.boot.mode == BootMode::Workload => Ok(Wish::Workload),
        _ if std::io::stdin().is_terminal() => Ok(Wish::Command(exec(vec![image.shell.clone(), "-l".to_owned()]))),
        _ => Ok(Wish::Command(exec(vec![image.shell.clone()]))),
    }
}

fn exec(argv: Vec<String>) -> Exec {
    let terminal = terminal::is_interactive().then(terminal::size).flatten();
    let mut env = BTreeMap::new();
    if terminal.is_some()
        && let Ok(kind) = std::env::var("TERM")
    {
        env.insert("TERM".to_owned(), kind);
    }
    Exec { argv, env, terminal, stdin: true, ..Exec::default() }
}

/// Does it, with the streams and the terminal of this process: how it ended, and what is to be held until the machine has ended.
pub(super) fn attach(
    machine: &Machine,
    wish: &Wish,
    interrupts: &Interrupts,
) -> (Result<ExitCode, Failure>, Option<Line>) {
    let (session, attachment) = match wish {
        Wish::Workload => (machine.client().workload(), Attachment::default()),
        Wish::Command(exec) => {
            (machine.client().exec(exec), Attachment { stdin: exec.stdin, terminal: exec.terminal.is_some() })
        }
    };
    let line = session.as_ref().ok().map(Session::line);
    let ended = session.and_then(|session| session.attach(attachment));
    (ended.map_or_else(|error| excuse(machine, error, interrupts), |ended| Ok(status(ended))), line)
}

/// What it means that there is no exit status.
fn excuse(machine: &Machine, error: ClientError, interrupts: &Interrupts) -> Result<ExitCode, Failure> {
    match error {
        ClientError::Refused(refused) => {
            // The status of a command that does not run is for the shell's users; that it does not, for all.
            let failure = Failure::new(Exit::Other, refused.error.clone());
            match refused.kind {
                FailureKind::NotFound => Ok(said(&failure, NOT_FOUND)),
                FailureKind::NotPermitted => Ok(said(&failure, NOT_EXECUTABLE)),
                _ => Err(failure),
            }
        }
        ClientError::Interrupted(signal) => Ok(interrupts::status(u8::try_from(signal).unwrap_or_default())),
        error => match interrupts.signal() {
            Some(signal) => Ok(interrupts::status(signal)),
            // A machine that has gone says more than the connection that broke.
            None if !machine.is_running() => Err(failures::of(&machine.stopped())),
            None => Err(failures::of(&Error::from(error))),
        },
    }
}

/// Tells a failure, but ends with a status of its own.
fn said(failure: &Failure, status: u8) -> ExitCode {
    failure.report();
    ExitCode::from(status)
}

/// How something ended, as our own exit status.
fn status(ended: Ended) -> ExitCode {
    // Only the lowest byte of an exit status is passed on anywhere.
    ExitCode::from(u8::try_from(ended.status() & 0xff).unwrap_or(u8::MAX))
}
