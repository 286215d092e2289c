//! Locks of this crate's own state, which are never poisoned in earnest.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever became of whoever held it before: nowhere does a statement that can panic stand between two that belong
/// together.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
