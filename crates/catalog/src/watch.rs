//! What the caller is told while something takes long, and what it is asked.

/// Who watches. Everything is called from one thread at a time, any number of times; nothing here is throttled.
pub trait Watch: Sync {
    /// Whether to go on. Asked often; what is not to go on fails with [`Error::Cancelled`](crate::Error::Cancelled).
    fn go_on(&self) -> bool {
        true
    }

    /// A download begins; so many bytes of the file are here already.
    fn resumed(&self, _bytes: u64) {}

    /// So many more bytes of the file have come.
    fn received(&self, _bytes: u64) {}

    /// What had come of the file was of no use: it begins again.
    fn restarted(&self) {}

    /// Somebody else downloads the file: it will be used when it is there.
    fn shared(&self) {}

    /// So many bytes of a root file system have been written or read, of so many in all, holes included.
    fn advanced(&self, _done: u64, _total: u64) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
