//! Memory for the windows of zstd frames, which the decoders of several layers share.
//!
//! A decoder must hold the last bytes that it gave out, as many as the frame's header says: its window. Windows of up to
//! [`limits::SMALL_ZSTD_WINDOW`] are what writers take by default; those are not counted. A frame with a larger one is
//! begun when a [`WindowBudget`] has room for it. A decoder gives back what it has before it asks for more, so that no
//! two of them can wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits;

/// How much memory the large windows of several decoders may take together.
#[derive(Debug)]
pub struct WindowBudget {
    /// Bytes of all windows together.
    total: u64,
    /// Bytes of those that there are.
    used: AtomicU64,
}

impl WindowBudget {
    /// Windows of `total` bytes together; a single one may be larger.
    pub fn new(total: u64) -> Self {
        Self { total, used: AtomicU64::new(0) }
    }

    /// The sum with one more window, if that may begin: it fits, or it would be the only one.
    fn with(&self, used: u64, window: u64) -> Option<u64> {
        let sum = used.saturating_add(window);
        (used == 0 || sum <= self.total).then_some(sum)
    }
}

/// The window of one decoder, and its share of a budget.
#[derive(Debug, Default)]
pub(super) struct Share {
    budget: Option<Arc<WindowBudget>>,
    /// Bytes that are taken from the budget.
    taken: u64,
    /// The window of a frame that waits for room.
    awaited: Option<u64>,
}

impl Share {
    /// Takes windows from a budget; without one every window has room.
    pub(super) fn of(budget: Arc<WindowBudget>) -> Self {
        Self { budget: Some(budget), ..Self::default() }
    }

    /// Whether a window of this size has room in what has been taken already.
    pub(super) fn covers(&self, window: u64) -> bool {
        self.budget.is_none() || window <= self.taken.max(limits::SMALL_ZSTD_WINDOW)
    }

    /// Takes room for a window; tells whether there is any. What was taken before is given back in any case.
    pub(super) fn take(&mut self, window: u64) -> bool {
        self.give_back();
        let Some(budget) = &self.budget else { return true };
        let taken = budget.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| budget.with(used, window));
        match taken {
            Ok(_) => (self.taken, self.awaited) = (window, None),
            Err(_) => self.awaited = Some(window),
        }
        taken.is_ok()
    }

    /// Whether a frame waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        self.awaited.is_some()
    }

    /// Whether a frame waits for room that is not there yet.
    pub(super) fn is_blocked(&self) -> bool {
        let (Some(budget), Some(window)) = (&self.budget, self.awaited) else { return false };
        budget.with(budget.used.load(Ordering::Acquire), window).is_none()
    }

    fn give_back(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.taken, Ordering::AcqRel);
        }
        self.taken = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn windows_together_stay_in_the_budget() {
        let budget = Arc::new(WindowBudget::new(512 * MIB));
        let [mut first, mut second, mut third] = [(); 3].map(|()| Share::of(Arc::clone(&budget)));
        assert!(first.take(300 * MIB) && second.take(212 * MIB));
        assert!(!third.take(16 * MIB) && third.is_waiting() && third.is_blocked());
        drop(second);
        assert!(third.is_waiting() && !third.is_blocked());
        assert!(third.take(16 * MIB) && !third.is_waiting());
        // It gives back what it has before it asks for more.
        assert!(!third.take(500 * MIB));
        assert_eq!(budget.used.load(Ordering::Relaxed), 300 * MIB);
        assert!(first.take(100 * MIB) && first.covers(100 * MIB) && !first.covers(101 * MIB));
        drop(first);
        // One that is larger than the budget is alone.
        assert!(third.take(600 * MIB));
        assert!(!Share::of(Arc::clone(&budget)).take(9 * MIB));
        drop(third);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn small_windows_are_not_counted() {
        let share = Share::of(Arc::new(WindowBudget::new(0)));
        assert!(share.covers(limits::SMALL_ZSTD_WINDOW) && !share.covers(limits::SMALL_ZSTD_WINDOW + 1));
        assert!(Share::default().covers(u64::MAX));
    }
}
