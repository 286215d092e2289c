//! `banger job`: what the daemon does, and has done.

use std::sync::Arc;

use banger_api::job::{CancelJob, Job, State};
use banger_api::{Event, Observer};
use banger_client::Client;
use banger_config::Directories;

use crate::args::{JobCommand, JobLs, JobOne, JobWatch, ServiceOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::image::facts;
use crate::output::{json, print, print_each, say};
use crate::progress::{Shown, Task};
use crate::service;
use crate::table::Table;
use crate::text::{Line, Moment};

pub(crate) fn run(command: &JobCommand, options: &ServiceOptions) -> Result<(), Failure> {
    if service::is_alone(options) {
        return Err(Failure::new(Exit::Usage, "jobs are the daemon's, and without it there are none")
            .hint("leave --no-daemon and BANGER_NO_DAEMON away"));
    }
    let directories = Directories::of_process(options.root.as_deref())?;
    let daemon = service::running(&directories.socket()?)?;
    match (command, daemon) {
        (JobCommand::Ls(ls), daemon) => list(ls, daemon.as_ref()),
        (_, None) => Err(Failure::new(Exit::NotFound, "there is no such job: the daemon is not running")),
        (JobCommand::Show(show), Some(daemon)) => tell(&daemon.job(show.id)?, show),
        (JobCommand::Watch(options), Some(daemon)) => watch(options, &daemon),
        (JobCommand::Cancel(cancel), Some(daemon)) => {
            tell(&daemon.cancel(&CancelJob { id: cancel.id, if_alone: false })?, cancel)
        }
    }
}

fn list(ls: &JobLs, daemon: Option<&Client>) -> Result<(), Failure> {
    let jobs = match daemon {
        Some(daemon) => daemon.jobs()?,
        None => Vec::new(),
    };
    if ls.json {
        return print_each(&jobs);
    }
    if jobs.is_empty() {
        say("the daemon has nothing to do, and has done nothing yet");
        return Ok(());
    }
    table(&jobs).print(false)
}

fn table(jobs: &[Job]) -> Table<5> {
    let mut table = Table::new([">job", "state", "started", "operation", "subject"]);
    for job in jobs {
        table.row([
            job.id.to_string(),
            state(job.state).to_owned(),
            Moment(&job.started).to_string(),
            Line(&job.operation).to_string(),
            Line(&job.subject).to_string(),
        ]);
    }
    table
}

fn state(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "running",
        State::Cancelling => "cancelling",
        State::Done => "done",
        State::Failed => "failed",
    }
}

fn tell(job: &Job, options: &JobOne) -> Result<(), Failure> {
    if options.json {
        return print(&json(job)?);
    }
    let problem = job.problem.as_ref();
    print(&facts(&[
        ("job", Some(job.id.to_string())),
        ("operation", Some(job.operation.clone())),
        ("subject", Some(job.subject.clone())),
        ("state", Some(state(job.state).to_owned())),
        ("watchers", Some(job.watchers.to_string())),
        ("started", Some(Moment(&job.started).to_string())),
        ("ended", job.ended.as_ref().map(|ended| Moment(ended).to_string())),
        ("error", problem.map(|problem| problem.message.clone())),
        ("caused by", problem.map(|problem| problem.causes.join(": ")).filter(|causes| !causes.is_empty())),
    ]))
}

/// Follows a job to its end. Ctrl-C ends the watching, not the job: somebody else has asked for that.
fn watch(options: &JobWatch, daemon: &Client) -> Result<(), Failure> {
    if options.json {
        daemon.follow(options.id, &Printed)?;
        return Ok(());
    }
    let shown = Arc::new(Shown::new(Task::Build, false));
    let followed = daemon.follow(options.id, shown.as_ref());
    shown.finish();
    followed?;
    Ok(())
}

/// Events as they are, one a line.
#[derive(Debug)]
struct Printed;

impl Observer for Printed {
    fn event(&self, event: Event) {
        // Whoever does not read any more will see how it ended by the exit code.
        let _ = json(&event).and_then(|line| print(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_how_far_a_job_is() {
        let job = |id, state, subject: &str| Job {
            id,
            operation: "image.pull".to_owned(),
            subject: subject.to_owned(),
            state,
            watchers: 1,
            started: "2026-11-21T10:00:00Z".to_owned(),
            ended: None,
            outcome: None,
            problem: None,
        };
        assert_eq!(
            table(&[job(9, State::Running, "web"), job(10, State::Queued, "a\nb")]).to_string(),
            "job  state    started           operation   subject\n  \
               9  running  2026-11-21 10:00  image.pull  web\n \
              10  queued   2026-11-21 10:00  image.pull  a\\nb\n"
        );
    }
}
