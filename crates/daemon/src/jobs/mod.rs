//! Jobs: what takes long is done in the background, whoever goes or stays.
//!
//! - Who asks for what is being done already joins it: a job is known by its operation and its request, without secrets.
//! - Two jobs that make the same thing are never done at once. One that is asked for while another is being done is refused;
//!   unless that one is being cancelled: then it waits for its end.
//! - So many are done at once as the processors have use for; the others wait in the order in which they came.
//! - One that has ended is told of until a hundred others have ended.
//!
//! All of this is decided under one lock, that of [`Jobs`]. What happens in a job goes to its [`Log`] without it.

mod log;
mod record;
mod stream;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banger_api::job::{End, Job, Outcome};
use banger_api::{ErrorKind, Event, Observer, Problem};
use tokio::sync::watch;

pub(crate) use self::log::Log;
pub(crate) use self::record::{Plan, Product, Work};
use self::record::{Record, Stage};
pub(crate) use self::stream::events;
use crate::limits::{JOBS, JOBS_KEPT};
use crate::log::log;

/// All jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    state: Mutex<State>,
    /// How many jobs have not ended.
    active: watch::Sender<usize>,
    /// How many are done at once.
    at_once: usize,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    records: BTreeMap<u64, Record>,
    stopping: bool,
}

impl Jobs {
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), active: watch::channel(0).0, at_once: at_once.max(1) })
    }

    /// How many jobs have not ended, now and later.
    pub(crate) fn active(&self) -> watch::Receiver<usize> {
        self.active.subscribe()
    }

    /// Begins a job, or joins the one that does the same.
    pub(crate) fn submit(self: &Arc<Self>, plan: Plan, work: Work) -> Result<Job, Problem> {
        let mut state = self.lock();
        if state.stopping {
            return Err(Problem::new(ErrorKind::Conflict, "the daemon is about to end").hint("ask again"));
        }
        // What is being cancelled is of no use to anybody who comes now.
        let others = || state.records.values().filter(|record| record.is_wanted());
        if let Some(same) = others().find(|record| record.plan.is_same(&plan)) {
            return Ok(same.describe());
        }
        if let Some(other) = others().find(|record| record.plan.excludes(&plan)) {
            let (number, subject) = (other.id, &plan.subject);
            let problem = Problem::new(ErrorKind::Conflict, format!("job {number} does something else with {subject}"));
            return Err(problem.hint(format!("wait until job {number} has ended, or cancel it")));
        }
        if state.records.values().filter(|record| !record.has_ended()).count() >= JOBS {
            return Err(Problem::new(ErrorKind::Conflict, format!("there are {JOBS} jobs already")));
        }
        state.last = state.last.saturating_add(1);
        let id = state.last;
        log!("job {id}: {} {}", plan.operation, plan.subject);
        state.records.insert(id, Record::new(id, plan, work));
        self.start_what_can(&mut state);
        state.records.get(&id).map(Record::describe).ok_or_else(|| unknown(id))
    }

    /// All jobs, the oldest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        self.lock().records.values().map(Record::describe).collect()
    }

    pub(crate) fn show(&self, id: u64) -> Result<Job, Problem> {
        self.lock().records.get(&id).map(Record::describe).ok_or_else(|| unknown(id))
    }

    /// Has a job end early: with `if_alone` only when all who watch it have wished so.
    pub(crate) fn cancel(self: &Arc<Self>, id: u64, if_alone: bool) -> Result<Job, Problem> {
        let mut state = self.lock();
        let record = state.records.get_mut(&id).ok_or_else(|| unknown(id))?;
        if if_alone && record.is_wanted() {
            record.wishes = record.wishes.saturating_add(1);
            if record.wishes < record.watchers {
                return Ok(record.describe());
            }
        }
        record.cancel();
        let described = record.describe();
        self.start_what_can(&mut state);
        self.tell(&state);
        Ok(described)
    }

    /// Watches a job until the watch is dropped.
    pub(crate) fn watch(self: &Arc<Self>, id: u64) -> Result<Watch, Problem> {
        let mut state = self.lock();
        let record = state.records.get_mut(&id).ok_or_else(|| unknown(id))?;
        record.watchers = record.watchers.saturating_add(1);
        Ok(Watch { jobs: Arc::clone(self), id, log: Arc::clone(&record.log) })
    }

    /// Begins no more jobs, and cancels those that there are.
    pub(crate) fn stop(self: &Arc<Self>) {
        let mut state = self.lock();
        state.stopping = true;
        for record in state.records.values_mut() {
            record.cancel();
        }
        self.tell(&state);
    }

    /// Begins no more jobs, if there are none.
    pub(crate) fn stop_if_idle(&self) -> Result<(), Problem> {
        let mut state = self.lock();
        let active = state.records.values().filter(|record| !record.has_ended()).count();
        if active > 0 {
            let problem = Problem::new(ErrorKind::Conflict, format!("the daemon has {active} jobs to do"));
            return Err(problem.hint("wait for them, or cancel them"));
        }
        state.stopping = true;
        Ok(())
    }

    fn start_what_can(self: &Arc<Self>, state: &mut State) {
        loop {
            let running = || state.records.values().filter(|record| record.is_running());
            if running().count() >= self.at_once {
                break;
            }
            let can = |record: &&Record| {
                record.is_queued()
                    && !running().any(|other| other.plan.is_same(&record.plan) || other.plan.excludes(&record.plan))
            };
            let Some(id) = state.records.values().find(can).map(|record| record.id) else { break };
            let Some(record) = state.records.get_mut(&id) else { break };
            let Some((work, observer)) = record.start() else { break };
            let jobs = Arc::clone(self);
            let thread = std::thread::Builder::new().name(format!("job-{id}"));
            let spawned = thread.spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| work(&observer)));
                let bug =
                    |_| Err(Problem::new(ErrorKind::Other, "the job has met with a bug of banger's, and was given up"));
                jobs.end(id, result.unwrap_or_else(bug));
            });
            if let Err(error) = spawned {
                record.end(Err(Problem::new(ErrorKind::Other, "cannot start a thread").because(&error)));
            }
        }
        self.tell(state);
    }

    fn end(self: &Arc<Self>, id: u64, result: Result<Outcome, Problem>) {
        let mut state = self.lock();
        match &result {
            Ok(_) => log!("job {id}: done"),
            Err(problem) => log!("job {id}: {problem}"),
        }
        if let Some(record) = state.records.get_mut(&id) {
            record.end(result);
        }
        self.start_what_can(&mut state);
        forget(&mut state);
    }

    fn leave(&self, id: u64) {
        let mut state = self.lock();
        if let Some(record) = state.records.get_mut(&id) {
            record.watchers = record.watchers.saturating_sub(1);
            // Who has wished that the job ends is the one who leaves.
            record.wishes = record.wishes.saturating_sub(1);
        }
    }

    fn tell(&self, state: &State) {
        let active = state.records.values().filter(|record| !record.has_ended()).count();
        self.active.send_replace(active);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the jobs that have ended longest ago, by their numbers.
fn forget(state: &mut State) {
    let ended: Vec<u64> = state.records.values().filter(|record| record.has_ended()).map(|record| record.id).collect();
    for id in ended.iter().take(ended.len().saturating_sub(JOBS_KEPT)) {
        state.records.remove(id);
    }
}

fn unknown(id: u64) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("there is no job {id}")).hint("those that ended long ago are forgotten")
}

/// Somebody watches a job.
#[derive(Debug)]
pub(crate) struct Watch {
    jobs: Arc<Jobs>,
    id: u64,
    log: Arc<Log>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.jobs.leave(self.id);
    }
}

/// Whom a job tells what happens.
#[derive(Debug)]
pub(crate) struct Reporter {
    log: Arc<Log>,
    cancelled: Arc<std::sync::atomic::AtomicBool>,
}

impl Observer for Reporter {
    fn event(&self, event: Event) {
        self.log.event(event);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// How a job ended, as its log says it.
fn ending(stage: &Stage) -> Option<End> {
    match stage {
        Stage::Done(outcome) => Some(End::Done { outcome: outcome.clone() }),
        Stage::Failed(problem) => Some(End::Failed { problem: problem.clone() }),
        Stage::Queued(_) | Stage::Running | Stage::Cancelling => None,
    }
}
