//! Standard output: data, and nothing else. What is for people goes to standard error.

use std::collections::HashSet;
use std::io::Write;

use banger_api::Event;
use serde::Serialize;

use crate::args::ListOutput;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress;
use crate::table::Table;
use crate::text::Line;

/// Writes text and a newline.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::stdout)
}

/// Writes a line for people, so on standard error; nothing is lost when that is closed. Where that is for a program, it is
/// an event.
pub(crate) fn say(text: &str) {
    if progress::is_json() {
        let message = text.strip_prefix("warning: ").unwrap_or(text).to_owned();
        return progress::print(&Event::Warning { message });
    }
    let _ = writeln!(anstream::stderr().lock(), "{}", Line(text));
}

/// Writes each value as one line of JSON.
pub(crate) fn print_each(values: &[impl Serialize]) -> Result<(), Failure> {
    values.iter().try_for_each(|value| print(&json(value)?))
}

/// Writes things that have names in the form that was asked for. Of several that share a name, as what is there for several
/// architectures does, it is written once where names alone are wanted.
pub(crate) fn print_list<T: Serialize, const N: usize>(
    output: &ListOutput,
    items: &[T],
    name: impl Fn(&T) -> &str,
    table: impl FnOnce(&[T]) -> Table<N>,
    none: &str,
) -> Result<(), Failure> {
    if output.json {
        return print_each(items);
    }
    if output.quiet {
        let mut seen = HashSet::new();
        let mut names = items.iter().map(name).filter(|name| seen.insert(*name));
        return names.try_for_each(|name| print(&Line(name).to_string()));
    }
    if items.is_empty() {
        say(none);
        return Ok(());
    }
    table(items).print(output.no_trunc)
}

/// A value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Exit::Other, "cannot write the report").because(&error))
}

/// A number of blobs, and their bytes, as JSON has them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Amount {
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
}

/// A report, and the hosts that answered for it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answered<'a, T> {
    #[serde(flatten)]
    pub(crate) report: &'a T,
    /// The registry, or mirrors of it; none where no registry was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) from: Vec<String>,
}
