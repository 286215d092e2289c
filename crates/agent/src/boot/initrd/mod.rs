//! Process 1 of banger's initial RAM disk: loads the few modules that a kernel needs to see its disk, mounts the root file system and goes there.
//!
//! | parameter of the kernel's command line | meaning |
//! |---|---|
//! | `root=` | the device, `/dev/vda` where nothing is said |
//! | `rootfstype=`, `rootflags=` | as the kernel has them; ext4 |
//! | `ro`, `rw` | read-only unless `rw`; the last counts |
//! | `init=` | what runs there; the agent where nothing is said, then what the kernel would try |

mod modules;
mod root;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use banger_protocol::paths;

use super::{fail, mounts};
use crate::console;
use crate::settings::CommandLine;

/// What is tried where nothing is said: the agent, then what the kernel tries (init/main.c).
const INITS: [&str; 5] = [paths::AGENT, "/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/// Whether this is banger's initial RAM disk.
pub fn is_here() -> bool {
    Path::new(paths::INITRD_MARK).exists()
}

/// Runs as process 1 of the initial RAM disk. Does not return: another program goes on in this process, or the machine ends.
pub fn run() -> ! {
    let problems = mounts::first();
    let _ = mounts::open_console();
    for problem in problems {
        console::say(&format!("initrd: {problem}"));
    }
    let line = match std::fs::read_to_string("/proc/cmdline") {
        Ok(line) => CommandLine::parse(&line),
        Err(error) => fail("initrd", &format!("/proc/cmdline: {error}")),
    };
    for problem in modules::load_all(Path::new(paths::INITRD_MODULES)) {
        console::say(&format!("initrd: {problem}"));
    }
    if let Err(error) = root::mount(&line).and_then(|()| root::switch()) {
        fail("initrd", &error.to_string());
    }
    go_on(line.value("init"))
}

/// Goes on as the first init that can be started.
fn go_on(wanted: Option<&str>) -> ! {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut reasons = Vec::new();
    for init in wanted.into_iter().chain(INITS) {
        if !Path::new(init).exists() {
            if Some(init) == wanted {
                console::say(&format!("initrd: there is no {init} in the root file system"));
            }
            continue;
        }
        let error = Command::new(init).args(&arguments).exec();
        reasons.push(format!("{init}: {error}"));
    }
    let reason =
        if reasons.is_empty() { "there is no init in the root file system".to_owned() } else { reasons.join("; ") };
    fail("initrd", &reason)
}
