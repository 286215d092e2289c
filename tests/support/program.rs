//! Running the program under test, and any other, with what came of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Seconds after which a run has hung. Even an unoptimised build on a busy machine does not come near it.
const LIMIT: &str = "300";

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_banger");

/// A command line of the program under test, in an environment of its own: no variable of whoever runs the tests
/// changes what it does or prints. What hangs is killed, and fails its test.
pub(crate) fn command() -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", LIMIT, PROGRAM]).env_clear().stdin(Stdio::null());
    command
}

/// Runs the program under test.
pub(crate) fn banger<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    Run::of(command().args(arguments))
}

/// Arguments as a list: strings, paths and what else can name a file.
#[macro_export]
macro_rules! args {
    ($($argument:expr),* $(,)?) => { [$(::std::ffi::OsString::from(&$argument)),*] };
}

/// A program that has run.
pub(crate) struct Run {
    command: String,
    pub(crate) output: Output,
}

impl Run {
    /// Runs a command to its end and keeps what it prints.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { command: format!("{command:?}"), output }
    }

    /// The exit code; none after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.expect(0)
    }

    /// It must have printed this, to whichever output.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout().contains(text) || self.stderr().contains(text),
            "{text:?} is not in what it says: {self}"
        );
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, output } = self;
        write!(f, "{command}: {}\n{}{}", output.status, self.stdout(), self.stderr())
    }
}

/// `SCHEME:PATH` as one argument.
pub(crate) fn source(scheme: &str, path: &Path) -> OsString {
    let mut source = OsString::from(scheme);
    source.push(":");
    source.push(path);
    source
}
