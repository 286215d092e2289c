//! What a failure means to whoever asked.
//!
//! Each crate says in words of its own what went wrong. What a program decides by (try again, ask for a login, make room, give
//! up) is the same for all of them: the list of [`ErrorKind`].

use std::io;

/// A sort of failure: what a program would decide by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(
    feature = "schema",
    derive(serde::Deserialize, serde::Serialize, utoipa::ToSchema),
    serde(rename_all = "snake_case")
)]
pub enum ErrorKind {
    /// The request makes no sense, or fits several things.
    Usage,
    /// Something that was named, or that is needed, is not there.
    NotFound,
    /// Something else stands in the way: a name that is taken, an image that is in use.
    Conflict,
    /// A registry or a server wants to know who asks, or does not allow it.
    Unauthorized,
    /// The network, or the server at its other end, failed.
    Network,
    /// The input is malformed, over a limit, or not what its digest or signature says.
    Integrity,
    /// It may be right, but nothing here can read it, or nothing there takes it.
    Unsupported,
    /// A disk is full, or the size asked for is too small.
    NoSpace,
    /// Whoever asked does not want it any more.
    Cancelled,
    /// None of the others.
    Other,
}

impl From<&io::Error> for ErrorKind {
    /// What it means that the system refused.
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::Conflict,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::NoSpace,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Integrity,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_system_means_what_a_user_would_do_about_it() {
        // The numbers of Linux: what the kernel says, not what the standard library calls it.
        for (errno, expected) in [
            (2, ErrorKind::NotFound),
            (17, ErrorKind::Conflict),
            (27, ErrorKind::NoSpace),
            (28, ErrorKind::NoSpace),
            (122, ErrorKind::NoSpace),
            (5, ErrorKind::Other),
            (13, ErrorKind::Other),
            (20, ErrorKind::Other),
        ] {
            assert_eq!(ErrorKind::from(&io::Error::from_raw_os_error(errno)), expected, "errno {errno}");
        }
        assert_eq!(ErrorKind::from(&io::Error::from(io::ErrorKind::UnexpectedEof)), ErrorKind::Integrity);
    }
}
