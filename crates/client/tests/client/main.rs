//! What the client promises, of daemons that are processes of their own.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod asked;
mod started;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use banger_api::{Event, Observer};
use banger_client::Client;

/// How long anything may take before a test is given up: only what hangs is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is the case.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program of the example `memory-for-client`, which cargo makes with the tests.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/memory-for-client")
}

/// A daemon, which ends with its owner.
struct Running(Child);

impl Running {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        let child = command.arg(socket).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the daemon", || Client::connect(socket).is_ok());
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Witness {
    events: Mutex<Vec<Event>>,
    cancelled: AtomicBool,
}

impl Observer for Witness {
    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Witness {
    fn new() -> (Arc<Self>, Arc<dyn Observer>) {
        let witness = Arc::new(Self::default());
        (Arc::clone(&witness), witness)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
