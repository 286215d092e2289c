//! What has happened in a job, for whoever reads it, from the beginning, at any speed.
//!
//! Progress comes in thousands of small steps, of which nobody needs each. So it stands in the log once for each thing that
//! advances, as a sum: what is new moves that entry to the end. A reader remembers how much of a sum it was told, and is told
//! the difference. Thus the log grows with the number of files and not of bytes, who comes late reads little, who reads slowly
//! misses nothing, and the sums are right for everybody.
//!
//! A sum is closed when something else is said of the same thing (a download that begins again), so that what comes before and
//! after that stays apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use banger_api::Event;
use banger_api::job::{End, Line};
use tokio::sync::watch;

use crate::limits::{LOG_ENTRIES, LOG_PIECE};

/// What has happened in a job.
#[derive(Debug)]
pub(crate) struct Log {
    inner: Mutex<Inner>,
    /// Whether it has ended. Sent anew for whatever happens.
    changed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the order in which they are told.
    entries: BTreeMap<u64, Entry>,
    /// The number of the next entry.
    next: u64,
    /// The sums that may still grow: where they stand.
    open: HashMap<Subject, u64>,
    /// Whether something was not recorded.
    full: bool,
}

#[derive(Debug)]
enum Entry {
    Line(Line),
    /// So much has advanced since the sum was opened. Its number is the one that its entry had first.
    Sum {
        number: u64,
        subject: Subject,
        bytes: u64,
    },
}

/// Something that advances.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    File(String),
    Layer(usize),
    /// The step that has begun last.
    Step,
    /// A file that is sent.
    Sent(String),
}

/// How much of a log somebody has read.
#[derive(Debug, Default)]
pub(crate) struct Position {
    next: u64,
    /// How much of each sum was told, by its number.
    told: HashMap<u64, u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self { inner: Mutex::default(), changed: watch::channel(false).0 }
    }
}

impl Log {
    /// Records what happened.
    pub(crate) fn event(&self, event: Event) {
        self.lock().record(event);
        self.changed.send_modify(|_| {});
    }

    /// Records the end, after which nothing happens.
    pub(crate) fn end(&self, end: End) {
        self.lock().push(Entry::Line(Line::End(end)));
        self.changed.send_replace(true);
    }

    /// Is told of each change; the value is whether it has ended.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.changed.subscribe()
    }

    /// What follows a position, as lines of JSON: at most so many that nobody has to hold much. Empty when there is no more.
    pub(crate) fn read(&self, position: &mut Position) -> Vec<u8> {
        let mut bytes = Vec::new();
        let inner = self.lock();
        let mut lines = 0_usize;
        for (number, entry) in inner.entries.range(position.next..) {
            if lines == LOG_PIECE {
                break;
            }
            position.next = number.saturating_add(1);
            let line = match entry {
                Entry::Line(line) => line.clone(),
                Entry::Sum { number, subject, bytes } => {
                    let told = position.told.insert(*number, *bytes).unwrap_or(0);
                    match (subject, bytes.saturating_sub(told)) {
                        // What has not advanced is not told.
                        (_, 0) | (Subject::Step | Subject::Sent(_), _) => continue,
                        (Subject::File(digest), bytes) => {
                            Line::Event(Event::Downloaded { digest: digest.clone(), bytes })
                        }
                        (Subject::Layer(layer), bytes) => Line::Event(Event::LayerAdvanced { layer: *layer, bytes }),
                    }
                }
            };
            lines = lines.saturating_add(1);
            // What consists of strings and numbers can always be written.
            if serde_json::to_writer(&mut bytes, &line).is_ok() {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn record(&mut self, event: Event) {
        match &event {
            Event::Downloaded { digest, bytes } => return self.add(Subject::File(digest.clone()), *bytes),
            Event::LayerAdvanced { layer, bytes } => return self.add(Subject::Layer(*layer), *bytes),
            // These count from the beginning: the newest says all.
            Event::Advanced { .. } => self.forget(Subject::Step),
            Event::Sent { digest, .. } => self.forget(Subject::Sent(digest.clone())),
            Event::Step { .. } => drop(self.open.remove(&Subject::Step)),
            Event::Downloading { digest, .. } | Event::Restarted { digest } | Event::Complete { digest } => {
                self.open.remove(&Subject::File(digest.clone()));
            }
            Event::LayerStarted { layer } | Event::LayerFinished { layer, .. } => {
                self.open.remove(&Subject::Layer(*layer));
            }
            Event::Waiting { .. } | Event::Warning { .. } if self.entries.len() >= LOG_ENTRIES => {
                if !std::mem::replace(&mut self.full, true) {
                    let message = "so much has happened that further warnings and delays are not told".to_owned();
                    self.push(Entry::Line(Line::Event(Event::Warning { message })));
                }
                return;
            }
            Event::Downloads { .. }
            | Event::Shared { .. }
            | Event::Layers { .. }
            | Event::Answered { .. }
            | Event::Waiting { .. }
            | Event::Warning { .. } => {}
        }
        self.push(Entry::Line(Line::Event(event)));
    }

    fn add(&mut self, subject: Subject, more: u64) {
        let place = self.next;
        let before = self.open.insert(subject.clone(), place).and_then(|place| self.entries.remove(&place));
        let (number, sum) = match before {
            Some(Entry::Sum { number, bytes, .. }) => (number, bytes),
            _ => (place, 0),
        };
        self.push(Entry::Sum { number, subject, bytes: sum.saturating_add(more) });
    }

    /// What was said of a subject, in whose place something newer stands at once.
    fn forget(&mut self, subject: Subject) {
        if let Some(before) = self.open.insert(subject, self.next) {
            self.entries.remove(&before);
        }
    }

    fn push(&mut self, entry: Entry) {
        self.entries.insert(self.next, entry);
        self.next = self.next.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_api::event::Step;

    fn downloaded(bytes: u64) -> Event {
        Event::Downloaded { digest: "a".to_owned(), bytes }
    }

    fn restarted() -> Event {
        Event::Restarted { digest: "a".to_owned() }
    }

    fn step() -> Event {
        Event::Step { step: Step::Download, subject: "x".to_owned() }
    }

    fn read(log: &Log, position: &mut Position) -> Vec<Event> {
        let bytes = log.read(position);
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn who_comes_late_is_told_sums() {
        let log = Log::default();
        for event in [step(), downloaded(1), downloaded(2), restarted(), downloaded(4), downloaded(8)] {
            log.event(event);
        }
        assert_eq!(read(&log, &mut Position::default()), [step(), downloaded(3), restarted(), downloaded(12)]);
    }

    #[test]
    fn who_reads_on_is_told_differences() {
        let log = Log::default();
        let mut position = Position::default();
        log.event(downloaded(1));
        assert_eq!(read(&log, &mut position), [downloaded(1)]);
        assert_eq!(read(&log, &mut position), []);
        log.event(downloaded(2));
        log.event(step());
        log.event(downloaded(4));
        assert_eq!(read(&log, &mut position), [step(), downloaded(6)]);
        log.event(restarted());
        log.event(downloaded(8));
        assert_eq!(read(&log, &mut position), [restarted(), downloaded(8)]);
    }

    #[test]
    fn of_a_step_only_the_newest_state_is_told() {
        let advanced = |done| Event::Advanced { done, total: 9 };
        let log = Log::default();
        for event in [step(), advanced(1), advanced(5), step(), advanced(2), advanced(3)] {
            log.event(event);
        }
        assert_eq!(read(&log, &mut Position::default()), [step(), advanced(5), step(), advanced(3)]);
    }

    #[test]
    fn a_log_grows_with_files_and_not_with_bytes() {
        let log = Log::default();
        for _ in 0..100_000 {
            log.event(downloaded(1));
            log.event(Event::LayerAdvanced { layer: 3, bytes: 2 });
            log.event(Event::Advanced { done: 1, total: 2 });
            log.event(Event::Sent { digest: "a".to_owned(), position: 1 });
        }
        assert_eq!(log.lock().entries.len(), 4);
        for _ in 0..LOG_ENTRIES.saturating_mul(2) {
            log.event(Event::Warning { message: "again".to_owned() });
        }
        assert!(log.lock().entries.len() <= LOG_ENTRIES + 1);
    }

    #[test]
    fn a_long_log_is_read_in_pieces() {
        let log = Log::default();
        let count = LOG_PIECE * 2 + 7;
        for _ in 0..count {
            log.event(step());
        }
        let mut position = Position::default();
        let pieces: Vec<usize> =
            std::iter::repeat_with(|| read(&log, &mut position).len()).take_while(|length| *length > 0).collect();
        assert_eq!(pieces, [LOG_PIECE, LOG_PIECE, 7]);
    }
}
