//! Faults from outside: a system call fails, or is the last one before a kill. strace(1) sees to that; the program knows nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::registry::User;
use super::{Run, judge};

/// What happens to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this error, as errno(3) names it.
    Error(&'static str),
    /// Nothing of the program runs any more.
    Kill,
}

/// The `number`th call of this name, in each thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) call: &'static str,
    pub(crate) fault: Fault,
    pub(crate) number: usize,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, fault, number } = self;
        match fault {
            Fault::Error(error) => write!(f, "{call}:error={error}:when={number}"),
            Fault::Kill => write!(f, "{call}:signal=KILL:when={number}"),
        }
    }
}

/// A program that has run with a fault.
pub(crate) struct Struck {
    pub(crate) run: Run,
    /// The calls that it struck, with their arguments; empty where there were not so many.
    pub(crate) calls: Vec<String>,
}

/// Runs the program under strace, which writes into `log`.
fn trace(user: &User, log: &Path, expressions: &[&str], arguments: &[&str]) -> Run {
    let strace = judge::find("strace").unwrap();
    let mut by = vec![strace.to_str().unwrap(), "--follow-forks", "--decode-fds=path", "-qq"];
    by.extend(["-o", log.to_str().unwrap()]);
    by.extend(expressions.iter().flat_map(|expression| ["-e", *expression]));
    Run::of(user.command_by(by).args(arguments))
}

/// Each step of what the program does: the first call of a kind for each file, or for each sort of files, below the user's
/// directory. The program must succeed.
#[track_caller]
pub(crate) fn steps(user: &User, log: &Path, calls: &[&'static str], arguments: &[&str]) -> Vec<(&'static str, usize)> {
    trace(user, log, &[&format!("trace={}", calls.join(","))], arguments).ok();
    let log = std::fs::read_to_string(log).unwrap();
    let (mut counts, mut seen, mut steps) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for (thread, text) in log.lines().map(parts) {
        let Some(call) = calls.iter().find(|call| text.strip_prefix(**call).is_some_and(|rest| rest.starts_with('(')))
        else {
            continue;
        };
        let number: &mut usize = counts.entry((thread, *call)).or_default();
        *number += 1;
        if is_of(user, text) && seen.insert(sort(text)) {
            steps.push((*call, *number));
        }
    }
    steps
}

/// Whether a call is for something of the user's.
pub(crate) fn is_of(user: &User, call: &str) -> bool {
    call.contains(user.home().to_str().unwrap())
}

/// What a call is for: without numbers and digests, and the same for all modules of a kernel.
fn sort(call: &str) -> String {
    let call = call.split(" = ").next().unwrap_or(call).split(" <unfinished").next().unwrap_or(call);
    let call = call.split("modules/").next().unwrap_or(call);
    let words = call.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| word.len() < 16 && !word.bytes().all(|byte| byte.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

impl Strike {
    /// Runs the program. `log` is a file to write to.
    pub(crate) fn run(self, user: &User, log: &Path, arguments: &[&str]) -> Struck {
        let expressions = [format!("trace={}", self.call), format!("inject={self}")];
        let run = trace(user, log, &expressions.each_ref().map(String::as_str), arguments);
        let log = std::fs::read_to_string(log).unwrap();
        let calls = match self.fault {
            Fault::Error(_) => failed(&log),
            Fault::Kill => killed(&log, self.call),
        };
        Struck { run, calls }
    }
}

/// The thread and what is said of it. Numbers that are short are followed by more than one space.
fn parts(line: &str) -> (&str, &str) {
    let (thread, text) = line.split_once(' ').unwrap_or_default();
    (thread, text.trim_start())
}

/// Calls that failed because of the fault. While other threads call something, a call is told in two lines.
fn failed(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let struck = lines.iter().enumerate().filter(|(_, line)| line.ends_with("(INJECTED)"));
    struck
        .map(|(index, line)| {
            let (thread, text) = parts(line);
            if !text.contains(" resumed>") {
                return text.to_owned();
            }
            let begun = lines[..index].iter().rev().map(|line| parts(line)).find(|(other, _)| *other == thread);
            begun.unwrap_or_default().1.to_owned()
        })
        .collect()
}

/// The calls that a program was killed in. A kill of strace itself leaves no word of one.
fn killed(log: &str, call: &str) -> Vec<String> {
    let is_killed = log.lines().any(|line| line.ends_with("+++ killed by SIGKILL +++"));
    let is_last = |text: &&str| text.ends_with(" = ?") || text.ends_with("<unfinished ...>");
    let last = log.lines().map(|line| parts(line).1).filter(|text| text.starts_with(call)).filter(is_last);
    if is_killed { last.map(str::to_owned).collect() } else { Vec::new() }
}
