//! A program that does not outlive us: not even when we are killed.
//!
//! Between us and it stands a shell (`child/supervise.sh`) whose standard input is a pipe that we hold and never write to. When
//! we go, the pipe ends, and the shell kills the program. `PR_SET_PDEATHSIG` would do the same, but cannot be set for another
//! program without unsafe code, and ends it with the thread that started it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{At, Result};
use crate::limits::{KILLED, LOOK};

const SHELL: &str = "/bin/sh";
const SCRIPT: &str = include_str!("child/supervise.sh");

/// A program that we have started. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    process: Process,
    /// As long as it is open, the program lives.
    life: Option<ChildStdin>,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts `program`. What it prints goes to `log`; the file `pid` has its process id as long as it lives.
    pub(crate) fn start(program: &Path, arguments: Vec<OsString>, log: &Path, pid: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log).at("open", log)?;
        let errors = output.try_clone().at("open", log)?;
        let mut command = Command::new(SHELL);
        command.arg("-c").arg(SCRIPT).arg("supervise").arg(pid).arg(program).args(arguments);
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        // Ctrl-C is for us: what it means for the machine is ours to say.
        command.process_group(0);
        let mut process = command.spawn().at("start", program)?;
        let life = process.stdin.take();
        Ok(Self { inner: Mutex::new(Inner { process, life, status: None }) })
    }

    /// How it ended, if it did.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).look()
    }

    /// Waits until it ends, for a limited time.
    pub(crate) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            let status = self.status();
            if status.is_some() || start.elapsed() >= limit {
                return status;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends it.
    pub(crate) fn kill(&self) {
        drop(self.inner.lock().unwrap_or_else(PoisonError::into_inner).life.take());
        if self.wait(KILLED).is_none() {
            // The shell does not do its part: at least it is not to stay.
            let _ = self.inner.lock().unwrap_or_else(PoisonError::into_inner).process.kill();
        }
    }
}

impl Inner {
    fn look(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // Only for a process that is not our child, or was waited for already: both cannot be.
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a program ended, in words.
pub(crate) fn words(status: ExitStatus) -> String {
    // The shell tells of signals by statuses above 128.
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code @ 129..)) => format!("killed by signal {}", code.saturating_sub(128)),
        (None, code) => format!("exit status {}", code.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(directory: &Path, script: &str) -> Child {
        let arguments = vec!["-c".into(), script.into()];
        Child::start(Path::new("/bin/sh"), arguments, &directory.join("log"), &directory.join("pid")).unwrap()
    }

    fn pid(directory: &Path) -> u32 {
        let start = Instant::now();
        loop {
            if let Some(pid) =
                std::fs::read_to_string(directory.join("pid")).ok().and_then(|text| text.trim().parse().ok())
            {
                return pid;
            }
            assert!(start.elapsed() < KILLED, "there is no process id");
            std::thread::sleep(LOOK);
        }
    }

    fn is_gone(pid: u32) -> bool {
        let start = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() {
            if start.elapsed() > KILLED {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    #[test]
    fn it_says_how_it_ended_and_what_it_printed() {
        let directory = tempfile::tempdir().unwrap();
        for (script, expected) in
            [("exit 0", "exit status 0"), ("exit 7", "exit status 7"), ("kill -9 $$", "killed by signal 9")]
        {
            let child = start(directory.path(), script);
            assert_eq!(words(child.wait(KILLED).unwrap()), expected, "{script}");
        }
        start(directory.path(), "echo out; echo err >&2; cat").wait(KILLED).unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("log")).unwrap(), "out\nerr\n");
        assert!(!directory.path().join("pid").exists());
    }

    #[test]
    fn it_goes_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let child = start(directory.path(), "exec sleep 1000");
        let pid = pid(directory.path());
        assert_eq!(child.status(), None);
        drop(child);
        assert!(is_gone(pid));
    }

    const PLACE: &str = "BANGER_TEST_CHILD";

    #[test]
    #[ignore = "plays us in the test below, which kills it"]
    fn start_one_and_wait_for_ever() {
        let Some(directory) = std::env::var_os(PLACE) else { return };
        let _child = start(Path::new(&directory), "exec sleep 1000");
        std::thread::sleep(Duration::from_secs(1000));
    }

    #[test]
    fn it_goes_when_who_started_it_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mut us = Command::new(std::env::current_exe().unwrap());
        us.args(["--ignored", "--exact", "child::tests::start_one_and_wait_for_ever"]).env(PLACE, directory.path());
        let mut us = us.stdout(Stdio::null()).spawn().unwrap();
        let program = pid(directory.path());
        assert!(Path::new(&format!("/proc/{program}")).exists());
        us.kill().unwrap();
        us.wait().unwrap();
        assert!(is_gone(program));
    }
}
