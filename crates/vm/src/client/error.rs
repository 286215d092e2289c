//! What can go wrong between a host and an agent.

use std::io;

use banger_protocol::failure::Failure;
use banger_protocol::frame::FrameError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing answers at the other end, yet or any more.
    #[error("cannot connect to the guest's agent by {to}")]
    Connect {
        /// The way to it.
        to: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// All ways to the agent that take one conversation at a time have one.
    #[error("all {0} serial ports of the guest's agent are in use")]
    Busy(usize),
    /// The connection broke, or the agent was silent for too long.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file, pipe or terminal on this side.
    #[error("cannot {doing}")]
    Local {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The agent says no.
    #[error("{}", .0.error)]
    Refused(Failure),
    /// What is answered makes no sense.
    #[error("the guest's agent does not make sense: {0}")]
    Answer(String),
    /// Bytes of a session that are no frame.
    #[error("the guest's agent does not make sense")]
    Frame(#[from] FrameError),
    /// A session ended without saying how the command did.
    #[error("the connection to the guest broke before the command's end")]
    Broken,
    /// A signal to this process could not be passed on, because the command does not read what comes before it.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
    /// The machine ended while its agent was waited for.
    #[error("the machine ended before its agent answered")]
    Gone,
    /// The agent did not answer in time, or was not ready in time.
    #[error("the guest's agent is not ready in time")]
    NotHealthy {
        /// Why the last attempt failed. None: it answered that it was still starting.
        #[source]
        last: Option<Box<ClientError>>,
    },
}

impl ClientError {
    /// For `map_err`: the connection broke while this was done.
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// For `map_err`: something of this side failed.
    pub(super) fn local(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Local { doing, source }
    }
}
