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

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use banger_ext4::write::{Image, Segment};
use banger_oci::Layer;

use super::content::LayerContent;
use super::stations::{Blob, Chunk, Decoded, Decoder, Hasher, Parser};
use super::{Input, Outcome};
use crate::addition;
use crate::error::LayerError;
use crate::options::Addition;
use crate::progress::{Event, Progress};

/// Chunks that may wait before a station: what one station is ahead of another evens out.
const AHEAD: usize = 16;

/// The work on all layers of an image.
pub(crate) struct Crew<'a> {
    inputs: &'a [Input<'a>],
    image: &'a Image,
    progress: &'a dyn Progress,
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

/// A layer that is being read.
struct Reading {
    decoder: Station<Box<Decoder>>,
    /// What is left of the blob when there is nothing more to decompress because something is wrong.
    rest: Station<Box<Blob>>,
    checker: Station<Box<Hasher>>,
    hasher: Station<Box<Hasher>>,
    parser: Station<Box<Parser>>,
    to_check: VecDeque<Chunk>,
    to_hash: VecDeque<Chunk>,
    to_parse: VecDeque<Chunk>,
    /// What is wrong, unless the blob is not even the one promised.
    failure: Option<LayerError>,
}

/// A station, if nobody works at it.
enum Station<T> {
    Free(T),
    Taken,
    Ended,
}

impl<T> Station<T> {
    fn is_free(&self) -> bool {
        matches!(self, Self::Free(_))
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::replace(self, Self::Taken) {
            Self::Free(worker) => Some(worker),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// One step.
enum Step<'a> {
    Open(&'a Layer),
    Add(&'a Addition),
    Decode(Box<Decoder>),
    /// Reads on, only to see whether the blob is the one promised.
    Skip(Box<Blob>),
    Check(Box<Hasher>, Chunk),
    Hash(Box<Hasher>, Chunk),
    Parse(Box<Parser>, Chunk, Option<u64>),
    Finish {
        checker: Box<Hasher>,
        hasher: Box<Hasher>,
        parser: Box<Parser>,
    },
    Fail(Box<Hasher>, LayerError),
    Place(Segment, u64),
}

/// What a step came to.
enum Done {
    Opened(Box<Reading>),
    Decoded(Decoded),
    Skipped(Vec<Chunk>, Box<Blob>),
    Checked(Box<Hasher>),
    Hashed(Box<Hasher>),
    Parsed(Box<Parser>),
    /// Something is wrong: this, or the blob. If it is the decoder that failed, here is what is left of the blob.
    Failed(LayerError, Option<Box<Blob>>),
    Finished(Segment),
    Placed(Segment),
}

impl<'a> Crew<'a> {
    /// Work on `inputs`, the lowest first, for `threads` threads.
    pub(crate) fn new(inputs: &'a [Input<'a>], image: &'a Image, threads: usize, progress: &'a dyn Progress) -> Self {
        let layers = inputs.iter().map(|_| Work::Waiting).collect();
        let state = State { layers, at_a_time: threads, stopped: false };
        Self { inputs, image, progress, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Works until nothing is left to do, or somebody has failed.
    pub(crate) fn work(&self, outcomes: Sender<Outcome>) {
        let _guard = StopOnPanic(self);
        let mut state = self.lock();
        while !state.stopped && !state.is_finished() {
            let Some((layer, step)) = state.next(self.inputs) else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
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
                Done::Opened(Box::new(Reading {
                    decoder: Station::Free(Box::new(Decoder::new(layer)?)),
                    rest: Station::Ended,
                    checker: Station::Free(Box::new(Hasher::of_blob(layer))),
                    hasher: Station::Free(Box::new(Hasher::of_stream(layer))),
                    parser: Station::Free(Box::new(Parser::new(self.image.content()))),
                    to_check: VecDeque::new(),
                    to_hash: VecDeque::new(),
                    to_parse: VecDeque::new(),
                    failure: None,
                }))
            }
            Step::Add(addition) => {
                self.progress.event(Event::Started { layer: index });
                let mut content = LayerContent::new(self.image.content());
                let (entries, digest) = addition::read(addition, &mut content)?;
                let segment = content.done()?;
                self.progress.event(Event::Finished { layer: index, entries: entries.len() });
                let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, digest)) });
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
                let digest = match hasher.finish().map_err(LayerError::DiffId)? {
                    Some(diff_id) => diff_id.to_string(),
                    None => String::new(),
                };
                let (entries, segment) = parser.finish()?;
                self.progress.event(Event::Finished { layer: index, entries: entries.len() });
                let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, digest)) });
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

impl Reading {
    /// The first step that can be taken; `base` is where the contents go, if that is known.
    fn next<'a>(&mut self, base: Option<u64>) -> Option<Step<'a>> {
        if self.failure.is_some() {
            return self.next_after_failure();
        }
        if self.parser.is_free()
            && let Some(chunk) = self.to_parse.pop_front()
        {
            return self.parser.take().map(|parser| Step::Parse(parser, chunk, base));
        }
        if self.hasher.is_free()
            && let Some(chunk) = self.to_hash.pop_front()
        {
            return self.hasher.take().map(|hasher| Step::Hash(hasher, chunk));
        }
        if let Some(step) = self.next_check() {
            return Some(step);
        }
        match self.decoder {
            Station::Free(_) if self.to_parse.len().max(self.to_hash.len()).max(self.to_check.len()) < AHEAD => {
                self.decoder.take().map(Step::Decode)
            }
            Station::Ended if self.parser.is_free() && self.hasher.is_free() && self.checker.is_free() => {
                let (checker, hasher, parser) = (self.checker.take()?, self.hasher.take()?, self.parser.take()?);
                Some(Step::Finish { checker, hasher, parser })
            }
            _ => None,
        }
    }

    /// When something is wrong, what is left of the blob is hashed all the same: one that is not the one promised
    /// explains every other error.
    fn next_after_failure<'a>(&mut self) -> Option<Step<'a>> {
        if let Some(decoder) = self.decoder.take() {
            self.decoder = Station::Ended;
            self.rest = Station::Free(Box::new(decoder.into_blob()));
        }
        if let Some(step) = self.next_check() {
            return Some(step);
        }
        match (&self.decoder, &self.rest) {
            (_, Station::Free(_)) if self.to_check.len() < AHEAD => self.rest.take().map(Step::Skip),
            (Station::Ended, Station::Ended) if self.checker.is_free() => {
                Some(Step::Fail(self.checker.take()?, self.failure.take()?))
            }
            _ => None,
        }
    }

    fn next_check<'a>(&mut self) -> Option<Step<'a>> {
        if !self.checker.is_free() {
            return None;
        }
        let chunk = self.to_check.pop_front()?;
        self.checker.take().map(|checker| Step::Check(checker, chunk))
    }

    fn settle(&mut self, done: Done) {
        match done {
            Done::Decoded(Decoded { chunk, read, decoder }) => {
                self.to_check.extend(read);
                self.to_hash.push_back(chunk.clone());
                self.to_parse.push_back(chunk);
                self.decoder = decoder.map_or(Station::Ended, Station::Free);
            }
            Done::Skipped(read, blob) => {
                self.rest = if read.is_empty() { Station::Ended } else { Station::Free(blob) };
                self.to_check.extend(read);
            }
            Done::Checked(checker) => self.checker = Station::Free(checker),
            Done::Hashed(hasher) => self.hasher = Station::Free(hasher),
            Done::Parsed(parser) => self.parser = Station::Free(parser),
            Done::Failed(error, blob) => {
                self.failure.get_or_insert(error);
                if let Some(blob) = blob {
                    self.decoder = Station::Ended;
                    self.rest = Station::Free(blob);
                }
            }
            Done::Opened(_) | Done::Finished(_) | Done::Placed(_) => {}
        }
    }
}
