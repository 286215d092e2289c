//! What a machine has written to its serial console.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::limits::{LOG_TAIL_BYTES, LOG_TAIL_LINES};

/// Between two looks whether there is more.
const PAUSE: Duration = Duration::from_millis(50);

/// The last lines of a log, on one line; nothing where there is none.
pub(crate) fn tail(path: &Path) -> String {
    last_bytes(path).map(|bytes| last_lines(&bytes)).unwrap_or_default()
}

/// The last line of a log that is not empty; nothing where there is none.
pub fn last_line(path: &Path) -> String {
    let bytes = last_bytes(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn last_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default().join(" | ")
}

/// Copies a log to `out` while it grows, until `ended` says that it does not any more.
///
/// # Errors
/// It cannot be read, or `out` cannot be written.
pub fn follow(path: &Path, out: &mut dyn Write, ended: &dyn Fn() -> bool) -> io::Result<()> {
    let mut file = File::open(path)?;
    loop {
        // Asked first: what was written before the end is copied.
        let last = ended();
        if io::copy(&mut file, out)? > 0 {
            out.flush()?;
        } else if last {
            return Ok(());
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_last_lines_are_told() {
        let text: String = (0..100).map(|number| format!("line {number}\r\n\n")).collect();
        assert!(last_lines(text.as_bytes()).starts_with("line 88 | line 89"));
        assert!(last_lines(text.as_bytes()).ends_with("line 99"));
        assert_eq!(last_lines(b"\xff\n\n"), "\u{fffd}");
        assert_eq!(tail(Path::new("/no/such")), "");
        assert_eq!(last_line(Path::new("/no/such")), "");
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "one\r\n two \r\n\r\n").unwrap();
        assert_eq!(last_line(log.path()), "two");
    }

    #[test]
    fn a_log_is_followed_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = File::create(&path).unwrap();
        let rounds = Cell::new(0);
        let ended = || {
            write!(&log, "{} ", rounds.get()).unwrap();
            rounds.set(rounds.get() + 1);
            rounds.get() > 3
        };
        let mut out = Vec::new();
        // It ends when nothing comes any more: what is written after the end was told is not lost, but for the test to end it stops.
        follow(&path, &mut out, &|| if rounds.get() > 3 { true } else { ended() }).unwrap();
        assert_eq!(out, b"0 1 2 3 ");
        log.flush().unwrap();
    }
}
