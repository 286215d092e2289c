//! Who is told how far something is, and may end it.

use crate::error::{Error, Result};

/// Somebody who watches while something takes long. It is told often; who shows it to people makes that less.
pub trait Observer: Send + Sync {
    /// So many bytes of so many are done. Where the whole is not known before it is done, it is an estimate.
    fn advanced(&self, _done: u64, _total: u64) {}

    /// Something of the image cannot be kept in what is written: the path of a file in it, and what is lost.
    fn lost(&self, _file: &[u8], _what: &'static str) {}

    /// Whether it is to end early. It then fails with [`Error::Cancelled`], and leaves nothing behind.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is interested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// How far something is, told to an observer.
pub(crate) struct Progress<'a> {
    observer: &'a dyn Observer,
    done: u64,
    total: u64,
}

impl<'a> Progress<'a> {
    /// Begins something of `total` bytes.
    ///
    /// # Errors
    /// It is cancelled before it has begun.
    pub(crate) fn begin(observer: &'a dyn Observer, total: u64) -> Result<Self> {
        let mut progress = Self { observer, done: 0, total };
        progress.add(0)?;
        Ok(progress)
    }

    /// So many bytes more are done.
    ///
    /// # Errors
    /// It is cancelled.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<()> {
        self.done = self.done.saturating_add(bytes).min(self.total);
        self.observer.advanced(self.done, self.total);
        if self.observer.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// All is done, whatever the estimate was.
    pub(crate) fn end(self) {
        self.observer.advanced(self.total, self.total);
    }
}
