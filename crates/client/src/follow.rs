//! A job's events, handed on until its end.
//!
//! A wish to cancel is passed on to the daemon, which cancels the job when nobody else waits for it. If somebody does, this one
//! leaves; otherwise it stays until the job has ended, so that nothing is left behind when it returns.

use std::io;
use std::sync::Arc;

use banger_api::job::{CancelJob, End, Job, Line, Outcome, State};
use banger_api::{ErrorKind, Observer, Problem, Result};
use serde::Serialize;

use crate::client::{Client, nonsense};
use crate::limits::{GLANCE, LINE_BYTES};

impl Client {
    /// Has something done that takes long.
    pub(crate) fn perform(
        &self,
        operation: &str,
        request: &impl Serialize,
        observer: &Arc<dyn Observer>,
    ) -> Result<Outcome> {
        if observer.is_cancelled() {
            return Err(Problem::cancelled());
        }
        let job: Job = self.post(operation, request)?;
        self.follow(job.id, observer.as_ref())
    }

    /// `job.events`: tells what happens in a job, from its beginning, until it ends. What came of it.
    ///
    /// # Errors
    /// Why the job failed; [`ErrorKind::Cancelled`] also where the observer did not want to wait and others do. There is no such
    /// job. The daemon ended.
    pub fn follow(&self, id: u64, observer: &dyn Observer) -> Result<Outcome> {
        let mut body = self.ask("GET", &format!("job.events?id={id}"), None)?.body;
        body.set_patience(GLANCE).map_err(|error| self.failed(&error))?;
        let mut bytes = Vec::new();
        let mut wished = false;
        loop {
            if observer.is_cancelled() && !wished {
                wished = true;
                let job = self.cancel(&CancelJob { id, if_alone: true })?;
                if matches!(job.state, State::Queued | State::Running) {
                    return Err(Problem::cancelled());
                }
            }
            match body.read(&mut bytes) {
                Ok(true) => {}
                Ok(false) => return Err(gone(id)),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(gone(id)),
                Err(error) => return Err(self.failed(&error)),
            }
            let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last.saturating_add(1));
            for line in bytes.drain(..complete).collect::<Vec<u8>>().split(|byte| *byte == b'\n') {
                match understand(line)? {
                    Some(Line::Event(event)) => observer.event(event),
                    Some(Line::End(End::Done { outcome })) => return Ok(outcome),
                    Some(Line::End(End::Failed { problem })) => return Err(problem),
                    None => {}
                }
            }
            if bytes.len() > LINE_BYTES {
                return Err(nonsense());
            }
        }
    }
}

/// What a line says. Nothing, where it is an event that a later version has: who does not know it needs it not.
fn understand(line: &[u8]) -> Result<Option<Line>> {
    if line.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(line) {
        Ok(line) => Ok(Some(line)),
        Err(error) => {
            let value: Option<serde_json::Value> = serde_json::from_slice(line).ok();
            match value.as_ref().and_then(|value| value.get("type")?.as_str()) {
                Some("done" | "failed") | None => Err(nonsense().because(&error)),
                Some(_) => Ok(None),
            }
        }
    }
}

fn gone(id: u64) -> Problem {
    Problem::new(ErrorKind::Other, format!("the daemon ended before job {id} did")).hint("its log says why")
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_api::Event;

    #[test]
    fn events_of_later_versions_are_passed_over() {
        let started = Line::Event(Event::LayerStarted { layer: 3 });
        for (line, understood) in [
            (r#"{"type":"layer_started","layer":3}"#, Some(Some(started.clone()))),
            (r#"{"type":"layer_started","layer":3,"mood":"good"}"#, Some(Some(started))),
            (r#"{"type":"weather","rain":true}"#, Some(None)),
            ("", Some(None)),
            (r#"{"type":"done","outcome":{"poem":{}}}"#, None),
            (r#"{"type":"failed"}"#, None),
            (r#"{"rain":true}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(understand(line.as_bytes()).ok(), understood, "{line}");
        }
    }
}
