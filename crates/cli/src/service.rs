//! Who does what is asked: the daemon, which is started when it does not run; or this process.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use banger_api::{ErrorKind, Observer, Problem, Service};
use banger_client::{Client, ConnectError, Daemon};
use banger_config::Directories;
use banger_operations::Engine;

use crate::args::ServiceOptions;
use crate::failure::Failure;
use crate::output::say;
use crate::progress::{Shown, Task};

/// The variable of the environment that does without the daemon.
const NO_DAEMON: &str = "BANGER_NO_DAEMON";
/// The variable that says for how many seconds a daemon that was started here waits for more to do, and how long that is otherwise.
const IDLE: &str = "BANGER_IDLE";
const IDLE_SECONDS: &str = "300";
/// Where a daemon that was started here says what there is to say, in the root.
const LOG: &str = "bangerd.log";

/// Who does what is asked.
pub(crate) fn open(options: &ServiceOptions) -> Result<Box<dyn Service>, Failure> {
    if is_alone(options) {
        return in_process(options);
    }
    let directories = Directories::of_process(options.root.as_deref())?;
    let (socket, root) = (directories.socket()?, directories.root()?);
    let ensured = Daemon {
        arguments: arguments(&directories, &socket, &root),
        socket,
        program: banger_client::program(),
        log: root.join(LOG),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
    .ensure()
    .map_err(Problem::from)?;
    if let Some(warning) = ensured.warning {
        say(&format!("warning: {warning}"));
    }
    Ok(Box::new(ensured.client))
}

fn arguments(directories: &Directories, socket: &Path, root: &Path) -> Vec<OsString> {
    let idle = std::env::var_os(IDLE).filter(|seconds| !seconds.is_empty()).unwrap_or_else(|| IDLE_SECONDS.into());
    let mut arguments: Vec<OsString> = vec!["--socket".into(), socket.into(), "--idle".into(), idle];
    if directories.is_root_named() {
        arguments.extend(["--root".into(), root.into()]);
    }
    arguments.push("--detach".into());
    arguments
}

/// Whether this process does everything.
pub(crate) fn is_alone(options: &ServiceOptions) -> bool {
    options.no_daemon || std::env::var_os(NO_DAEMON).is_some_and(|value| !value.is_empty() && value != "0")
}

/// This process, for what nobody else can do.
pub(crate) fn in_process(options: &ServiceOptions) -> Result<Box<dyn Service>, Failure> {
    let directories = Directories::of_process(options.root.as_deref())?;
    Ok(Box::new(Engine::open(directories, None)?))
}

/// The daemon that listens on a socket, if one does. None is started.
pub(crate) fn running(socket: &Path) -> Result<Option<Client>, Failure> {
    match Client::connect(socket) {
        Ok(client) => Ok(Some(client)),
        Err(ConnectError::Absent { .. }) => Ok(None),
        Err(error) => Err(Problem::from(error).into()),
    }
}

/// Does something that takes long, and shows how far it is. Ctrl-C ends it.
pub(crate) fn follow<T>(
    quiet: bool,
    work: impl FnOnce(&Arc<dyn Observer>) -> Result<T, Problem>,
) -> Result<T, Failure> {
    let shown = Arc::new(Shown::interruptible(Task::Build, quiet)?);
    follow_with(&shown, work)
}

/// The same, with what shows it.
pub(crate) fn follow_with<T>(
    shown: &Arc<Shown>,
    work: impl FnOnce(&Arc<dyn Observer>) -> Result<T, Problem>,
) -> Result<T, Failure> {
    let observer: Arc<dyn Observer> = Arc::<Shown>::clone(shown);
    let result = work(&observer);
    shown.finish();
    result.map_err(|problem| match shown.signal() {
        Some(signal) if problem.kind == ErrorKind::Cancelled => Failure::Signalled(signal, LEFT),
        _ => problem.into(),
    })
}

/// What is left of a piece of work that a signal has ended.
const LEFT: &str = "nothing was changed; what was downloaded is kept, and the same command goes on from there";
