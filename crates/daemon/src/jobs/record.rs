//! One job: what it is, how far it is, who waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use banger_api::job::{Job, Outcome, State};
use banger_api::{Observer, Problem};
use serde_json::Value;

use super::log::Log;
use super::{Reporter, ending};
use banger_api::time;

/// What a job does.
pub(crate) type Work = Box<dyn FnOnce(&Arc<dyn Observer>) -> Result<Outcome, Problem> + Send>;

/// What a job is.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: &'static str,
    /// What it is about, for people.
    pub(crate) subject: String,
    /// What it makes: no two jobs make the same at once.
    pub(crate) product: Option<Product>,
    /// The request, without secrets.
    pub(crate) request: Value,
}

/// Something that a job makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// An image of this name.
    Image(String),
    /// Whatever comes of this source, by a name that is not known yet.
    Source(String),
    /// A kernel of this name.
    Kernel(String),
    /// A file at this path.
    File(std::path::PathBuf),
}

impl Plan {
    /// Whether both do the same, so that one job is enough.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.operation == other.operation && self.request == other.request
    }

    /// Whether both make the same thing.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.product.is_some() && self.product == other.product
    }
}

/// How far a job is.
pub(crate) enum Stage {
    Queued(Work),
    Running,
    Cancelling,
    Done(Outcome),
    Failed(Problem),
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued(_) => "Queued",
            Self::Running => "Running",
            Self::Cancelling => "Cancelling",
            Self::Done(_) => "Done",
            Self::Failed(_) => "Failed",
        })
    }
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) plan: Plan,
    stage: Stage,
    /// Who reads its events.
    pub(super) watchers: usize,
    /// How many of these wish that it ends.
    pub(super) wishes: usize,
    started: String,
    ended: Option<String>,
    pub(super) log: Arc<Log>,
    cancelled: Arc<AtomicBool>,
}

impl Record {
    pub(super) fn new(id: u64, plan: Plan, work: Work) -> Self {
        Self {
            id,
            plan,
            stage: Stage::Queued(work),
            watchers: 0,
            wishes: 0,
            started: time::now(),
            ended: None,
            log: Arc::new(Log::default()),
            cancelled: Arc::default(),
        }
    }

    pub(super) fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued(_))
    }

    /// Whether a thread works on it.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running | Stage::Cancelling)
    }

    /// Whether it is done or will be, and is not to end early.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.stage, Stage::Queued(_) | Stage::Running)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Done(_) | Stage::Failed(_))
    }

    /// What is to be done now, and whom to tell. None where that was taken already.
    pub(super) fn start(&mut self) -> Option<(Work, Arc<dyn Observer>)> {
        if !self.is_queued() {
            return None;
        }
        let Stage::Queued(work) = std::mem::replace(&mut self.stage, Stage::Running) else { return None };
        let reporter = Reporter { log: Arc::clone(&self.log), cancelled: Arc::clone(&self.cancelled) };
        Some((work, Arc::new(reporter)))
    }

    pub(super) fn cancel(&mut self) {
        match self.stage {
            Stage::Queued(_) => self.end(Err(Problem::cancelled())),
            Stage::Running => {
                self.stage = Stage::Cancelling;
                self.cancelled.store(true, Ordering::Relaxed);
            }
            Stage::Cancelling | Stage::Done(_) | Stage::Failed(_) => {}
        }
    }

    pub(super) fn end(&mut self, result: Result<Outcome, Problem>) {
        self.stage = match result {
            Ok(outcome) => Stage::Done(outcome),
            Err(problem) => Stage::Failed(problem),
        };
        self.ended = Some(time::now());
        if let Some(end) = ending(&self.stage) {
            self.log.end(end);
        }
    }

    pub(super) fn describe(&self) -> Job {
        let (state, outcome, problem) = match &self.stage {
            Stage::Queued(_) => (State::Queued, None, None),
            Stage::Running => (State::Running, None, None),
            Stage::Cancelling => (State::Cancelling, None, None),
            Stage::Done(outcome) => (State::Done, Some(outcome.clone()), None),
            Stage::Failed(problem) => (State::Failed, None, Some(problem.clone())),
        };
        Job {
            id: self.id,
            operation: self.plan.operation.to_owned(),
            subject: self.plan.subject.clone(),
            state,
            watchers: self.watchers,
            started: self.started.clone(),
            ended: self.ended.clone(),
            outcome,
            problem,
        }
    }
}
