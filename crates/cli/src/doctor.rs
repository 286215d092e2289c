//! `banger doctor`: what is missing on this machine, and how to get it.
//!
//! First it is looked at the machine ([`host`]), then each check says what that means ([`checks`]); so a check is a function
//! of what was seen, and can be tested on machines that are not there.

mod checks;
mod host;

use std::path::Path;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::args::{Doctor, ServiceOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{print, print_each, say};
use crate::text::Line;

/// What is said of the machine when something is missing that images cannot be made or started without.
const MISSING: u8 = 1;

/// What a check has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What it is for.
    purpose: &'static str,
    /// How to get it, or to have it in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<String>,
}

/// How it stands with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It is there.
    Ok,
    /// Something is slower, or less, than it could be.
    Warning,
    /// Images cannot be made or started without it.
    Missing,
}

/// Why KVM does not work here, where it does not: in the words of `banger doctor`.
pub(crate) fn without_kvm(qemu: &Path) -> Option<Failure> {
    let kvm = host::kvm(Some(qemu));
    // The guest that tries it is one for x86: on another architecture only a machine can tell.
    if kvm == host::Kvm::Broken && !cfg!(target_arch = "x86_64") {
        return None;
    }
    let check = checks::kvm(&kvm);
    if check.state == State::Ok {
        return None;
    }
    let failure = Failure::new(Exit::Other, format!("KVM does not work here: {}", check.found));
    let failure = check.remedies.into_iter().fold(failure, Failure::hint);
    Some(failure.hint("without --accel kvm, banger emulates the machine where KVM does not work"))
}

pub(crate) fn run(doctor: &Doctor, options: &ServiceOptions) -> Result<ExitCode, Failure> {
    let host = host::look(doctor, options);
    let checks = checks::all(&host);
    if doctor.json {
        print_each(&checks)?;
    } else {
        checks.iter().try_for_each(|check| print(&text(check)))?;
        say(&verdict(&checks));
    }
    let is_missing = checks.iter().any(|check| check.state == State::Missing);
    Ok(if is_missing { ExitCode::from(MISSING) } else { ExitCode::SUCCESS })
}

/// For people: a line of what was found; where that is not as it should be, what it is for and how to get it.
fn text(check: &Check) -> String {
    const INDENT: &str = "         ";
    let (word, color) = match check.state {
        State::Ok => ("ok", AnsiColor::Green),
        State::Warning => ("warning", AnsiColor::Yellow),
        State::Missing => ("missing", AnsiColor::Red),
    };
    let style = styled(color.on_default());
    let mut text = format!("{style}{word:7}{style:#}  {}: {}", check.name, Line(&check.found));
    if check.state != State::Ok {
        text += &format!("\n{INDENT}{}", check.purpose);
        for remedy in &check.remedies {
            text += &format!("\n{INDENT}{}", Line(remedy));
        }
    }
    text
}

/// Only where standard output is to have colour.
fn styled(style: Style) -> Style {
    let stdout = std::io::stdout();
    if anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never { Style::new() } else { style }
}

fn verdict(checks: &[Check]) -> String {
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    match (count(State::Missing), count(State::Warning)) {
        (0, 0) => "all is there".to_owned(),
        (0, 1) => "all that is needed is there; one thing could be better".to_owned(),
        (0, warnings) => format!("all that is needed is there; {warnings} things could be better"),
        (1, _) => "one thing is missing".to_owned(),
        (missing, _) => format!("{missing} things are missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_in_order_is_explained() {
        let check = |state| Check {
            name: "KVM",
            state,
            found: "x\n".to_owned(),
            purpose: "machines run fast with it",
            remedies: vec!["do this".to_owned()],
        };
        assert_eq!(text(&check(State::Ok)), "ok       KVM: x\\n");
        let expected = "missing  KVM: x\\n\n         machines run fast with it\n         do this";
        assert_eq!(text(&check(State::Missing)), expected);
        for (states, expected) in [
            (&[State::Ok][..], "all is there"),
            (&[State::Ok, State::Warning], "all that is needed is there; one thing could be better"),
            (&[State::Warning, State::Missing], "one thing is missing"),
            (&[State::Missing, State::Missing], "2 things are missing"),
        ] {
            assert_eq!(verdict(&states.iter().copied().map(check).collect::<Vec<_>>()), expected);
        }
    }
}
