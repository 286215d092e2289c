//! Process 1 where the image has no init: as little as can be, because it must not fail. It starts the service, waits for all processes that nobody
//! else waits for, passes on the wish that the machine should end, and ends it when the service has.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};

use super::{Ending, fail, init, power};
use crate::{console, sys};

/// What asks for the end: a user, ctrl-alt-del, a power supply that fails.
const ENDING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGPWR];

const SIGNALS: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGPWR, libc::SIGCHLD];

/// Runs the service until it has ended, and then ends the machine.
pub(super) fn run() -> ! {
    if let Err(error) = sys::block_signals(&SIGNALS) {
        console::say(&format!("init: blocking signals: {error}"));
    }
    // Ctrl-alt-del is to be a signal for this process, not the end at once.
    if let Err(error) = reboot(RebootCommand::CadOff) {
        console::say(&format!("init: ctrl-alt-del: {error}"));
    }
    let service = match init::service().spawn() {
        Ok(child) => i32::try_from(child.id()).unwrap_or_default(),
        Err(error) => fail("init", &format!("the service was not started: {error}")),
    };
    loop {
        // Whatever woke it, there may be somebody to wait for.
        if let Some(status) = reap(service) {
            power::end(ending(status));
        }
        match sys::wait_signal(&SIGNALS, None) {
            Ok(Some(signal)) if ENDING.contains(&signal) => {
                if let Err(error) = sys::kill(service, libc::SIGTERM) {
                    console::say(&format!("init: telling the service: {error}"));
                }
            }
            Ok(_) => {}
            Err(error) => console::say(&format!("init: waiting for signals: {error}")),
        }
    }
}

/// Waits for all processes that have ended: the service's status, if it is among them.
fn reap(service: i32) -> Option<ExitStatus> {
    let mut found = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if pid.as_raw_nonzero().get() == service {
                    found = Some(ExitStatus::from_raw(status.as_raw()));
                }
            }
            Ok(None) | Err(Errno::CHILD) => return found,
            Err(Errno::INTR) => {}
            Err(error) => {
                console::say(&format!("init: waiting for processes: {error}"));
                return found;
            }
        }
    }
}

/// What the service's end means for the machine.
fn ending(status: ExitStatus) -> Ending {
    status.code().and_then(Ending::of_status).unwrap_or_else(|| {
        console::say(&format!("init: the service ended unexpectedly: {status}"));
        Ending::Poweroff
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_status_says_what_becomes_of_the_machine() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(ending(exited(Ending::Reboot as i32)), Ending::Reboot);
        assert_eq!(ending(exited(Ending::Poweroff as i32)), Ending::Poweroff);
        assert_eq!(ending(exited(0)), Ending::Poweroff);
        assert_eq!(ending(ExitStatus::from_raw(libc::SIGABRT)), Ending::Poweroff);
    }
}
