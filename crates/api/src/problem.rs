//! Why something failed.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operation comes to.
pub type Result<T> = std::result::Result<T, Problem>;

/// Why an operation failed: what was wrong, what was behind it, what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What sort of failure it is.
    pub kind: Kind,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What was behind it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A sort of failure: what a program would decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request makes no sense.
    Usage,
    /// Something that was named is not there.
    NotFound,
    /// Something else stands in the way: a name that is taken, an image that is in use.
    Conflict,
    /// A registry wants to know who asks, or does not allow it.
    Unauthorized,
    /// The network, or the server at its other end, failed.
    Network,
    /// The input is malformed, or not what its digest or signature says.
    Integrity,
    /// A disk is full, or the size asked for is too small.
    NoSpace,
    /// Somebody has cancelled it.
    Cancelled,
    /// None of the others.
    Other,
}

impl Problem {
    /// A problem without a deeper cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// A problem that is an error of a library, with its causes.
    pub fn of(kind: Kind, error: &dyn Error) -> Self {
        let problem = Self::new(kind, error.to_string());
        match error.source() {
            Some(cause) => problem.because(cause),
            None => problem,
        }
    }

    /// Adds a cause and what is behind it.
    #[must_use]
    pub fn because(mut self, cause: &dyn Error) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// That it was cancelled.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}
