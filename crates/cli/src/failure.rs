//! How a command fails: one line, the chain of causes, and what to do about it.
//!
//! ```text
//! error: cannot write the file system
//!   caused by: the content needs 1073741824 bytes
//!
//! hint: ask for more with --size 1G
//! ```
//!
//! Where a command prints JSON, the same is one JSON object on one line: a [`Problem`], as the daemon answers it.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use banger_api::ErrorKind;
use banger_api::Problem;

use crate::exit::Exit;
use crate::interrupts;
use crate::text::Line;

/// Whether errors are written as JSON.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on errors are written as JSON, or as text.
pub(crate) fn write_json(is_json: bool) {
    AS_JSON.store(is_json, Ordering::Relaxed);
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read standard output has seen enough. Nobody needs to be told.
    Closed,
    /// A signal has ended it: which one, and what is left of the work.
    Signalled(u8, &'static str),
    /// Something went wrong.
    Message(Box<Message>),
}

/// What is told on standard error.
#[derive(Debug)]
pub(crate) struct Message {
    exit: Exit,
    problem: Problem,
}

impl Failure {
    /// A failure without a deeper cause.
    pub(crate) fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self::Message(Box::new(Message { exit, problem: Problem::new(exit.kind(), error) }))
    }

    /// A failure whose causes are those of `error`.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let failure = Self::new(exit, error.to_string());
        match error.source() {
            Some(cause) => failure.because(cause),
            None => failure,
        }
    }

    /// Standard output could not be written.
    pub(crate) fn stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        Self::new(exit_of_io(&error), "cannot write to standard output").because(&error)
    }

    /// A file of the host could not be used.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::new(exit_of_io(error), format!("cannot {action} {}", path.display())).because(error)
    }

    /// Adds a cause and what is behind it.
    pub(crate) fn because(mut self, cause: &dyn Error) -> Self {
        if let Self::Message(message) = &mut self {
            let mut next = Some(cause);
            while let Some(cause) = next {
                message.problem.causes.push(cause.to_string());
                next = cause.source();
            }
        }
        self
    }

    /// Makes it the cause of another failure, of the same kind and with these hints before its own.
    pub(crate) fn within(mut self, error: impl Into<String>, hints: impl IntoIterator<Item = String>) -> Self {
        if let Self::Message(message) = &mut self {
            let problem = &mut message.problem;
            problem.causes.insert(0, std::mem::replace(&mut problem.message, error.into()));
            problem.hints.splice(0..0, hints);
        }
        self
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Message(message) = &mut self {
            message.problem.hints.push(hint.into());
        }
        self
    }

    /// What is wrong, in one line.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Closed | Self::Signalled(..) => "",
            Self::Message(message) => &message.problem.message,
        }
    }

    /// What has been said to do so far.
    pub(crate) fn hints(&self) -> &[String] {
        match self {
            Self::Closed | Self::Signalled(..) => &[],
            Self::Message(message) => &message.problem.hints,
        }
    }

    /// Tells it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Closed => ExitCode::SUCCESS,
            Self::Signalled(signal, left) => {
                report_signal(left);
                interrupts::status(*signal)
            }
            Self::Message(message) => {
                // Nothing is left to do when standard error is closed too.
                let _ = message.write(&mut anstream::stderr().lock(), AS_JSON.load(Ordering::Relaxed));
                message.exit.into()
            }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Message(Box::new(Message { exit: problem.kind.into(), problem }))
    }
}

impl Message {
    fn write(&self, out: &mut dyn Write, is_json: bool) -> io::Result<()> {
        let Problem { message, causes, hints, .. } = &self.problem;
        if is_json {
            return write_problem(&self.problem, out);
        }
        writeln!(out, "{ERROR}error:{ERROR:#} {}", Line(message))?;
        for cause in causes {
            writeln!(out, "  caused by: {}", Line(cause))?;
        }
        if !hints.is_empty() {
            writeln!(out)?;
        }
        for hint in hints {
            writeln!(out, "{HINT}hint:{HINT:#} {}", Line(hint))?;
        }
        out.flush()
    }
}

fn write_problem(problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(problem)?)?;
    out.flush()
}

/// The last word of a command that a signal ends: what is left of its work.
pub(crate) fn report_signal(left: &str) {
    let mut out = anstream::stderr().lock();
    let _ = if AS_JSON.load(Ordering::Relaxed) {
        write_problem(&Problem::new(ErrorKind::Cancelled, format!("interrupted: {left}")), &mut out)
    } else {
        writeln!(out, "interrupted: {}", Line(left))
    };
}

pub(crate) fn exit_of_io(error: &io::Error) -> Exit {
    ErrorKind::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: &Failure) -> String {
        let Failure::Message(message) = failure else { panic!("no message") };
        let mut out = anstream::StripStream::new(Vec::new());
        message.write(&mut out, false).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn causes_and_hints_have_their_places() {
        let cause = io::Error::other("the cause");
        let failure = Failure::new(Exit::Usage, "it failed").because(&cause).hint("do this").hint("or that");
        let expected = "error: it failed\n  caused by: the cause\n\nhint: do this\nhint: or that\n";
        assert_eq!(text(&failure), expected);
    }

    #[test]
    fn json_has_the_same_in_fields() {
        let failure = Failure::new(Exit::NotFound, "no a\nb").because(&io::Error::other("why")).hint("do this");
        let Failure::Message(message) = failure else { panic!("no message") };
        let mut out = Vec::new();
        message.write(&mut out, true).unwrap();
        let expected = r#"{"kind":"not_found","message":"no a\nb","causes":["why"],"hints":["do this"]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_failure_can_be_the_cause_of_another() {
        let cause = io::Error::other("the cause");
        let failure = Failure::new(Exit::NotFound, "it failed").because(&cause).hint("do this");
        let failure = failure.within("all failed", ["look there".to_owned()]);
        let expected =
            "error: all failed\n  caused by: it failed\n  caused by: the cause\n\nhint: look there\nhint: do this\n";
        assert_eq!(text(&failure), expected);
        assert!(matches!(failure, Failure::Message(message) if message.exit == Exit::NotFound));
    }

    #[test]
    fn foreign_text_cannot_forge_lines() {
        let failure = Failure::new(Exit::Other, "bad name a\nhint: run this\x1b[1A");
        assert_eq!(text(&failure), "error: bad name a\\nhint: run this\\u{1b}[1A\n");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::stdout(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::Closed));
        let full = Failure::stdout(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Failure::Message(message) if message.exit == Exit::NoSpace));
    }
}
