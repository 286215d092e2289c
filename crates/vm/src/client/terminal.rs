//! The terminal of this process, while a command in the guest has it.

use std::io::IsTerminal;
use std::os::fd::OwnedFd;

use banger_protocol::exec::Size;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size of the terminal that standard output, or else standard input, is; none where neither is one.
pub fn size() -> Option<Size> {
    let window = tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(std::io::stdin())).ok()?;
    Some(Size { rows: window.ws_row, columns: window.ws_col })
}

/// Whether a command may have the terminal: standard input and standard output both are one.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The terminal passes each key on and does nothing by itself, until this is dropped.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// From now on.
    pub(super) fn enter() -> std::io::Result<Self> {
        // A descriptor of its own: the terminal is set right even if somebody closes standard input.
        let terminal = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody left to be told.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}
