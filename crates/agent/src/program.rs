//! Programs of the guest that the agent runs for its own purposes, and that must not hold it up for ever.

use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::{self, Preparation, Session};

/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a program in a session of its own, with `input` as its standard input: a few lines, which a pipe takes at once. Returns how it
/// ended, or `None` when it had not ended in time: then it and its process group have been killed.
///
/// # Errors
/// It cannot be started, or not be waited for.
pub(crate) fn run(command: &mut Command, input: &[u8], longest: Duration) -> io::Result<Option<ExitStatus>> {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    sys::prepare(command, Preparation::plain(Session::New));
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end without reading: its status says whether that is right.
        let _ = stdin.write_all(input);
    }
    let until = Instant::now() + longest;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            if let Ok(group) = i32::try_from(child.id()) {
                sys::kill(group.saturating_neg(), libc::SIGKILL)?;
            }
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_input_and_has_its_time() {
        let mut command = Command::new("sh");
        command.args(["-c", "read -r line; test \"$line\" = hello"]);
        assert!(run(&mut command, b"hello\n", Duration::from_secs(60)).unwrap().unwrap().success());
        let begun = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60; true"]);
        assert_eq!(run(&mut command, b"", Duration::from_millis(200)).unwrap(), None);
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}
