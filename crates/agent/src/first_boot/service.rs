//! The SSH server as a service of the image's init; where there is none that knows services, the server is simply started.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use banger_protocol::boot::BootMode;

use super::packages::program;
use super::{FirstBootError, find_sshd};

/// Where units stand.
const UNITS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
/// Where OpenRC's scripts stand.
const SCRIPTS: [&str; 1] = ["etc/init.d"];

/// Has the server run now, and at each boot.
pub(super) fn enable(root: &Path, mode: BootMode) -> Result<(), FirstBootError> {
    match mode {
        BootMode::Systemd => {
            let unit = format!("{}.service", name(root, &UNITS, ".service"));
            program(root, "systemctl", &["daemon-reload"])?;
            program(root, "systemctl", &["enable", &unit])?;
            // Without waiting: it starts when this has ended.
            program(root, "systemctl", &["start", "--no-block", &unit])
        }
        BootMode::Openrc => {
            let script = name(root, &SCRIPTS, "");
            program(root, "rc-update", &["add", script, "default"])?;
            // Its dependencies may be what waits for this.
            program(root, "rc-service", &["--nodeps", script, "start"])
        }
        BootMode::Init | BootMode::Workload => start_without_init(root, mode),
    }
}

/// Starts the server where no init does.
pub(super) fn start_without_init(root: &Path, mode: BootMode) -> Result<(), FirstBootError> {
    let Some(server) = find_sshd(root).filter(|_| matches!(mode, BootMode::Init | BootMode::Workload)) else {
        return Ok(());
    };
    // The directory that it has no rights in, which an init's files would make.
    let directory = root.join("run/sshd");
    let made =
        fs::create_dir_all(&directory).and_then(|()| fs::set_permissions(&directory, Permissions::from_mode(0o755)));
    made.map_err(|error| FirstBootError::Record { path: directory, error })?;
    program(root, &server.to_string_lossy(), &[])
}

/// Debian calls it ssh, all others sshd.
fn name(root: &Path, directories: &[&str], end: &str) -> &'static str {
    let has = |directory: &&str| root.join(directory).join(format!("ssh{end}")).exists();
    if directories.iter().any(has) { "ssh" } else { "sshd" }
}
