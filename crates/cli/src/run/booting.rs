//! What is seen of a machine that takes long to boot: the last line of its console, on a terminal.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use banger_vm::client::terminal;
use banger_vm::log;

use crate::text::Line;

/// A boot that takes no longer shows nothing.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;
/// To the first column, and away with what is there.
const CLEAR: &str = "\r\x1b[K";

/// Whether standard error is a terminal on which a line can be written again.
pub(super) fn can_be_shown() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// Shows the last line of a console until the other end of `over` is dropped, and then nothing of it.
pub(super) fn show(console: &Path, over: &Receiver<()>) {
    let begun = Instant::now();
    let mut is_shown = false;
    while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        if begun.elapsed() >= QUIET {
            let columns = terminal::size().map(|size| size.columns).filter(|columns| *columns > 0).unwrap_or(COLUMNS);
            let text = text(begun.elapsed(), &log::last_line(console), columns.into());
            is_shown = true;
            // There is nobody left to see it.
            let _ = write!(std::io::stderr(), "{CLEAR}{text}");
        }
    }
    if is_shown {
        let _ = write!(std::io::stderr(), "{CLEAR}");
    }
}

/// What is shown on a terminal of so many columns, the last of which stays empty.
fn text(time: Duration, line: &str, columns: usize) -> String {
    let text = format!("booting, {} s: {}", time.as_secs(), Line(line));
    text.chars().take(columns.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_on_a_line() {
        assert_eq!(text(Duration::from_secs(7), "[ 1.2] Run /init", 80), "booting, 7 s: [ 1.2] Run /init");
        assert_eq!(text(Duration::from_secs(7), "[ 1.2] Run /init", 10), "booting, ");
    }
}
