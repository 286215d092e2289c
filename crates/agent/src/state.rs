//! What the service knows of its guest, shared by all who answer for it: what `/healthz` tells, the workload's output, and the wish that
//! the machine should end.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use banger_protocol::exec::Exit;
use banger_protocol::health::{FirstBoot, Health, Network, Status, Workload};
use banger_protocol::shutdown::Action;

use crate::first_boot;
use crate::insist;
use crate::namespace::{NamespaceHandle, Namespaces};
use crate::rlimits::Limits;
use crate::settings::Settings;
use crate::sys;
use crate::workload::{Output, Reader};

/// Problems that are told; more than so many would hide the first.
const PROBLEMS: usize = 32;

/// What the service knows of its guest.
#[derive(Debug)]
pub struct State {
    settings: Settings,
    output: Arc<Output>,
    limits: OnceLock<Limits>,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    /// Everything that is to be done at boot has been.
    booted: bool,
    network: Option<Network>,
    workload: Option<Workload>,
    problems: Vec<String>,
    shutdown: Option<Action>,
    /// Where commands of the host are started, as long as there is a process to be with.
    namespaces: Option<NamespaceHandle>,
}

/// Why a signal was not sent to the workload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// It does not run: not yet, not any more, or not at all.
    #[error("the workload does not run")]
    NotRunning,
    /// The kernel refused.
    #[error("signal {signal} for the workload: {error}")]
    Refused {
        /// Which signal.
        signal: i32,
        /// Why.
        error: std::io::Error,
    },
}

impl State {
    /// The state at the beginning.
    pub fn new(settings: Settings) -> Arc<Self> {
        let workload =
            settings.runs_workload().then_some(if settings.hold { Workload::Held } else { Workload::Pending });
        let problems = settings.problems.iter().take(PROBLEMS).cloned().collect();
        let inner = Inner { booted: false, network: None, workload, problems, shutdown: None, namespaces: None };
        Arc::new(Self {
            settings,
            output: Output::new(),
            limits: OnceLock::new(),
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        })
    }

    /// The settings that are in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the limits of the workload and of what the host runs.
    pub fn limits(&self) -> &Limits {
        self.limits.get_or_init(Limits::new)
    }

    /// Sets these limits, once, before anything is started.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.get_or_init(|| limits);
    }

    /// What `/healthz` tells.
    pub fn health(&self) -> Health {
        let inner = self.lock();
        let first_boot = self.first_boot();
        let failed = matches!(inner.workload, Some(Workload::Failed { .. }))
            || first_boot.as_ref().is_some_and(|first| first.error.is_some());
        let status = match &*inner {
            Inner { shutdown: Some(_), .. } => Status::Stopping,
            Inner { booted: false, .. } => Status::Starting,
            Inner { problems, .. } if failed || !problems.is_empty() => Status::Degraded,
            _ => Status::Running,
        };
        Health {
            status,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.settings.boot.clone(),
            uptime: uptime(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            network: inner.network.clone(),
            workload: inner.workload.clone(),
            first_boot,
            root_bytes: crate::grow::root_bytes().unwrap_or_default(),
            problems: inner.problems.clone(),
        }
    }

    /// How the workload is; `None` where the agent runs none, because the image's init does what is to be done.
    pub fn workload(&self) -> Option<Workload> {
        self.lock().workload.clone()
    }

    /// Somebody who reads the workload's output from the beginning of what is kept, and its end; `None` where the agent runs none.
    /// Where it is [held](Workload::Held), there is never any.
    pub fn attach(&self) -> Option<Reader> {
        self.lock().workload.is_some().then(|| self.output.reader())
    }

    /// Sends a signal to the workload.
    ///
    /// # Errors
    /// It does not run, or the kernel refuses the signal.
    pub fn signal_workload(&self, signal: i32) -> Result<(), SignalError> {
        // The lock is held while the signal is sent: the process cannot have been waited for, its number cannot be another's.
        let inner = self.lock();
        let Some(Workload::Running { pid }) = inner.workload else { return Err(SignalError::NotRunning) };
        let Ok(pid) = i32::try_from(pid) else { return Err(SignalError::NotRunning) };
        sys::kill(pid, signal).map_err(|error| SignalError::Refused { signal, error })?;
        if inner.namespaces.is_some() {
            // What cannot be seen to is as in any container: the signal has no effect.
            let _ = insist::after(insist::STOP, pid, signal);
        }
        Ok(())
    }

    /// Returns the namespaces that a command of the host is started in: those of the workload while it runs, else the machine's.
    pub fn namespaces(&self) -> Namespaces {
        self.lock().namespaces.clone().map_or(Namespaces::Machine, Namespaces::Joined)
    }

    /// Sets the namespaces of the process that commands of the host join from now on.
    pub(crate) fn set_namespaces(&self, namespaces: Option<NamespaceHandle>) {
        self.lock().namespaces = namespaces;
    }

    /// The same, unless there are others that commands join. Whether it was done.
    pub(crate) fn offer_namespaces(&self, namespaces: Option<NamespaceHandle>) -> bool {
        let mut inner = self.lock();
        let taken = inner.namespaces.is_none() && namespaces.is_some();
        if taken {
            inner.namespaces = namespaces;
        }
        taken
    }

    /// The machine is to end. The first wish counts. This returns at once: the end comes when who answers has had time to.
    pub fn request_shutdown(&self, action: Action) {
        self.lock().shutdown.get_or_insert(action);
        self.changed.notify_all();
    }

    /// Waits until the machine is to end.
    pub(crate) fn wait_for_shutdown(&self) -> Action {
        let mut inner = self.lock();
        loop {
            if let Some(action) = inner.shutdown {
                return action;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the workload has ended, `time` at most. Whether it has.
    pub(crate) fn wait_for_workload(&self, time: Duration) -> bool {
        let runs = |inner: &mut Inner| matches!(inner.workload, Some(Workload::Running { .. }));
        let result = self.changed.wait_timeout_while(self.lock(), time, runs);
        !result.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Where the workload's output goes to.
    pub(crate) fn output(&self) -> &Arc<Output> {
        &self.output
    }

    /// What is to be done at boot has been done.
    pub(crate) fn set_booted(&self) {
        self.lock().booted = true;
    }

    pub(crate) fn set_network(&self, network: Option<Network>) {
        self.lock().network = network;
    }

    pub(crate) fn set_workload(&self, workload: Workload) {
        self.lock().workload = Some(workload);
        self.changed.notify_all();
    }

    /// The workload's process has ended. `wait` waits for it, which it does not have to any more: it is done under the lock under
    /// which signals are sent.
    pub(crate) fn end_workload(&self, wait: impl FnOnce() -> Exit) -> Exit {
        let mut inner = self.lock();
        let exit = wait();
        inner.workload = Some(Workload::Exited { exit });
        self.changed.notify_all();
        exit
    }

    /// Something did not work: it is told on the console and by `/healthz`.
    pub fn problem(&self, problem: impl Into<String>) {
        let problem = problem.into();
        crate::console::say(&problem);
        let mut inner = self.lock();
        if inner.problems.len() < PROBLEMS && !inner.problems.contains(&problem) {
            inner.problems.push(problem);
        }
    }

    /// What did not work does now.
    pub(crate) fn solved(&self, problem: &str) {
        self.lock().problems.retain(|known| known != problem);
    }

    fn first_boot(&self) -> Option<FirstBoot> {
        first_boot::told(Path::new("/"), &self.settings)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since the kernel started.
fn uptime() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // Exact enough: after a century the sum still tells microseconds.
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
