//! Process 1 of a guest: prepares what is needed, and then becomes the image's own init, or stays what it is.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use banger_protocol::boot::BootMode;

use super::{HOSTNAME_FILE, fail, mounts, set_hostname, supervise, write_hostname};
use crate::settings::{CommandLine, Settings};
use crate::sys::{self, Preparation, Session};
use crate::{console, identity, launch, sysctl};

/// By this variable an init knows that it is in a container (systemd's container interface).
const CONTAINER: &str = "container";

/// The running program's own file.
const SELF: &str = "/proc/self/exe";

/// The name under which it is the service.
const SERVICE: &str = "banger-vsock-agent";

/// Runs as process 1. Does not return: the machine ends, or another program goes on in this process.
pub fn run() -> ! {
    let mut problems = mounts::first();
    // Without a console there is nobody to tell it to.
    let _ = mounts::open_console();
    let settings = Settings::read();
    problems.extend(set_hostname(&settings).err());
    let mode = settings.boot.mode;
    if mode == BootMode::Workload {
        let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        let writable = mounts::make_root_writable(&CommandLine::parse(&line));
        problems.extend(writable.err().map(|error| format!("making / writable: {error}")));
    }
    if matches!(mode, BootMode::Init | BootMode::Workload) {
        problems.extend(mounts::rest(mode == BootMode::Workload));
    }
    if mode == BootMode::Workload {
        problems.extend(write_hostname().err().map(|error| format!("{HOSTNAME_FILE}: {error}")));
        problems.extend(mounts::share().err().map(|error| format!("sharing mounts with the workload: {error}")));
    }
    if mode != BootMode::Workload {
        // For what the init starts. What does not work is told by the service, which does it again.
        let _ = sysctl::set_wanted(&settings.sysctls);
    }
    if matches!(mode, BootMode::Init | BootMode::Openrc) {
        // Before the init: what it starts may ask for the id. A root that is read-only still is filled by the service.
        if let Err(error) = identity::fill(Path::new("/"))
            && error.kind() != ErrorKind::ReadOnlyFilesystem
        {
            problems.push(format!("/etc/machine-id: {error}"));
        }
    }
    for problem in &problems {
        console::say(problem);
    }
    match mode {
        BootMode::Workload => supervise::run(),
        mode => {
            // Others have a file that starts the service.
            if mode == BootMode::Init
                && let Err(error) = service().spawn()
            {
                console::say(&format!("the service was not started: {error}"));
            }
            hand_over(&settings)
        }
    }
}

/// The service, to be started.
pub(super) fn service() -> Command {
    // By its path rather than by the link, after which the kernel would name the process.
    let mut service = Command::new(fs::read_link(SELF).unwrap_or_else(|_| SELF.into()));
    service.arg0(SERVICE);
    sys::prepare(&mut service, Preparation::plain(Session::Inherited));
    service
}

/// Goes on as the image's own init, with the arguments of the image's command and those that the kernel gave.
fn hand_over(settings: &Settings) -> ! {
    let boot = &settings.boot;
    let init = boot.init.as_deref().unwrap_or("/sbin/init");
    let mut command = Command::new(init);
    command.args(&boot.args).args(std::env::args_os().skip(1));
    if boot.entrypoint {
        // It prepares the image for the init, and was written for a container. The init must not believe that it is in one.
        let path = [("PATH".to_owned(), launch::PATH.to_owned())];
        command.envs(path).envs(settings.env.iter().filter(|(name, _)| *name != CONTAINER));
        command.current_dir(launch::working_directory(settings).unwrap_or("/"));
    }
    let error = command.exec();
    fail("init", &format!("{init}: {error}"))
}
