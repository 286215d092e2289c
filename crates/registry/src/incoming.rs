//! A blob on its way: written into a file of the cache by one thread, read from it by others while it grows.
//!
//! A blob is ahead when more than [`WINDOW`] of it waits to be read. While what reads is busy, a blob that is ahead need not
//! come: a fast network would only fill the page cache with bytes that are needed much later. When what reads has nothing
//! left, everything may come that can.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use banger_oci::{Arriving, Error, PlaceError};

use crate::lock::lock;

/// Bytes that may have arrived without having been read.
const WINDOW: u64 = 8 << 20;

/// Bytes for which it is worth while to begin to read.
const PIECE: u64 = 256 << 10;

/// A blob that arrives.
#[derive(Debug)]
pub(crate) struct Incoming {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<File>>,
    /// Bytes of the file that may be read.
    arrived: u64,
    /// Bytes that the foremost reader has read.
    read: u64,
    /// Whether it may be right when it is fetched anew.
    again: bool,
    /// What is added to [`WINDOW`].
    widened: u64,
    end: Option<End>,
}

#[derive(Clone, Debug)]
enum End {
    /// All of it has arrived, and is what was promised.
    Complete,
    Failed(Failure),
}

/// An error that several readers are told.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Arc<Error>);

impl Failure {
    pub(crate) fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Place(PlaceError { kind: failure.0.kind(), error: Box::new(failure) })
    }
}

impl Incoming {
    /// Nothing has arrived yet.
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new() }
    }

    /// From now on, what has arrived stands in `file`: so many bytes already.
    pub(crate) fn begin(&self, file: Arc<File>, arrived: u64) {
        let mut state = self.lock();
        (state.file, state.arrived) = (Some(file), arrived);
        self.changed.notify_all();
    }

    /// More has arrived: so many bytes altogether.
    pub(crate) fn advance(&self, arrived: u64) {
        self.lock().arrived = arrived;
        self.changed.notify_all();
    }

    /// What has arrived is wrong, but may be right when it is fetched anew. Whether that can be done at once: it cannot when
    /// somebody has read some of it.
    pub(crate) fn restart(&self) -> bool {
        let mut state = self.lock();
        state.arrived = 0;
        state.again = state.read > 0;
        !state.again
    }

    /// It is complete and right.
    pub(crate) fn complete(&self) {
        self.lock().end = Some(End::Complete);
        self.changed.notify_all();
    }

    /// It will never be complete, unless it is already.
    pub(crate) fn fail(&self, failure: Failure) {
        self.lock().end.get_or_insert(End::Failed(failure));
        self.changed.notify_all();
    }

    /// Whether it failed, but may be right when it is fetched anew.
    pub(crate) fn is_worth_another(&self) -> bool {
        self.lock().again
    }

    /// Whether it is complete and right.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.lock().end, Some(End::Complete))
    }

    /// Whether more has arrived than needs to, as far as this blob goes.
    pub(crate) fn is_ahead(&self) -> bool {
        let state = self.lock();
        state.arrived.saturating_sub(state.read) > WINDOW.saturating_add(state.widened)
    }

    /// Lets some more arrive before it is ahead.
    pub(crate) fn widen(&self) {
        let mut state = self.lock();
        state.widened = state.widened.saturating_add(WINDOW);
    }

    /// Whether somebody reads it and has not read what is there.
    pub(crate) fn is_being_read(&self) -> bool {
        let state = self.lock();
        state.read > 0 && state.arrived.saturating_sub(state.read) >= PIECE
    }

    /// A reader from the beginning.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        Reader { incoming: Arc::clone(self), position: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Reads a blob while it arrives.
#[derive(Debug)]
pub(crate) struct Reader {
    incoming: Arc<Incoming>,
    position: u64,
}

impl Reader {
    /// Waits until there is something to read: where it stands, and how many bytes. `None` at the end.
    fn wait(&self) -> io::Result<Option<(Arc<File>, u64)>> {
        let mut state = self.incoming.lock();
        loop {
            // First of all: what has arrived of a blob that is not the right one is not to be used.
            if let Some(End::Failed(failure)) = &state.end {
                return Err(io::Error::other(Error::from(failure.clone())));
            }
            let here = state.arrived.saturating_sub(self.position);
            if let (Some(file), true) = (&state.file, here > 0) {
                return Ok(Some((Arc::clone(file), here)));
            }
            if state.end.is_some() {
                return Ok(None);
            }
            state = self.incoming.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some((file, here)) = self.wait()? else { return Ok(0) };
        let length = buffer.len().min(usize::try_from(here).unwrap_or(usize::MAX));
        let count = file.read_at(buffer.get_mut(..length).unwrap_or_default(), self.position)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file in the cache became shorter"));
        }
        self.position = self.position.saturating_add(count as u64);
        let mut state = self.incoming.lock();
        if state.read < self.position {
            state.read = self.position;
            self.incoming.changed.notify_all();
        }
        Ok(count)
    }
}

impl Arriving for Reader {
    fn is_ready(&self) -> bool {
        let state = self.incoming.lock();
        state.end.is_some() || state.arrived.saturating_sub(self.position) >= PIECE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_oci::ErrorKind;
    use std::io::Write;
    use std::sync::mpsc::channel;

    fn with(content: &[u8]) -> (Arc<Incoming>, Arc<File>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        (Arc::new(Incoming::new()), Arc::new(file))
    }

    fn damaged() -> Failure {
        let error = crate::Error::Protocol { host: "h".into(), what: "w".into(), reason: "r".into() };
        Failure::new(error.into())
    }

    #[test]
    fn what_has_arrived_can_be_read_and_no_more() {
        let (incoming, file) = with(b"0123456789");
        let mut reader = incoming.reader();
        assert!(!reader.is_ready());
        incoming.begin(file, 4);
        let mut buffer = [0; 8];
        assert_eq!(reader.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"0123");

        let (told, hears) = channel();
        let waits = std::thread::spawn(move || {
            let mut rest = String::new();
            reader.read_to_string(&mut rest).unwrap();
            told.send(rest).unwrap();
        });
        incoming.advance(10);
        assert!(hears.try_recv().is_err(), "the end comes when it is complete, not before");
        incoming.complete();
        assert_eq!(hears.recv().unwrap(), "456789");
        waits.join().unwrap();
        assert!(incoming.is_complete());
    }

    #[test]
    fn a_failure_is_told_to_all_readers_whatever_has_arrived() {
        let (incoming, file) = with(b"0123456789");
        incoming.begin(file, 10);
        let readers = [incoming.reader(), incoming.reader()];
        incoming.fail(damaged());
        for mut reader in readers {
            assert!(reader.is_ready(), "nothing more is to be waited for");
            let error = reader.read(&mut [0; 4]).unwrap_err();
            let error: &Error = error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap();
            assert_eq!(error.kind(), ErrorKind::Integrity);
        }
        assert!(!incoming.is_complete());
    }

    #[test]
    fn what_is_complete_does_not_fail_any_more() {
        let (incoming, file) = with(b"01");
        incoming.begin(file, 2);
        incoming.complete();
        incoming.fail(damaged());
        let mut all = String::new();
        incoming.reader().read_to_string(&mut all).unwrap();
        assert_eq!(all, "01");
    }

    #[test]
    fn what_was_read_cannot_be_taken_back() {
        let (incoming, file) = with(b"0123");
        incoming.begin(Arc::clone(&file), 4);
        assert!(incoming.restart(), "nobody has read anything");
        assert!(!incoming.is_worth_another());
        incoming.begin(file, 4);
        assert_eq!(incoming.reader().read(&mut [0; 2]).unwrap(), 2);
        assert!(!incoming.restart());
        assert!(incoming.is_worth_another());
    }

    #[test]
    fn a_blob_is_ahead_when_much_of_it_waits() {
        let (incoming, file) = with(b"0123");
        incoming.begin(file, WINDOW);
        assert!(!incoming.is_ahead());
        incoming.advance(WINDOW + 4);
        assert!(incoming.is_ahead());
        assert!(!incoming.is_being_read(), "nobody has begun");
        assert_eq!(incoming.reader().read(&mut [0; 4]).unwrap(), 4);
        assert!(!incoming.is_ahead());
        assert!(incoming.is_being_read());
        incoming.advance(2 * WINDOW);
        assert!(incoming.is_ahead());
        incoming.widen();
        assert!(!incoming.is_ahead());
    }
}
