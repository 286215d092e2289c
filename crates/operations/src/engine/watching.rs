//! What the libraries tell while they work, as events for whoever asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use banger_api::Observer;
use banger_api::event::{Event, Step};

/// Tells an observer of one piece of work.
pub(super) struct Watching {
    observer: Arc<dyn Observer>,
    /// Digest of the file that is downloaded, where one is.
    digest: String,
    done: AtomicU64,
    total: u64,
}

impl Watching {
    /// Work on so many bytes, as far as that is known.
    pub(super) fn new(observer: &Arc<dyn Observer>, total: u64) -> Self {
        Self { observer: Arc::clone(observer), digest: String::new(), done: AtomicU64::new(0), total }
    }

    /// A download of the file with this digest.
    pub(super) fn download(observer: &Arc<dyn Observer>, digest: String, total: u64) -> Self {
        Self { digest, ..Self::new(observer, total) }
    }
}

impl banger_kernel::Watch for Watching {
    fn advanced(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if self.total > 0 {
            self.observer.event(Event::Advanced { done: done.min(self.total), total: self.total });
        }
    }

    fn is_cancelled(&self) -> bool {
        self.observer.is_cancelled()
    }
}

impl banger_disk::Observer for Watching {
    fn advanced(&self, done: u64, total: u64) {
        self.observer.event(Event::Advanced { done, total });
    }

    fn lost(&self, file: &[u8], what: &'static str) {
        warn(&self.observer, format!("{}: {what}", file.escape_ascii()));
    }

    fn is_cancelled(&self) -> bool {
        self.observer.is_cancelled()
    }
}

impl banger_catalog::watch::Watch for Watching {
    fn go_on(&self) -> bool {
        !self.observer.is_cancelled()
    }

    fn resumed(&self, bytes: u64) {
        self.observer.event(Event::Downloading { digest: self.digest.clone(), resumed: bytes });
    }

    fn received(&self, bytes: u64) {
        self.observer.event(Event::Downloaded { digest: self.digest.clone(), bytes });
    }

    fn restarted(&self) {
        self.observer.event(Event::Restarted { digest: self.digest.clone() });
    }

    fn shared(&self) {
        self.observer.event(Event::Shared { digest: self.digest.clone() });
    }

    fn advanced(&self, done: u64, total: u64) {
        self.observer.event(Event::Advanced { done, total });
    }
}

/// Tells that a step begins.
pub(super) fn step(observer: &Arc<dyn Observer>, step: Step, subject: impl Into<String>) {
    observer.event(Event::Step { step, subject: subject.into() });
}

/// Tells what is odd.
pub(super) fn warn(observer: &Arc<dyn Observer>, message: impl Into<String>) {
    observer.event(Event::Warning { message: message.into() });
}
