//! A person at a terminal: `guest/terminal.py`, with what is typed and what must be shown.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::corpus::repository;

/// Runs a command on a terminal, step by step. What the terminal has shown, and the exit status.
pub(crate) fn at_terminal(command: &Command, steps: &[Value]) -> (String, Option<i32>) {
    let mut terminal = Command::new("python3");
    terminal.arg(repository().join("tests/guest/terminal.py")).arg(command.get_program()).args(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    terminal.env_clear().envs(environment).env("TERM", "dumb");
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for step in steps {
        writeln!(stdin, "{step}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}
