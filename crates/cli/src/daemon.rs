//! `banger daemon`: the daemon itself.

use std::path::Path;
use std::time::{Duration, Instant};

use banger_config::Directories;

use crate::args::{DaemonCommand, DaemonStop, ServiceOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::service;

/// How long a daemon may take to end: it cancels its jobs and waits 20 seconds for them.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a look at its socket is apart from the next one.
const POLL: Duration = Duration::from_millis(20);

pub(crate) fn run(command: &DaemonCommand, options: &ServiceOptions) -> Result<(), Failure> {
    let directories = Directories::of_process(options.root.as_deref())?;
    match command {
        DaemonCommand::Stop(DaemonStop { force }) => {
            let stopped = stop(&directories.socket()?, *force)?;
            say(if stopped { "the daemon has ended" } else { "no daemon is running" });
            Ok(())
        }
    }
}

/// Ends the daemon that listens on a socket, and waits for that. Whether there was one.
pub(crate) fn stop(socket: &Path, force: bool) -> Result<bool, Failure> {
    let Some(daemon) = service::running(socket)? else { return Ok(false) };
    daemon.stop(force).map_err(|problem| {
        let failure = Failure::from(problem);
        if force { failure } else { failure.hint("`banger daemon stop --force` cancels them") }
    })?;
    let begun = Instant::now();
    while service::running(socket)?.is_some() {
        if begun.elapsed() > PATIENCE {
            let what = format!("the daemon on '{}' has not ended after {} s", socket.display(), PATIENCE.as_secs());
            return Err(Failure::new(Exit::Other, what));
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}
