//! Jobs: what the daemon does for somebody, and takes long.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::catalog::Archive;
use crate::event::Event;
use crate::image::{Exported, Image, Pushed};
use crate::kernel::Kernel;
use crate::problem::Problem;

/// Something that the daemon does, or has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number, from 1, since the daemon was started.
    pub id: u64,
    /// The operation: `image.pull`.
    pub operation: String,
    /// What it is about: the name of an image or a kernel.
    pub subject: String,
    /// How far it is.
    pub state: State,
    /// How many wait for it.
    pub watchers: usize,
    /// When it was begun (RFC 3339).
    pub started: String,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// What came of it, when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits until others are done.
    Queued,
    /// It is being done.
    Running,
    /// It is to end early, and will soon.
    Cancelling,
    /// It has been done.
    Done,
    /// It has failed, or was cancelled.
    Failed,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of `image.pull` and `image.promote`.
    Image(Box<Image>),
    /// Of `kernel.pull` and `kernel.import`.
    Kernel(Box<Kernel>),
    /// Of `image.export`.
    Exported(Exported),
    /// Of `image.push`.
    Pushed(Pushed),
    /// Of `bundle.make` and `kernel.export`.
    Archive(Archive),
}

/// A line of a job's stream. The last one is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Line {
    /// What happened.
    Event(Event),
    /// How it ended.
    End(End),
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum End {
    /// It has been done.
    Done {
        /// What came of it.
        outcome: Outcome,
    },
    /// It has failed, or was cancelled.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// `job.cancel`: what has ended stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelJob {
    /// The job's number.
    pub id: u64,
    /// Only when all who watch it have wished so. Who wishes it watches the job, and leaves afterwards.
    #[serde(default)]
    pub if_alone: bool,
}
