//! Layers in, merged tree and placed contents out.
//!
//! ```text
//!            ┌ decode ─▶ parse ─▶ content ─┐           (each layer; as many at a time as there are jobs)
//! layers ────┤                             ├──▶ image file, each layer behind the one below it
//!            └ decode ─▶ parse ─▶ content ─┘
//!                          └── entries ──▶ merge, lowest layer first
//! ```
//!
//! Memory is a few buffers for each job, the entries of layers that wait for a lower one, and the tree.

mod buffers;
mod content;
mod layer;
mod queue;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

use banger_ext4::write::{Image, Segment};
use banger_layers::entry::{Entries, Time};
use banger_layers::merge;
use banger_layers::tree::Tree;
use banger_oci::Layer;

use self::content::LayerContent;
use self::layer::Watch;
use self::queue::{Queue, Task};
use crate::addition;
use crate::error::{Error, LayerError};
use crate::options::Addition;
use crate::progress::{Event, LayerSummary, Progress};

/// Processors that the threads of one layer keep busy; so half as many layers as jobs are read at the same time.
///
/// Two processors are better used by one layer that goes straight to its place than by two, one of which must
/// be collected in a segment and copied.
const PROCESSORS_A_LAYER: usize = 2;

/// Something that becomes a layer of the image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// A layer of the source image.
    Layer(&'a Layer),
    /// Files of the host.
    Addition(&'a Addition),
}

impl Input<'_> {
    /// How it is shown.
    pub(crate) fn summary(&self) -> LayerSummary {
        match self {
            Input::Layer(layer) => LayerSummary { name: layer.name(), size: layer.size() },
            Input::Addition(addition) => LayerSummary { name: addition.source.display().to_string(), size: None },
        }
    }
}

/// All layers, read and merged.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// What the image holds.
    pub(crate) tree: Tree,
    /// The contents of each layer, in their places.
    pub(crate) segments: Vec<Segment>,
    /// Of each layer a digest of what was read: its diff ID.
    pub(crate) digests: Vec<String>,
}

/// What reading a layer came to, on its way to the merge.
struct Outcome {
    layer: usize,
    result: Result<(Entries, String), LayerError>,
}

/// Reads `inputs`, the lowest first, into `image` and merges them. `time` is that of a root that no layer describes.
///
/// # Errors
/// That of the lowest layer among those that failed.
pub(crate) fn unpack(
    inputs: &[Input<'_>],
    image: &Image,
    jobs: NonZeroUsize,
    time: Time,
    progress: &dyn Progress,
) -> Result<Unpacked, Error> {
    let queue = Queue::new(inputs.len());
    let worker = Worker { inputs, image, queue: &queue, progress };
    std::thread::scope(|scope| {
        let (outcomes, merged) = channel();
        let workers: Vec<_> = (0..jobs.get().div_ceil(PROCESSORS_A_LAYER).min(inputs.len()))
            .map(|_| {
                let outcomes = outcomes.clone();
                scope.spawn(move || worker.run(&outcomes))
            })
            .collect();
        drop(outcomes);
        let (tree, digests, mut failure) = merge_all(inputs, &merged, Tree::new(time), &queue);
        let mut segments: Vec<Option<Segment>> = inputs.iter().map(|_| None).collect();
        for worker in workers {
            let placed = match worker.join() {
                Ok(placed) => placed,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            for (layer, result) in placed {
                match (result, segments.get_mut(layer)) {
                    (Ok(segment), Some(slot)) => *slot = Some(segment),
                    (Err(error), _) => failure = earlier(failure, layer, error),
                    (Ok(_), None) => {}
                }
            }
        }
        match failure {
            Some((layer, source)) => Err(Error::Layer {
                number: layer + 1,
                count: inputs.len(),
                name: inputs.get(layer).map(|input| input.summary().name).unwrap_or_default(),
                source: Box::new(source),
            }),
            None => Ok(Unpacked { tree, segments: segments.into_iter().flatten().collect(), digests }),
        }
    })
}

type Failure = Option<(usize, LayerError)>;

/// Of two failures the one of the lower layer; of the same layer the one that came first.
fn earlier(failure: Failure, layer: usize, error: LayerError) -> Failure {
    match failure {
        Some(first) if first.0 <= layer => Some(first),
        _ => Some((layer, error)),
    }
}

/// Merges layers as they come, each when all lower ones have been merged.
fn merge_all(
    inputs: &[Input<'_>],
    outcomes: &Receiver<Outcome>,
    mut tree: Tree,
    queue: &Queue<Segment>,
) -> (Tree, Vec<String>, Failure) {
    let mut waiting = BTreeMap::new();
    let mut digests = Vec::with_capacity(inputs.len());
    let mut failure = None;
    for outcome in outcomes {
        match outcome.result {
            Ok(read) => {
                waiting.insert(outcome.layer, read);
            }
            Err(error) => failure = earlier(failure, outcome.layer, error),
        }
        while failure.is_none()
            && let Some((entries, digest)) = waiting.remove(&digests.len())
        {
            let layer = digests.len();
            match merge_one(&mut tree, layer, inputs, &entries) {
                Ok(()) => digests.push(digest),
                Err(error) => {
                    failure = Some((layer, error.into()));
                    queue.stop();
                }
            }
        }
    }
    (tree, digests, failure)
}

fn merge_one(
    tree: &mut Tree,
    layer: usize,
    inputs: &[Input<'_>],
    entries: &Entries,
) -> Result<(), banger_layers::Error> {
    let number = u32::try_from(layer).unwrap_or(u32::MAX);
    match inputs.get(layer) {
        Some(Input::Addition(_)) => merge::apply(tree, number, &addition::on_top_of(tree, entries)?)?,
        _ => merge::apply(tree, number, entries)?,
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Worker<'a> {
    inputs: &'a [Input<'a>],
    image: &'a Image,
    queue: &'a Queue<Segment>,
    progress: &'a dyn Progress,
}

impl Worker<'_> {
    /// Works until nothing is left. Returns the segments that this worker has brought to their places.
    fn run(&self, outcomes: &Sender<Outcome>) -> Vec<(usize, Result<Segment, LayerError>)> {
        let mut placed = Vec::new();
        while let Some(task) = self.queue.next() {
            let (layer, finished) = match task {
                Task::Place { layer, writer, base } => (layer, Some((writer, base))),
                Task::Read(layer) => match self.read(layer, outcomes) {
                    Ok(Some(segment)) => (layer, self.queue.finish(layer, segment.blocks(), segment)),
                    Ok(None) => continue,
                    Err(error) => {
                        self.queue.stop();
                        let _ = outcomes.send(Outcome { layer, result: Err(error) });
                        continue;
                    }
                },
            };
            if let Some((mut segment, base)) = finished {
                let result = match segment.base() {
                    Some(_) => Ok(()),
                    None => segment.place(base),
                };
                if result.is_err() {
                    self.queue.stop();
                }
                placed.push((layer, result.map(|()| segment).map_err(LayerError::from)));
            }
        }
        placed
    }

    #[expect(clippy::indexing_slicing, reason = "the queue hands out indices of the inputs")]
    fn read(&self, index: usize, outcomes: &Sender<Outcome>) -> Result<Option<Segment>, LayerError> {
        let input = &self.inputs[index];
        self.progress.event(Event::Started { layer: index });
        let watch = Follow { worker: self, layer: index };
        let mut content = LayerContent::new(self.image.content());
        let read = match input {
            Input::Layer(layer) => {
                layer::read(layer, &mut content, &watch)?.map(|(entries, id)| (entries, id.to_string()))
            }
            Input::Addition(addition) => Some(addition::read(addition, &mut content)?),
        };
        let Some((entries, digest)) = read else { return Ok(None) };
        let segment = content.done()?;
        self.progress.event(Event::Finished { layer: index, entries: entries.len() });
        let _ = outcomes.send(Outcome { layer: index, result: Ok((entries, digest)) });
        Ok(Some(segment))
    }
}

struct Follow<'a> {
    worker: &'a Worker<'a>,
    layer: usize,
}

impl Watch for Follow<'_> {
    fn advanced(&self, bytes: u64) {
        self.worker.progress.event(Event::Advanced { layer: self.layer, bytes });
    }

    fn is_stopped(&self) -> bool {
        self.worker.queue.is_stopped()
    }

    fn place(&self, content: &mut LayerContent) -> Result<(), LayerError> {
        match self.worker.queue.base(self.layer) {
            Some(base) => Ok(content.place(base)?),
            None => Ok(()),
        }
    }
}
