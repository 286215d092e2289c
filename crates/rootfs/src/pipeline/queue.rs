//! Who does what next: layers are read in parallel, and each is placed behind the one below it.
//!
//! Where a layer's content goes in the image (its *base*) is known as soon as every lower layer has been read to its end.
//! A layer that is read before its base is known collects its content in a segment; when it has been read and the base is
//! still unknown it is *parked* here, and whoever is free places it later. So the place of each byte depends on the
//! order of the layers alone, never on which of them was faster.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

const UNKNOWN: u64 = u64::MAX;

/// A piece of work for one thread.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Task<W> {
    /// Read this layer.
    Read(usize),
    /// Place what a layer, read before its turn, holds in its segment.
    Place {
        /// Index of the layer.
        layer: usize,
        /// What holds its segment.
        writer: W,
        /// Where it goes, in blocks.
        base: u64,
    },
}

/// The work of all threads on one image.
#[derive(Debug)]
pub(crate) struct Queue<W> {
    state: Mutex<State<W>>,
    changed: Condvar,
    bases: Vec<AtomicU64>,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct State<W> {
    next: usize,
    /// Blocks of each layer that has been read to its end.
    blocks: Vec<Option<u64>>,
    parked: Vec<Option<W>>,
}

impl<W> Queue<W> {
    /// A queue for `layers` layers, the first of which begins at block 0.
    pub(crate) fn new(layers: usize) -> Self {
        let bases: Vec<_> = (0..layers).map(|_| AtomicU64::new(UNKNOWN)).collect();
        if let Some(first) = bases.first() {
            first.store(0, Ordering::Release);
        }
        let parked = (0..layers).map(|_| None).collect();
        Self {
            state: Mutex::new(State { next: 0, blocks: vec![None; layers], parked }),
            changed: Condvar::new(),
            bases,
            stopped: AtomicBool::new(false),
        }
    }

    /// The next piece of work; waits while there may be some later. `None` when all is done or somebody stopped.
    pub(crate) fn next(&self) -> Option<Task<W>> {
        let mut state = self.lock();
        loop {
            if self.is_stopped() {
                return None;
            }
            let ready = (0..self.bases.len())
                .find_map(|layer| Some((layer, self.base(layer)?, state.parked.get_mut(layer)?.take()?)));
            if let Some((layer, base, writer)) = ready {
                return Some(Task::Place { layer, writer, base });
            }
            if state.next < self.bases.len() {
                state.next += 1;
                return Some(Task::Read(state.next - 1));
            }
            let all_read = state.blocks.iter().all(Option::is_some);
            if all_read {
                // Every base is known now, so nothing can be parked any more.
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where the content of a layer begins, in blocks, if every lower layer has been read.
    pub(crate) fn base(&self, layer: usize) -> Option<u64> {
        let base = self.bases.get(layer)?.load(Ordering::Acquire);
        (base != UNKNOWN).then_some(base)
    }

    /// A layer has been read to its end and holds this many blocks. Gives the writer back with its base when that is
    /// known, else parks it.
    pub(crate) fn finish(&self, layer: usize, blocks: u64, writer: W) -> Option<(W, u64)> {
        let mut state = self.lock();
        if let Some(slot) = state.blocks.get_mut(layer) {
            *slot = Some(blocks);
        }
        self.spread_bases(&state);
        let returned = match (self.base(layer), state.parked.get_mut(layer)) {
            (None, Some(slot)) => {
                *slot = Some(writer);
                None
            }
            (base, _) => Some((writer, base.unwrap_or(0))),
        };
        drop(state);
        self.changed.notify_all();
        returned
    }

    /// Makes every thread stop at its next look.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // Taken so that nobody is between its look at `stopped` and its wait.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Whether somebody stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn spread_bases(&self, state: &State<W>) {
        let mut base = 0;
        for (slot, blocks) in self.bases.iter().zip(&state.blocks) {
            slot.store(base, Ordering::Release);
            match blocks {
                Some(blocks) => base += blocks,
                None => break,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // The state is consistent between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_handed_out_lowest_first() {
        let queue = Queue::<()>::new(2);
        assert_eq!(queue.next(), Some(Task::Read(0)));
        assert_eq!(queue.next(), Some(Task::Read(1)));
        assert_eq!((queue.base(0), queue.base(1)), (Some(0), None));
    }

    #[test]
    fn a_layer_read_early_is_parked_and_placed_when_its_base_is_known() {
        let queue = Queue::new(3);
        for layer in 0..3 {
            assert_eq!(queue.next(), Some(Task::Read(layer)));
        }
        assert_eq!(queue.finish(1, 5, 'b'), None);
        assert_eq!(queue.finish(2, 7, 'c'), None);
        assert_eq!(queue.finish(0, 3, 'a'), Some(('a', 0)));
        assert_eq!(queue.next(), Some(Task::Place { layer: 1, writer: 'b', base: 3 }));
        assert_eq!(queue.next(), Some(Task::Place { layer: 2, writer: 'c', base: 8 }));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn a_waiting_thread_gets_what_another_parked() {
        let queue = Queue::new(2);
        assert_eq!((queue.next(), queue.next()), (Some(Task::Read(0)), Some(Task::Read(1))));
        assert_eq!(queue.finish(1, 1, 'b'), None);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next());
            assert_eq!(queue.finish(0, 2, 'a'), Some(('a', 0)));
            assert_eq!(waiting.join().unwrap(), Some(Task::Place { layer: 1, writer: 'b', base: 2 }));
        });
    }

    #[test]
    fn stopping_wakes_those_who_wait() {
        let queue = Queue::<()>::new(1);
        assert_eq!(queue.next(), Some(Task::Read(0)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.next());
            queue.stop();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }

    #[test]
    fn no_layers_no_work() {
        assert_eq!(Queue::<()>::new(0).next(), None);
    }
}
