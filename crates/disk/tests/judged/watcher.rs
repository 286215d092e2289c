//! An observer that remembers, and that may wish for the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use banger_disk::Observer;

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct Watcher {
    /// How far it was said to be, each time.
    pub(crate) told: Mutex<Vec<(u64, u64)>>,
    pub(crate) lost: Mutex<Vec<Vec<u8>>>,
    asked: AtomicU64,
    /// How often it lets things go on; for ever where nothing is said.
    pub(crate) patience: Option<u64>,
}

impl Watcher {
    /// One that wishes for the end when it has been asked so often.
    pub(crate) fn with_patience(patience: u64) -> Self {
        Self { patience: Some(patience), ..Self::default() }
    }

    /// How often it was asked whether to go on.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// What it was told must grow up to the whole.
    pub(crate) fn check(&self) {
        let told = self.told.lock().unwrap();
        assert!(told.is_sorted(), "{told:?}");
        let (done, total) = *told.last().unwrap();
        assert_eq!(done, total);
    }
}

impl Observer for Watcher {
    fn advanced(&self, done: u64, total: u64) {
        self.told.lock().unwrap().push((done, total));
    }

    fn lost(&self, file: &[u8], _what: &'static str) {
        self.lost.lock().unwrap().push(file.to_vec());
    }

    fn is_cancelled(&self) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.patience.is_some_and(|patience| asked >= patience)
    }
}
