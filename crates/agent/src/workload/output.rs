//! What a workload writes, kept for whoever asks: the last [`OUTPUT_BYTES`] of it, in pieces, and at the end how it ended.
//!
//! The workload is never held up for nothing: what nobody reads is dropped when it becomes too much, the oldest first. But a reader that
//! follows loses nothing: the workload waits for it, for [`PATIENCE`] at most. Where the machine was started by a program that reads the output
//! (`banger.wait=`), the output is a pipe to it: the workload waits as long as there is a reader, however slow that is.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banger_protocol::exec::Exit;
use banger_protocol::limits::OUTPUT_BYTES;

/// How long a workload that writes waits for a reader that takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where something was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This was written.
    Data(Stream, Arc<[u8]>),
    /// It has ended, and everything that was written has been read.
    Exit(Exit),
    /// Nothing happened in the time that the reader wanted to wait.
    Nothing,
}

/// What is kept.
#[derive(Debug, Default)]
pub struct Output {
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    pieces: VecDeque<(Stream, Arc<[u8]>)>,
    /// The number of the first piece: how many have been dropped.
    first: u64,
    bytes: usize,
    exit: Option<Exit>,
    /// Of each reader: the number of the piece that it reads next.
    readers: Vec<(u64, u64)>,
    /// The number of the next reader.
    next_reader: u64,
    /// Until then a first reader is expected.
    expected: Option<Instant>,
    /// Readers are waited for however long they take nothing.
    is_pipe: bool,
}

impl Kept {
    /// Whether the oldest piece is still to be read by somebody.
    fn is_awaited(&self) -> bool {
        let expected = self.next_reader == 0 && self.expected.is_some_and(|until| Instant::now() < until);
        expected || self.readers.iter().any(|&(_, next)| next <= self.first)
    }
}

impl Output {
    /// Nothing has been written.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// For so long from now on, at least, somebody is expected who wants to read from the beginning.
    pub fn expect_reader(&self, time: Duration) {
        let mut kept = self.lock();
        kept.expected = kept.expected.max(Instant::now().checked_add(time));
    }

    /// From now on nothing is dropped that a reader has not read, however slow it is.
    pub fn become_pipe(&self) {
        self.lock().is_pipe = true;
    }

    /// Something was written.
    pub fn write(&self, stream: Stream, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let mut kept = self.lock();
        if kept.exit.is_some() {
            return;
        }
        let mut seen = kept.first;
        let mut patience = Instant::now().checked_add(PATIENCE);
        while kept.bytes.saturating_add(data.len()) > OUTPUT_BYTES && !kept.pieces.is_empty() {
            let left = match patience {
                _ if kept.is_pipe => PATIENCE,
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::ZERO,
            };
            if kept.is_awaited() && !left.is_zero() {
                kept = self.changed.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if let Some((_, piece)) = kept.pieces.pop_front() {
                kept.bytes = kept.bytes.saturating_sub(piece.len());
                kept.first = kept.first.saturating_add(1);
            }
            if kept.first != seen {
                seen = kept.first;
                // A reader that makes progress is worth waiting for again; one that was given up is not.
                if !left.is_zero() {
                    patience = Instant::now().checked_add(PATIENCE);
                }
            }
        }
        kept.bytes = kept.bytes.saturating_add(data.len());
        kept.pieces.push_back((stream, data.into()));
        self.changed.notify_all();
    }

    /// The workload has ended; what is written after this, by what it left behind, is not kept.
    pub fn end(&self, exit: Exit) {
        self.lock().exit.get_or_insert(exit);
        self.changed.notify_all();
    }

    /// Somebody reads, from the beginning of what is kept.
    pub fn reader(self: &Arc<Self>) -> Reader {
        let mut kept = self.lock();
        let id = kept.next_reader;
        kept.next_reader = id.saturating_add(1);
        let first = kept.first;
        kept.readers.push((id, first));
        Reader { output: Arc::clone(self), id }
    }

    /// After the end: waits until all who read have been told it, and, where a reader is expected, until one has come. Those who are there may
    /// take nothing for `time`; for ever where that is none.
    pub fn wait_for_readers(&self, time: Option<Duration>) {
        let limit = || time.and_then(|time| Instant::now().checked_add(time));
        let mut until = limit();
        let mut kept = self.lock();
        let mut seen = (kept.next_reader, kept.readers.clone());
        loop {
            let expects = kept.next_reader == 0;
            if !expects && kept.readers.is_empty() {
                return;
            }
            let end = if expects { kept.expected.or_else(|| Some(Instant::now())) } else { until };
            let left = end.map_or(PATIENCE, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            kept = self.changed.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
            let now = (kept.next_reader, kept.readers.clone());
            if now != seen {
                (until, seen) = (limit(), now);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who reads. It counts as being there until it is dropped: drop it when [`Event::Exit`] has been passed on.
#[derive(Debug)]
pub struct Reader {
    output: Arc<Output>,
    id: u64,
}

impl Reader {
    /// What comes next. Waits for it, `timeout` at most.
    pub fn next(&mut self, timeout: Duration) -> Event {
        let until = Instant::now().checked_add(timeout);
        let mut kept = self.output.lock();
        loop {
            let first = kept.first;
            let next = kept.readers.iter().find(|&&(id, _)| id == self.id).map_or(first, |&(_, next)| next.max(first));
            let at = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
            if let Some((stream, piece)) = kept.pieces.get(at).cloned() {
                self.advance(&mut kept, next.saturating_add(1));
                self.output.changed.notify_all();
                return Event::Data(stream, piece);
            }
            if let Some(exit) = kept.exit {
                return Event::Exit(exit);
            }
            let left = until.map_or(timeout, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Event::Nothing;
            }
            kept = self.output.changed.wait_timeout(kept, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn advance(&self, kept: &mut Kept, to: u64) {
        for (id, next) in &mut kept.readers {
            if *id == self.id {
                *next = to;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.output.lock().readers.retain(|&(id, _)| id != self.id);
        self.output.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(5);

    fn all(mut reader: Reader) -> (Vec<u8>, Option<Exit>) {
        let mut read = Vec::new();
        loop {
            match reader.next(LATE) {
                Event::Data(_, piece) => read.extend_from_slice(&piece),
                Event::Exit(exit) => return (read, Some(exit)),
                Event::Nothing => return (read, None),
            }
        }
    }

    #[test]
    fn every_reader_reads_from_the_beginning_and_is_told_the_end() {
        let output = Output::new();
        output.write(Stream::Stdout, b"one ");
        let early = output.reader();
        output.write(Stream::Stderr, b"two");
        output.end(Exit::Code(7));
        for reader in [early, output.reader()] {
            assert_eq!(all(reader), (b"one two".to_vec(), Some(Exit::Code(7))));
        }
    }

    #[test]
    fn streams_are_apart_and_nothing_is_nothing() {
        let output = Output::new();
        let mut reader = output.reader();
        assert_eq!(reader.next(SOON), Event::Nothing);
        output.write(Stream::Stderr, b"e");
        assert_eq!(reader.next(SOON), Event::Data(Stream::Stderr, b"e"[..].into()));
    }

    #[test]
    fn what_nobody_reads_is_dropped_from_the_front() {
        let output = Output::new();
        output.write(Stream::Stdout, &vec![1; OUTPUT_BYTES / 2]);
        output.write(Stream::Stdout, &vec![2; OUTPUT_BYTES / 2]);
        output.write(Stream::Stdout, b"3");
        output.end(Exit::Code(0));
        let (read, _) = all(output.reader());
        assert_eq!(read.len(), OUTPUT_BYTES / 2 + 1);
        assert_eq!((read[0], read.last()), (2, Some(&b'3')));
    }

    #[test]
    fn who_follows_or_is_expected_loses_nothing() {
        for expected in [false, true] {
            let output = Output::new();
            let early = (!expected).then(|| output.reader());
            output.expect_reader(LATE);
            let writes = {
                let output = Arc::clone(&output);
                std::thread::spawn(move || {
                    for number in 0..40 {
                        output.write(Stream::Stdout, &vec![number; OUTPUT_BYTES / 8]);
                    }
                    output.end(Exit::Code(0));
                })
            };
            std::thread::sleep(SOON);
            let (read, exit) = all(early.unwrap_or_else(|| output.reader()));
            writes.join().unwrap();
            assert_eq!((read.len(), exit), (5 * OUTPUT_BYTES, Some(Exit::Code(0))));
        }
    }

    #[test]
    fn the_end_waits_for_readers_but_not_for_ever() {
        let output = Output::new();
        output.end(Exit::Code(0));
        output.wait_for_readers(Some(LATE));
        let reader = output.reader();
        let started = Instant::now();
        output.wait_for_readers(Some(SOON));
        assert!(started.elapsed() >= SOON, "a reader that does not take it is waited for");
        drop(reader);
        let started = Instant::now();
        output.wait_for_readers(Some(LATE));
        assert!(started.elapsed() < LATE);
    }

    #[test]
    fn the_end_waits_for_ever_where_that_is_wanted() {
        let output = Output::new();
        output.end(Exit::Code(0));
        let reader = output.reader();
        let waits = {
            let output = Arc::clone(&output);
            std::thread::spawn(move || output.wait_for_readers(None))
        };
        std::thread::sleep(10 * SOON);
        assert!(!waits.is_finished());
        drop(reader);
        waits.join().unwrap();
    }
}
