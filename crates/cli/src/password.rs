//! Asking for a name or a password on the terminal.
//!
//! While a password is typed, the terminal neither shows nor interprets anything: Ctrl-C arrives here as a character like
//! any other. So there is no moment at which it could end the program and leave a terminal behind that shows nothing; the
//! program puts the terminal in order and then ends itself as Ctrl-C would have ended it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::signal::SIGINT;
use signal_hook::low_level::emulate_default_handler;

use crate::exit::Exit;
use crate::failure::{Failure, exit_of_io};

/// Bytes of a name or a password. Tokens of some clouds have several KiB.
pub(crate) const LIMIT: usize = 64 << 10;

/// What was typed.
#[derive(Debug, Eq, PartialEq)]
enum Typed {
    Line(Vec<u8>),
    /// Ctrl-D, or nobody is there any more.
    Ended,
    /// Ctrl-C.
    Interrupted,
}

/// Whether there is somebody to ask.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line that may be seen. Nothing where standard input is no terminal.
pub(crate) fn ask(prompt: &str) -> Result<Option<String>, Failure> {
    let Some(terminal) = terminal() else { return Ok(None) };
    say(prompt);
    // The terminal edits the line; only its end is of interest here.
    let typed = read(&terminal, false).map_err(|error| failed(&error))?;
    meant(typed).map(Some)
}

/// Asks a question that is answered with yes or no; anything but yes is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    Ok(is_yes(&ask(question)?.unwrap_or_default()))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Asks for a line that must not be seen. Nothing where standard input is no terminal.
pub(crate) fn ask_password(prompt: &str) -> Result<Option<String>, Failure> {
    let Some(terminal) = terminal() else { return Ok(None) };
    let silent = Silent::begin(&terminal).map_err(|error| failed(&error))?;
    say(prompt);
    let typed = read(&terminal, true);
    drop(silent);
    // The end of the line was not shown either.
    say("\n");
    meant(typed.map_err(|error| failed(&error))?).map(Some)
}

/// Standard input without the buffer that this process has before it: what is typed ahead belongs to whoever reads next.
fn terminal() -> Option<File> {
    let input = io::stdin();
    input.is_terminal().then(|| input.as_fd().try_clone_to_owned().ok())?.map(File::from)
}

/// For as long as this lives, a terminal shows nothing and gives every character on.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Drain, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no order.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Reads up to the end of a line. Where nobody else does, `edits` it: takes back, begins anew, gives up.
fn read(mut input: impl Read, edits: bool) -> io::Result<Typed> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(Typed::Ended),
            Ok(0) => return Ok(Typed::Line(line)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match byte {
            [b'\n' | b'\r'] => return Ok(Typed::Line(line)),
            // Ctrl-C and Ctrl-\.
            [0x03 | 0x1c] if edits => return Ok(Typed::Interrupted),
            // Ctrl-D.
            [0x04] if edits && line.is_empty() => return Ok(Typed::Ended),
            [0x04] if edits => return Ok(Typed::Line(line)),
            // Backspace, by either of its codes: takes a whole character back.
            [0x08 | 0x7f] if edits => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            [0x15] if edits => line.clear(),
            // Ctrl-Z: nobody means it as part of a password, and the terminal cannot be left like this.
            [0x1a] if edits => {}
            [byte] => line.push(byte),
        }
        if line.len() > LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
        }
    }
}

fn meant(typed: Typed) -> Result<String, Failure> {
    match typed {
        Typed::Line(line) => String::from_utf8(line)
            .map_err(|_| Failure::new(Exit::Usage, "what was typed is not UTF-8, so it cannot be used")),
        Typed::Ended => Err(Failure::new(Exit::Usage, "nothing was typed")),
        Typed::Interrupted => {
            // A shell that runs this sees that it was interrupted, and stops too; even where SIGINT was ignored when this began.
            let _ = emulate_default_handler(SIGINT);
            Err(Failure::new(Exit::Other, "interrupted"))
        }
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(exit_of_io(error), "cannot read from the terminal").because(error)
}

fn say(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_edited() {
        let line = |text: &str| Typed::Line(text.as_bytes().to_owned());
        for (typed, expected) in [
            ("secret\n", line("secret")),
            ("secret\rmore", line("secret")),
            ("secret", line("secret")),
            ("secrex\x7ft\n", line("secret")),
            ("\x08\x7fsecret\n", line("secret")),
            ("grün\x7f\x7fün\n", line("grün")),
            ("wrong\x15secret\n", line("secret")),
            ("sec\x1aret\n", line("secret")),
            ("secret\x04", line("secret")),
            ("\n", line("")),
            ("\x04", Typed::Ended),
            ("", Typed::Ended),
            ("sec\x03", Typed::Interrupted),
            ("\x1c", Typed::Interrupted),
        ] {
            assert_eq!(read(typed.as_bytes(), true).unwrap(), expected, "{typed:?}");
        }
        // Where the terminal edits, nothing is left to do.
        assert_eq!(read(&b"a\x15b\x7f\n"[..], false).unwrap(), line("a\x15b\x7f"));
    }

    #[test]
    fn only_a_yes_is_one() {
        for (answer, expected) in
            [("y", true), ("Yes\n", true), ("", false), ("n", false), ("yy", false), ("ja", false)]
        {
            assert_eq!(is_yes(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn lines_have_a_limit() {
        assert!(read(&vec![b'x'; LIMIT + 1][..], true).is_err());
        assert!(read(io::repeat(b'x'), true).is_err());
    }
}
