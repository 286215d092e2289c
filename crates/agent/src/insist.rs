//! A signal that is to end PID 1 of a namespace.
//!
//! The kernel drops a signal for such a process if it has no handler for it (pid_namespaces(7)), so that Ctrl-C has no effect on many
//! programs that it would end elsewhere. As `docker stop` does, the agent waits for some time, in which the program may still install one, and
//! then kills it. A program that handles, blocks or ignores the signal knows what it does, and is left alone.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long PID 1 may take to end.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// Signals that people and their programs send to have a process end.
const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Sees to it that PID 1 of a namespace, which has this number here and has just been sent this signal, ends after `time` if the kernel has
/// dropped the signal. The process must not have been waited for. Returns at once.
///
/// # Errors
/// There is no such process, or no thread.
pub(crate) fn after(time: Duration, pid: i32, signal: i32) -> io::Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    if !ENDING.contains(&signal) || !is_dropped(&status, signal) {
        return Ok(());
    }
    let process = pidfd_open(Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?, PidfdFlags::empty())?;
    thread::Builder::new().name("insist".into()).spawn(move || {
        if !has_ended(&process, Instant::now() + time) {
            // It may have ended in this moment.
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    })?;
    Ok(())
}

/// Whether the kernel drops a signal for a PID 1 with this status (proc(5)): there is nothing that would take it.
fn is_dropped(status: &str, signal: i32) -> bool {
    let has = |field: &str| {
        let masks = status.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let bit = u32::try_from(signal).ok().and_then(|signal| 1_u64.checked_shl(signal.checked_sub(1)?));
        masks
            .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .any(|mask| bit.is_none_or(|bit| mask & bit != 0))
    };
    !["SigBlk", "SigIgn", "SigCgt"].into_iter().any(has)
}

/// Waits for the end of a process until `deadline`. Whether it has come.
fn has_ended(process: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            Ok(0) => return false,
            // What cannot be waited for is not killed.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_signal_is_dropped_where_nothing_takes_it() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000004000\nSigCgt:\t0000000180000002\n";
        for (signal, dropped) in [(1, false), (2, false), (15, false), (3, true), (9, true)] {
            assert_eq!(is_dropped(status, signal), dropped, "{signal}");
        }
    }

    #[test]
    fn what_ignores_by_chance_is_killed_and_what_means_to_is_not() {
        let mut plain = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pid = |child: &std::process::Child| i32::try_from(child.id()).unwrap();
        // As if it had been sent one.
        after(Duration::from_millis(20), pid(&plain), libc::SIGTERM).unwrap();
        assert_eq!(plain.wait().unwrap().signal(), Some(libc::SIGKILL));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap 'exit 3' TERM; echo ready; read -r line"]);
        let mut handles =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        io::Read::read_exact(handles.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
        after(Duration::ZERO, pid(&handles), libc::SIGTERM).unwrap();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(handles.try_wait().unwrap(), None);
        handles.kill().unwrap();
        handles.wait().unwrap();
    }
}
