//! Ctrl-C and its like, while no command in the guest gets them: whoever sends one wants the machine to end, properly.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::failure::Failure;

/// What has been sent to this process since it watches.
#[derive(Debug)]
pub(super) struct Interrupts {
    last: Arc<AtomicUsize>,
}

impl Interrupts {
    /// From now on they do not end this process by themselves.
    pub(super) fn watch() -> Result<Self, Failure> {
        let last = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or_default();
            signal_hook::flag::register_usize(signal, Arc::clone(&last), number)
                .map_err(|error| Failure::new(Exit::Other, "cannot watch for signals").because(&error))?;
        }
        Ok(Self { last })
    }

    /// The last signal.
    pub(super) fn signal(&self) -> Option<u8> {
        u8::try_from(self.last.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }

    /// The last one was for somebody else.
    pub(super) fn forget(&self) {
        self.last.store(0, Ordering::Relaxed);
    }
}

/// The exit status of who ends because of a signal, as shells have it.
pub(super) fn status(signal: u8) -> ExitCode {
    ExitCode::from(signal.saturating_add(128))
}
