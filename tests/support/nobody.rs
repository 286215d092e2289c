//! Running something as somebody who may do nothing. Needs root and `setpriv`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user and a group without any rights.
pub(crate) const NOBODY: &str = "65534";

/// Runs what its arguments are, as nobody, who can get no rights either.
pub(crate) fn command() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs", "--bounding-set=-all"]);
    command.arg("--").stdin(Stdio::null());
    command
}

/// Has everybody read, and enter or run, what is at a path.
pub(crate) fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
