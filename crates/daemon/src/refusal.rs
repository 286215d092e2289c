//! Why a request has no other answer: a problem and the status that goes with it.
//!
//! The body is a [`Problem`], as `application/problem+json`: all of its members are extensions of RFC 9457, whose own members
//! are optional.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use banger_api::{ErrorKind, Problem};
use serde::Serialize;

/// The media type of answers.
pub(crate) const JSON: &str = "application/json";

/// The media type of problems.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// A problem, and the status that goes with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

impl Refusal {
    /// A request that HTTP has a status for.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            status if status.is_client_error() => ErrorKind::Usage,
            _ => ErrorKind::Other,
        };
        Self { status, problem: Problem::new(kind, message) }
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem = self.problem.hint(hint);
        self
    }

    pub(crate) fn answer(&self) -> Response<Body> {
        answer(self.status, PROBLEM, &self.problem)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { status: status(problem.kind), problem }
    }
}

/// The status that goes with a sort of failure.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Usage => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict | ErrorKind::Cancelled => StatusCode::CONFLICT,
        ErrorKind::Unauthorized => StatusCode::FORBIDDEN,
        ErrorKind::Network => StatusCode::BAD_GATEWAY,
        ErrorKind::Integrity | ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer with a body.
pub(crate) fn answer(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response<Body> {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        // A path that is not UTF-8, for one.
        Err(error) => {
            let problem = Problem::of(ErrorKind::Other, &error);
            (StatusCode::INTERNAL_SERVER_ERROR, serde_json::to_vec(&problem).unwrap_or_default())
        }
    };
    let media_type = if status.is_success() { media_type } else { PROBLEM };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
