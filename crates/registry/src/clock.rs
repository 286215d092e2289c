//! Time, behind a trait: what waits and what grows old can be tested without waiting.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time, and lets it pass.
pub trait Clock: fmt::Debug + Send + Sync {
    /// A time that never runs backwards: ages and lifetimes are measured by it.
    fn now(&self) -> Instant;

    /// The date, which servers speak of.
    fn date(&self) -> SystemTime;

    /// Waits.
    fn sleep(&self, delay: Duration);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, delay: Duration) {
        std::thread::sleep(delay);
    }
}
