//! The body of an answer that says no.

use serde::{Deserialize, Serialize};

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The sort, for programs.
    pub kind: FailureKind,
    /// A sentence, for people.
    pub error: String,
}

/// Sorts of failures, each with its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request makes no sense: 400.
    Request,
    /// What it names is not there: 404.
    NotFound,
    /// It is there, but cannot be run or opened: 403.
    NotPermitted,
    /// More than a limit allows: 413.
    Limit,
    /// Too much at the same time: 503.
    Busy,
    /// The guest could not do it: 500.
    Internal,
}

impl FailureKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Request => 400,
            Self::NotFound => 404,
            Self::NotPermitted => 403,
            Self::Limit => 413,
            Self::Busy => 503,
            Self::Internal => 500,
        }
    }
}
