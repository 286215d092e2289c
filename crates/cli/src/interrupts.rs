//! Ctrl-C and its like: whoever sends one wants what runs to end, properly.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// What has been sent to this process since it watches.
#[derive(Debug)]
pub(crate) struct Interrupts {
    last: Arc<AtomicUsize>,
}

impl Interrupts {
    /// From now on they do not end this process by themselves.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let last = Arc::new(AtomicUsize::new(0));
        for signal in SIGNALS {
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&last), number).map_err(|error| failure(&error))?;
        }
        Ok(Self { last })
    }

    /// The same, but the second one does: whoever sends it does not want to wait until all is in order.
    pub(crate) fn watch_first() -> Result<Self, Failure> {
        let once = Arc::new(AtomicBool::new(false));
        for signal in SIGNALS {
            // What is registered first is asked first, so the first signal does not find itself.
            flag::register_conditional_shutdown(signal, signal.saturating_add(SIGNALLED), Arc::clone(&once))
                .and_then(|_| flag::register(signal, Arc::clone(&once)))
                .map_err(|error| failure(&error))?;
        }
        Self::watch()
    }

    /// The last signal.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.last.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }

    /// The last one was for somebody else.
    pub(crate) fn forget(&self) {
        self.last.store(0, Ordering::Relaxed);
    }
}

/// Has something done before a signal ends this process, as it does by itself.
pub(crate) fn before_the_end(last: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new(SIGNALS).map_err(|error| failure(&error))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            last();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// What shells add to the number of the signal that something ended by.
const SIGNALLED: i32 = 128;

/// The exit status of who ends because of a signal, as shells have it.
pub(crate) fn status(signal: u8) -> ExitCode {
    ExitCode::from(u8::try_from(SIGNALLED).unwrap_or_default().saturating_add(signal))
}

fn failure(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Other, "cannot watch for signals").because(error)
}
