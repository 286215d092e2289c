//! The end of the machine: all processes end, what they have written is on the disk, the root is read-only, and then it is off.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::boot::BootMode;
use banger_protocol::shutdown::Action;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};

use super::Ending;
use crate::console;
use crate::sys::{self, Preparation, Session};

/// How long processes may take to end when they are asked to, and when they are not asked.
const ASKED: Duration = Duration::from_secs(5);
const KILLED: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// How long an image's init may take to end the machine.
const INIT: Duration = Duration::from_secs(120);

/// The first of the real-time signals, as C libraries count them.
const RTMIN: i32 = 34;

/// Where an init's programs stand.
const DIRECTORIES: [&str; 4] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];

/// Ends the machine, from process 1.
pub(super) fn end(ending: Ending) -> ! {
    // This process and the kernel's are spared.
    for (signal, time) in [(libc::SIGTERM, ASKED), (libc::SIGKILL, KILLED)] {
        // ESRCH: there is nobody left.
        if sys::kill(-1, signal).is_err() || wait_for_all(time) {
            break;
        }
    }
    finish();
    off(ending)
}

/// Waits until there are no processes any more. Whether that is so.
fn wait_for_all(time: Duration) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        match wait(WaitOptions::NOHANG) {
            Err(Errno::CHILD) => return true,
            Ok(None) => thread::sleep(LOOK),
            Ok(Some(_)) | Err(_) => {}
        }
    }
    false
}

/// What was written is on the disk after this, and the root file system is clean.
fn finish() {
    rustix::fs::sync();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    // The last mounted first. What is no disk needs nothing, and some of it is still needed.
    for place in mounts.lines().rev().filter_map(disk_mount).filter(|place| *place != "/") {
        if unmount(place, UnmountFlags::empty()).is_err()
            && let Err(error) = mount_remount(place, MountFlags::RDONLY, c"")
        {
            console::say(&format!("{place} could not be made read-only: {error}"));
        }
    }
    if let Err(error) = mount_remount("/", MountFlags::RDONLY, c"") {
        console::say(&format!("/ could not be made read-only: {error}"));
    }
    rustix::fs::sync();
}

/// Where a line of /proc/self/mounts has a disk mounted.
fn disk_mount(line: &str) -> Option<&str> {
    let (device, rest) = line.split_once(' ')?;
    device.starts_with("/dev/").then(|| rest.split_once(' ').map_or(rest, |(place, _)| place))
}

/// Ends the machine as it is.
pub(super) fn off(ending: Ending) -> ! {
    let command = match ending {
        Ending::Poweroff => RebootCommand::PowerOff,
        Ending::Reboot => RebootCommand::Restart,
    };
    if let Err(error) = reboot(command) {
        console::say(&format!("the machine cannot be ended: {error}"));
    }
    // A kernel that cannot switch the machine off stops it; process 1 must not end before that.
    loop {
        thread::sleep(KILLED);
    }
}

/// Has the image's own init end the machine; ends it, when that does not happen.
pub(crate) fn ask_init(mode: BootMode, action: Action) {
    if let Err(reason) = ask(mode, action) {
        console::say(&format!("the image's init cannot be asked to end: {reason}"));
    } else {
        // It ends this process too, in its time.
        thread::sleep(INIT);
        console::say("the image's init did not end the machine");
    }
    for (signal, time) in [(libc::SIGTERM, ASKED), (libc::SIGKILL, KILLED)] {
        if sys::kill(-1, signal).is_err() {
            break;
        }
        thread::sleep(time);
    }
    finish();
    off(action.into());
}

fn ask(mode: BootMode, action: Action) -> Result<(), String> {
    if mode == BootMode::Systemd {
        // systemd(1), "Signals": no program is needed, and no bus.
        let number = match action {
            Action::Poweroff => 4,
            Action::Reboot => 5,
        };
        return sys::kill(1, RTMIN.saturating_add(number)).map_err(|error| error.to_string());
    }
    let name = match action {
        Action::Poweroff => "poweroff",
        Action::Reboot => "reboot",
    };
    let found = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists());
    let program = found.ok_or_else(|| format!("there is no {name}"))?;
    let mut command = Command::new(&program);
    // It may be a script that waits for signals.
    sys::prepare(&mut command, Preparation::plain(Session::Inherited));
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", program.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_from_what_is_none() {
        for (line, expected) in [
            ("/dev/root / ext4 rw,relatime 0 0", Some("/")),
            ("/dev/vdb /data ext4 rw 0 0", Some("/data")),
            ("proc /proc proc rw 0 0", None),
            ("tmpfs /dev/shm tmpfs rw 0 0", None),
            ("nonsense", None),
        ] {
            assert_eq!(disk_mount(line), expected, "{line}");
        }
    }
}
