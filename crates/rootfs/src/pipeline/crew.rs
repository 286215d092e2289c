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
use super::stations::{Chunk, Decoder, Hasher, Parser};
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
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    layers: Vec<Work<'a>>,
    /// How many layers may be read at the same time.
    at_a_time: usize,
    stopped: bool,
}

/// How far the work on one layer is.
enum Work<'a> {
    Waiting,
    /// Somebody opens it, or does all of it at once.
    Busy,
    Reading(Box<Reading<'a>>),
    /// It has been read, and its contents may have to be brought to their place.
    Read {
        blocks: u64,
        segment: Option<Segment>,
    },
}

/// A layer that is being read.
struct Reading<'a> {
    layer: &'a Layer,
    decoder: Station<Box<Decoder<'a>>>,
    hasher: Station<Hasher>,
    parser: Station<Box<Parser>>,
    to_hash: VecDeque<Chunk>,
    to_parse: VecDeque<Chunk>,
    /// What the parser ended with, while the blob is still to be checked.
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
    Decode(Box<Decoder<'a>>),
    /// Only to see whether the blob is the one promised.
    Verify(Box<Decoder<'a>>),
    Hash(Hasher, Chunk),
    Parse(Box<Parser>, Chunk, Option<u64>),
    Finish(&'a Layer, Hasher, Box<Parser>),
    Place(Segment, u64),
    /// The blob is the one promised, so this is what is wrong.
    Fail(LayerError),
}

/// What a step came to.
enum Done<'a> {
    Opened(Box<Reading<'a>>),
    Decoded(Chunk, Option<Box<Decoder<'a>>>),
    Verified,
    Hashed(Hasher),
    Parsed(Box<Parser>),
    ParserFailed(LayerError),
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

    fn perform(&self, index: usize, step: Step<'a>, outcomes: &Sender<Outcome>) -> Result<Done<'a>, LayerError> {
        Ok(match step {
            Step::Open(layer) => {
                self.progress.event(Event::Started { layer: index });
                Done::Opened(Box::new(Reading {
                    layer,
                    decoder: Station::Free(Box::new(Decoder::new(layer)?)),
                    hasher: Station::Free(Hasher::new(layer)),
                    parser: Station::Free(Box::new(Parser::new(self.image.content()))),
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
            Step::Decode(decoder) => {
                let (chunk, mut decoder) = decoder.step()?;
                if let Some(decoder) = &mut decoder {
                    self.progress.event(Event::Advanced { layer: index, bytes: decoder.advance() });
                }
                Done::Decoded(chunk, decoder)
            }
            Step::Verify(decoder) => {
                decoder.verify()?;
                Done::Verified
            }
            Step::Hash(mut hasher, chunk) => {
                hasher.step(&chunk);
                Done::Hashed(hasher)
            }
            Step::Parse(mut parser, chunk, base) => match parser.step(&chunk, base) {
                Ok(()) => Done::Parsed(parser),
                Err(error) => Done::ParserFailed(error),
            },
            Step::Finish(layer, hasher, parser) => {
                let diff_id = hasher.finish(layer)?;
                let (entries, segment) = parser.finish()?;
                self.progress.event(Event::Finished { layer: index, entries: entries.len() });
                let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, diff_id.to_string())) });
                Done::Finished(segment)
            }
            Step::Place(mut segment, base) => {
                segment.place(base)?;
                Done::Placed(segment)
            }
            Step::Fail(error) => return Err(error),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
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

impl<'a> State<'a> {
    /// Whether every layer has been read and is in its place.
    fn is_finished(&self) -> bool {
        self.layers
            .iter()
            .all(|work| matches!(work, Work::Read { segment: Some(segment), .. } if segment.base().is_some()))
    }

    /// The first step that can be taken, of the lowest layer that has one.
    fn next(&mut self, inputs: &'a [Input<'a>]) -> Option<(usize, Step<'a>)> {
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
    fn settle(&mut self, index: usize, done: Done<'a>) {
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

impl<'a> Reading<'a> {
    /// The first step that can be taken; `base` is where the contents go, if that is known.
    fn next(&mut self, base: Option<u64>) -> Option<Step<'a>> {
        if self.failure.is_some() {
            return match self.decoder {
                Station::Ended => self.failure.take().map(Step::Fail),
                _ => self.decoder.take().map(Step::Verify),
            };
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
        match self.decoder {
            Station::Free(_) if self.to_parse.len().max(self.to_hash.len()) < AHEAD => {
                self.decoder.take().map(Step::Decode)
            }
            Station::Ended if self.parser.is_free() && self.hasher.is_free() => {
                let (hasher, parser) = (self.hasher.take()?, self.parser.take()?);
                Some(Step::Finish(self.layer, hasher, parser))
            }
            _ => None,
        }
    }

    fn settle(&mut self, done: Done<'a>) {
        match done {
            Done::Decoded(chunk, decoder) => {
                self.to_hash.push_back(chunk.clone());
                self.to_parse.push_back(chunk);
                self.decoder = decoder.map_or(Station::Ended, Station::Free);
            }
            Done::Hashed(hasher) => self.hasher = Station::Free(hasher),
            Done::Parsed(parser) => self.parser = Station::Free(parser),
            Done::ParserFailed(error) => self.failure = Some(error),
            Done::Verified => self.decoder = Station::Ended,
            Done::Opened(_) | Done::Finished(_) | Done::Placed(_) => {}
        }
    }
}
