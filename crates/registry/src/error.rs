//! What can go wrong with a registry.

use std::time::Duration;

use banger_error::ErrorKind;
use banger_oci::Mismatch;

use crate::credentials::Lapse;
use crate::transport::Fault;

/// An error of this crate; its chain of sources ends at the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry says that there is no such thing.
    #[error("{host} has no {}", on(host, what))]
    NotFound {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The registry wants to know who asks, or does not allow it.
    #[error("{host} does not allow access to {}{}", on(host, what), said(detail))]
    Unauthorized {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
        /// The registry's own words; empty where it has none.
        detail: String,
    },
    /// The registry answered with another status than those that mean something.
    #[error("{host} answered {status} when asked for {}{}", on(host, what), said(detail))]
    Status {
        /// The registry's host.
        host: String,
        /// The HTTP status code.
        status: u16,
        /// What was asked for.
        what: String,
        /// The registry's own words; empty where it has none.
        detail: String,
        /// How long the registry wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The registry wants to be left alone for longer than anybody waits.
    #[error(
        "{host} answered {status} and asks not to be asked for {} again for {}{}",
        on(host, what),
        long(*wait),
        said(detail)
    )]
    Busy {
        /// The registry's host.
        host: String,
        /// The HTTP status code.
        status: u16,
        /// What was asked for.
        what: String,
        /// For how long.
        wait: Duration,
        /// The registry's own words; empty where it has none.
        detail: String,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to {host} for {} failed", on(host, what))]
    Connection {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry answered, but not as the specification has it.
    #[error("the answer of {host} to a request for {} cannot be used: {reason}", on(host, what))]
    Protocol {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The registry has it in a form only that nothing here can read.
    #[error("{host} has {}, but {reason}", on(host, what))]
    Unsupported {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// The registry sent something else than was asked for.
    #[error("what {host} sent as {} is damaged or was tampered with", on(host, what))]
    Integrity {
        /// The registry's host.
        host: String,
        /// What was asked for.
        what: String,
        /// The difference.
        source: Mismatch,
    },
    /// Nobody waited for it any more.
    #[error("the fetch of {what} was given up")]
    GivenUp {
        /// What was being fetched.
        what: String,
    },
    /// The registry does not take what is sent to it.
    #[error("{host} does not take {}: it answered {status}{}", on(host, what), said(detail))]
    Refused {
        /// The registry's host.
        host: String,
        /// The HTTP status code.
        status: u16,
        /// What was sent.
        what: String,
        /// The registry's own words, or what the status means; empty where there is nothing to say.
        detail: String,
    },
    /// Whoever wanted it has said that it is not wanted any more.
    #[error("cancelled")]
    Cancelled,
    /// Something in the settings, in a file of credentials or in a certificate file cannot be used.
    #[error("{what}: {reason}")]
    Settings {
        /// The file or the setting.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A registry wants credentials, and the place that may have some could not be asked.
    #[error("{}", lapse.reason)]
    Lapse {
        /// What kept it from answering.
        lapse: Lapse,
        /// What the registry said.
        source: Box<Error>,
    },
    /// A program that keeps credentials is missing, or fails.
    #[error("{program}, which {file} names: {reason}")]
    Helper {
        /// The program.
        program: String,
        /// The file of credentials that names it.
        file: String,
        /// What went wrong; never what the program has given away.
        reason: String,
    },
    /// A system call failed.
    #[error("cannot {doing} {what}")]
    Io {
        /// The action: "open", "read", ...
        doing: &'static str,
        /// The file.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// What the error means to whoever asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::Status { .. } | Self::Busy { .. } | Self::Connection { .. } | Self::GivenUp { .. } => {
                ErrorKind::Network
            }
            Self::Protocol { .. } | Self::Integrity { .. } => ErrorKind::Integrity,
            Self::Settings { .. } => ErrorKind::Usage,
            Self::Helper { .. } | Self::Lapse { .. } => ErrorKind::Unauthorized,
            Self::Refused { status: 404, .. } => ErrorKind::NotFound,
            Self::Refused { .. } => ErrorKind::Unsupported,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Io { source, .. } => source.into(),
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// The host that was asked.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::NotFound { host, .. }
            | Self::Unauthorized { host, .. }
            | Self::Status { host, .. }
            | Self::Busy { host, .. }
            | Self::Connection { host, .. }
            | Self::Protocol { host, .. }
            | Self::Unsupported { host, .. }
            | Self::Refused { host, .. }
            | Self::Integrity { host, .. } => Some(host),
            Self::Lapse { source, .. } => source.host(),
            Self::GivenUp { .. } | Self::Cancelled | Self::Settings { .. } | Self::Helper { .. } | Self::Io { .. } => {
                None
            }
        }
    }

    /// What went wrong, in words that stand behind the host's name.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Status { status, detail, .. } => format!("it answered {status}{}", said(detail)),
            Self::Connection { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    /// The same of something that was sent: not an answer that failed, but one that means no.
    pub(crate) fn into_refusal(self) -> Self {
        let Self::Status { host, status, what, detail, .. } = self else { return self };
        let meaning = match status {
            404 => "there is no such repository, and it makes none",
            405 | 501 => "nothing can be stored there; it may be a mirror, or read-only",
            413 => "that is more than the registry, or a proxy before it, takes at once",
            _ => "",
        };
        let detail = if detail.is_empty() { meaning.to_owned() } else { detail };
        Self::Refused { host, status, what, detail }
    }

    /// Whether it may be gone in a moment, so that asking again makes sense (RFC 9110, section 15; the statuses that
    /// containerd and Docker ask again for).
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502..=504),
            Self::Connection { source, .. } => source.downcast_ref().is_none_or(Fault::is_temporary),
            _ => false,
        }
    }
}

impl From<Error> for banger_oci::Error {
    fn from(error: Error) -> Self {
        Self::Place(banger_oci::PlaceError { kind: error.kind(), error: Box::new(error) })
    }
}

/// What a host was asked for, without the host's own name, which the message has already.
fn on(host: &str, what: &str) -> String {
    let named = format!("{host}/");
    what.strip_prefix(&named).unwrap_or(what).replace(&format!(" {named}"), " ")
}

/// The words of a registry, behind a colon, if it has any.
fn said(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// A duration as people say it, to two digits or so.
fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds.div_ceil(60);
    let hours = seconds.div_ceil(3600);
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{minutes} minutes"),
        7_200..172_800 => format!("{hours} hours"),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_once() {
        for (host, what, expected) in [
            ("localhost:5000", "localhost:5000/team/app:1", "localhost:5000 has no team/app:1"),
            ("localhost:5000", "blob sha256:1 of localhost:5000/app", "localhost:5000 has no blob sha256:1 of app"),
            ("mirror.example", "docker.io/library/debian:12", "mirror.example has no docker.io/library/debian:12"),
        ] {
            let error = Error::NotFound { host: host.to_owned(), what: what.to_owned() };
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn long_waits_are_said_in_fitting_units() {
        for (seconds, expected) in [
            (61, "61 seconds"),
            (120, "2 minutes"),
            (3_601, "61 minutes"),
            (7_200, "2 hours"),
            (259_200, "3 days"),
            (259_201, "4 days"),
        ] {
            assert_eq!(long(Duration::from_secs(seconds)), expected);
        }
    }
}
