//! Who is told how far something is, and may wish that it ends.

use crate::error::{Error, Result};

/// Watches what takes long. `()` does not care.
pub trait Watch: Sync {
    /// So many bytes more have been dealt with.
    fn advanced(&self, _bytes: u64) {}

    /// Whether it is to end: it then fails with [`Error::Cancelled`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Watch for () {}

/// Fails if it is to end.
pub(crate) fn go_on(watch: &dyn Watch) -> Result<()> {
    if watch.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
