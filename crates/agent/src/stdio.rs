//! The pipes of a command, as those who write for containers know them: what is open as 0, 1 and 2 can be opened again by name, as
//! `/dev/stdin`, `/dev/stdout` and `/dev/stderr`, and by links to these.
//!
//! A process that opens a pipe by name needs a right to its inode, although it has the pipe open already. A new pipe is its maker's alone:
//! root's. So it is given to the command's user, and other users may open it as well: a server that begins as root and goes on as another
//! user opens its logs as either. This opens no way to other processes' pipes, as their names lead through the descriptors of a process.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, Uid, fchmod, fchown};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::users::User;

/// Every user may open it by name, in both directions.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// Returns a pipe that a command of this user can open by name: the end to read, and the end to write.
///
/// # Errors
/// As pipe(2), chown(2), chmod(2).
pub fn pipe(user: &User) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fchmod(&write, MODE)?;
    // Both ends are one inode.
    fchown(&write, Some(Uid::from_raw(user.credentials.uid)), None)?;
    Ok((read, write))
}
