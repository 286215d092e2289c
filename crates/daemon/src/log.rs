//! What the daemon says to standard error: one line for each thing that happened.

use std::fmt::{self, Write as _};
use std::io::Write as _;

/// Writes a line. Control characters do not get into it: what others name things must not look like lines of ours.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut line = String::from("bangerd: ");
    for character in text.to_string().chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    // There is nobody to tell that nobody reads it.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// [`line`], with a format.
macro_rules! log {
    ($($argument:tt)*) => { $crate::log::line(format_args!($($argument)*)) };
}
pub(crate) use log;
