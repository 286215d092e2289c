//! Standard output: data, and nothing else. What is for people goes to standard error.

use std::collections::HashSet;
use std::io::Write;

use serde::Serialize;

use crate::args::ListOutput;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::Line;

/// Writes text and a newline.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::stdout)
}

/// Writes a line for people, so on standard error; nothing is lost when that is closed.
pub(crate) fn say(text: &str) {
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
