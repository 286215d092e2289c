//! HTTP/1.1 (RFC 9112), as much of it as an agent needs.

pub(super) mod answer;
pub(super) mod body;
pub(super) mod head;

use std::io;

use banger_protocol::failure::{Failure, FailureKind};

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The host is told why.
    #[error("{}", .0.error)]
    Refusal(Failure),
    /// There is nobody left to be told.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

impl Trouble {
    /// A refusal.
    pub(super) fn new(kind: FailureKind, error: impl Into<String>) -> Self {
        Self::Refusal(Failure { kind, error: error.into() })
    }

    /// The request makes no sense.
    pub(super) fn request(error: impl Into<String>) -> Self {
        Self::new(FailureKind::Request, error)
    }
}
