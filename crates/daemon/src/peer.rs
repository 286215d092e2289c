//! Who is answered: the user that the daemon runs as, and root. Nobody else, whatever the socket's mode says.

use std::io;

use tokio::net::UnixStream;

/// A user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own(u32);

impl Own {
    /// The user that this process runs as.
    pub(crate) fn of_process() -> Self {
        Self(rustix::process::geteuid().as_raw())
    }

    /// Whether whoever is at the other end may ask: by what the kernel noted when it connected (`SO_PEERCRED`, unix(7)).
    ///
    /// # Errors
    /// The user that may not.
    pub(crate) fn admits(self, stream: &UnixStream) -> io::Result<Result<(), u32>> {
        let uid = stream.peer_cred()?.uid();
        Ok(if uid == self.0 || uid == 0 { Ok(()) } else { Err(uid) })
    }
}
