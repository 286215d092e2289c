//! Who does what next: a fixed number of threads, and one rule, the lowest layer first.
//!
//! The work on a layer is cut into short steps at three [stations](super::stations). Whoever is free takes the first step
//! that can be taken, of the lowest layer that has one; so all threads are busy while there is anything to do, and higher
//! layers get only what the lower ones leave. That matters because of where contents go.
//!
//! Where a layer's contents go in the image (its *base*) is known as soon as every lower layer has been read to its end.
//! A layer that is read before collects its contents in a segment file, from which they are copied when the base is
//! known. So the place of each byte depends on the order of the layers alone, never on who was faster; and the less is
//! read ahead, the less is copied.

use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use banger_ext4::write::{Image, Segment};

use super::content::LayerContent;
use super::reading::Reading;
use super::stations::Windows;
use super::step::{Done, Step};
use super::{Input, Outcome, Read};
use crate::addition;
use crate::error::LayerError;
use crate::options::Options;
use crate::progress::{Event, Progress};

/// How often it is looked whether more of a blob has arrived, when there is nothing else to do: seldom enough to cost
/// nothing, often enough not to be noticed.
const ARRIVAL: Duration = Duration::from_millis(4);

/// The work on all layers of an image.
pub(crate) struct Crew<'a> {
    inputs: &'a [Input<'a>],
    image: &'a Image,
    progress: &'a dyn Progress,
    windows: Windows,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    layers: Vec<Work>,
    /// How many layers may be read at the same time.
    at_a_time: usize,
    stopped: bool,
}

/// How far the work on one layer is.
enum Work {
    Waiting,
    /// Somebody opens it, or does all of it at once.
    Busy,
    Reading(Box<Reading>),
    /// It has been read, and its contents may have to be brought to their place.
    Read {
        blocks: u64,
        segment: Option<Segment>,
    },
}

impl<'a> Crew<'a> {
    /// Work on `inputs`, the lowest first, for as many threads as `options` has.
    pub(crate) fn new(
        inputs: &'a [Input<'a>],
        image: &'a Image,
        options: &Options,
        progress: &'a dyn Progress,
    ) -> Self {
        let layers = inputs.iter().map(|_| Work::Waiting).collect();
        let state = State { layers, at_a_time: options.jobs.get(), stopped: false };
        let windows = Windows::new(options.zstd_window);
        Self { inputs, image, progress, windows, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Works until nothing is left to do, or somebody has failed.
    pub(crate) fn work(&self, outcomes: Sender<Outcome>) {
        let _guard = StopOnPanic(self);
        let mut state = self.lock();
        while !state.stopped && !state.is_finished() {
            if self.progress.is_cancelled() {
                state.stopped = true;
                let _ = outcomes.send(Outcome { layer: 0, result: Err(LayerError::Cancelled) });
                self.changed.notify_all();
                break;
            }
            let Some((layer, step)) = state.next(self.inputs) else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let done = self.perform(layer, step, &outcomes);
            state = self.lock();
            match done {
                Ok(done) => state.settle(layer, done),
                Err(error) => {
                    state.stopped = true;
                    // The receiver waits for all senders.
                    let _ = outcomes.send(Outcome { layer, result: Err(error) });
                }
            }
            self.changed.notify_all();
        }
    }

    /// Makes every thread stop after its step.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The contents of all layers, in their places.
    pub(crate) fn into_segments(self) -> Vec<Segment> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let segments = state.layers.into_iter().map(|work| match work {
            Work::Read { segment, .. } => segment,
            _ => None,
        });
        segments.flatten().collect()
    }

    fn perform(&self, index: usize, step: Step<'a>, outcomes: &Sender<Outcome>) -> Result<Done, LayerError> {
        Ok(match step {
            Step::Open(layer) => {
                self.progress.event(Event::Started { layer: index });
                Done::Opened(Box::new(Reading::open(layer, self.image, &self.windows)?))
            }
            Step::Add(addition) => {
                self.progress.event(Event::Started { layer: index });
                let mut content = LayerContent::new(self.image.content());
                let (entries, digest) = addition::read(addition, &mut content, &|bytes| {
                    self.progress.event(Event::Advanced { layer: index, bytes });
                })?;
                let segment = content.done()?;
                self.progress.event(Event::Finished { layer: index, entries: entries.len() });
                let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, Read { digest, bytes: 0 })) });
                Done::Finished(segment)
            }
            Step::Decode(decoder) => match decoder.step() {
                Ok(decoded) => {
                    let bytes = decoded.read.iter().map(|chunk| chunk.bytes().len() as u64).sum();
                    self.progress.event(Event::Advanced { layer: index, bytes });
                    Done::Decoded(decoded)
                }
                Err(broken) => {
                    let (error, blob) = *broken;
                    Done::Failed(error, Some(Box::new(blob)))
                }
            },
            Step::Skip(mut blob) => Done::Skipped(blob.step()?, blob),
            Step::Check(mut checker, chunk) => {
                checker.step(&chunk);
                Done::Checked(checker)
            }
            Step::Hash(mut hasher, chunk) => {
                hasher.step(&chunk);
                Done::Hashed(hasher)
            }
            Step::Parse(mut parser, chunk, base) => match parser.step(&chunk, base) {
                Ok(()) => Done::Parsed(parser),
                Err(error) => Done::Failed(error, None),
            },
            Step::Finish { checker, hasher, parser } => {
                checker.finish().map_err(LayerError::Blob)?;
                let read = match hasher.finish().map_err(LayerError::DiffId)? {
                    Some((diff_id, bytes)) => Read { digest: diff_id.to_string(), bytes },
                    None => Read::default(),
                };
                let (entries, segment) = parser.finish()?;
                self.progress.event(Event::Finished { layer: index, entries: entries.len() });
                let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, read)) });
                Done::Finished(segment)
            }
            Step::Fail(checker, error) => {
                checker.finish().map_err(LayerError::Blob)?;
                return Err(error);
            }
            Step::Place(mut segment, base) => {
                segment.place(base)?;
                Done::Placed(segment)
            }
        })
    }

    /// Until another thread is done with a step, or it is time to see whether more of a blob has arrived.
    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if state.awaits_arrival() {
            self.changed.wait_timeout(state, ARRIVAL).unwrap_or_else(PoisonError::into_inner).0
        } else {
            self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No statement that can panic stands between two that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that panics takes its station with it: the others must not wait for it.
struct StopOnPanic<'c, 'a>(&'c Crew<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl State {
    /// Whether every layer has been read and is in its place.
    fn is_finished(&self) -> bool {
        self.layers
            .iter()
            .all(|work| matches!(work, Work::Read { segment: Some(segment), .. } if segment.base().is_some()))
    }

    /// Whether a blob that is being read has yet to arrive.
    fn awaits_arrival(&self) -> bool {
        self.layers.iter().any(|work| matches!(work, Work::Reading(layer) if layer.awaits_arrival()))
    }

    /// The first step that can be taken, of the lowest layer that has one.
    fn next<'a>(&mut self, inputs: &'a [Input<'a>]) -> Option<(usize, Step<'a>)> {
        let mut base = Some(0);
        let mut reading = 0;
        for (index, (work, input)) in self.layers.iter_mut().zip(inputs).enumerate() {
            match work {
                Work::Waiting if reading < self.at_a_time => {
                    *work = Work::Busy;
                    return Some((
                        index,
                        match input {
                            Input::Layer(layer) => Step::Open(layer),
                            Input::Addition(addition) => Step::Add(addition),
                        },
                    ));
                }
                Work::Waiting => return None,
                Work::Busy => {
                    reading += 1;
                    base = None;
                }
                Work::Reading(layer) => {
                    if let Some(step) = layer.next(base) {
                        return Some((index, step));
                    }
                    reading += 1;
                    base = None;
                }
                Work::Read { blocks, segment } => {
                    if let Some(base) = base
                        && let Some(unplaced) = segment.take_if(|segment| segment.base().is_none())
                    {
                        return Some((index, Step::Place(unplaced, base)));
                    }
                    base = base.map(|base| base + *blocks);
                }
            }
        }
        None
    }

    /// Takes back what a step came to.
    fn settle(&mut self, index: usize, done: Done) {
        let Some(work) = self.layers.get_mut(index) else { return };
        match (done, work) {
            (Done::Opened(reading), work) => *work = Work::Reading(reading),
            (Done::Finished(segment), work) => {
                *work = Work::Read { blocks: segment.blocks(), segment: Some(segment) };
            }
            (Done::Placed(placed), Work::Read { segment, .. }) => *segment = Some(placed),
            (done, Work::Reading(reading)) => reading.settle(done),
            _ => {}
        }
    }
}
