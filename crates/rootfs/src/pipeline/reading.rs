//! One layer while it is read: its stations, what waits before them, and which step comes next.

use std::collections::VecDeque;

use banger_ext4::write::Image;
use banger_oci::Layer;

use super::stations::{Blob, Chunk, Decoded, Decoder, Hasher, Parser, Windows};
use super::step::{Done, Step};
use crate::error::LayerError;

/// Chunks that may wait before a station: what one station is ahead of another evens out.
const AHEAD: usize = 16;

/// A layer that is being read.
pub(crate) struct Reading {
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

    fn take_if(&mut self, condition: impl FnOnce(&T) -> bool) -> Option<T> {
        match self {
            Self::Free(worker) if condition(worker) => self.take(),
            _ => None,
        }
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

impl Reading {
    /// Opens the blob of a layer whose contents go to `image`.
    pub(crate) fn open(layer: &Layer, image: &Image, windows: &Windows) -> Result<Self, LayerError> {
        let blob = layer.open()?;
        let checker = Hasher::of_blob(&blob, layer);
        Ok(Self {
            decoder: Station::Free(Box::new(Decoder::new(blob, layer, windows)?)),
            rest: Station::Ended,
            checker: Station::Free(Box::new(checker)),
            hasher: Station::Free(Box::new(Hasher::of_stream(layer))),
            parser: Station::Free(Box::new(Parser::new(image.content()))),
            to_check: VecDeque::new(),
            to_hash: VecDeque::new(),
            to_parse: VecDeque::new(),
            failure: None,
        })
    }

    /// The first step that can be taken; `base` is where the contents go, if that is known.
    pub(crate) fn next<'a>(&mut self, base: Option<u64>) -> Option<Step<'a>> {
        if self.failure.is_some() {
            return self.next_after_failure();
        }
        // First, so that something waits before the other stations: then there is work here for more than one thread.
        if self.to_parse.len().max(self.to_hash.len()).max(self.to_check.len()) < AHEAD
            && let Some(decoder) = self.decoder.take_if(|decoder| decoder.is_ready())
        {
            return Some(Step::Decode(decoder));
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
        let all_free = self.parser.is_free() && self.hasher.is_free() && self.checker.is_free();
        if !all_free || !matches!(self.decoder, Station::Ended) {
            return None;
        }
        let (checker, hasher, parser) = (self.checker.take()?, self.hasher.take()?, self.parser.take()?);
        Some(Step::Finish { checker, hasher, parser })
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
            (_, Station::Free(_)) if self.to_check.len() < AHEAD => {
                self.rest.take_if(|blob| blob.is_ready()).map(Step::Skip)
            }
            (Station::Ended, Station::Ended) if self.checker.is_free() => {
                Some(Step::Fail(self.checker.take()?, self.failure.take()?))
            }
            _ => None,
        }
    }

    /// Whether nothing can be done at the station that reads the blob before more of it has arrived, or another layer has
    /// given memory back.
    pub(crate) fn awaits_arrival(&self) -> bool {
        match (&self.decoder, &self.rest) {
            (Station::Free(decoder), _) => !decoder.is_ready(),
            (_, Station::Free(blob)) => !blob.is_ready(),
            _ => false,
        }
    }

    fn next_check<'a>(&mut self) -> Option<Step<'a>> {
        if !self.checker.is_free() {
            return None;
        }
        let chunk = self.to_check.pop_front()?;
        self.checker.take().map(|checker| Step::Check(checker, chunk))
    }

    pub(crate) fn settle(&mut self, done: Done) {
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
