//! Time, behind a trait: what waits and what grows old can be tested without waiting.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use crate::limits::CANCEL_POLL;

/// Tells the time, and lets it pass.
pub trait Clock: fmt::Debug + Send + Sync {
    /// A time that never runs backwards: ages and lifetimes are measured by it.
    fn now(&self) -> Instant;

    /// The date, which servers speak of.
    fn date(&self) -> SystemTime;

    /// Waits, but no longer than until `is_over` says that nobody needs it.
    fn sleep(&self, delay: Duration, is_over: &dyn Fn() -> bool);
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

    fn sleep(&self, delay: Duration, is_over: &dyn Fn() -> bool) {
        let begun = Instant::now();
        while !is_over() {
            let left = delay.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(CANCEL_POLL));
        }
    }
}
