//! Layers in, merged tree and placed contents out.
//!
//! ```text
//!            ┌ decode ─┬▶ hash                 ┐
//! layers ────┤         └▶ parse ─┬▶ contents ──┼──▶ image file, each layer behind the one below it
//!            └ ...               └▶ entries ───┴──▶ merge, lowest layer first
//! ```
//!
//! Memory is a few buffers for each layer that is being read, the windows of zstd (large ones share a budget), the entries
//! of layers that wait for a lower one, and the tree.

mod buffers;
pub(crate) mod content;
mod crew;
mod reading;
mod stations;
mod step;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};

use banger_ext4::write::{Image, Segment};
use banger_layers::entry::{Entries, Time};
use banger_layers::merge;
use banger_layers::tree::Tree;
use banger_oci::Layer;

use self::crew::Crew;
use crate::addition;
use crate::error::{Error, LayerError};
use crate::options::{Addition, Options};
use crate::progress::{LayerSummary, Progress};

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
            Input::Addition(addition) => {
                LayerSummary { name: addition.source.display().to_string(), size: addition::size(addition) }
            }
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
    /// What was read of each layer.
    pub(crate) read: Vec<Read>,
}

/// What was read of a layer.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// A digest of it: the diff ID.
    pub(crate) digest: String,
    /// Bytes of a layer's archive, decompressed. 0 for files of the host.
    pub(crate) bytes: u64,
}

/// What reading a layer came to, on its way to the merge.
struct Outcome {
    layer: usize,
    result: Result<(Entries, Read), LayerError>,
}

/// Reads `inputs`, the lowest first, into `image` and merges them. `time` is that of a root that no layer describes.
///
/// # Errors
/// That of the lowest layer among those that failed.
pub(crate) fn unpack(
    inputs: &[Input<'_>],
    image: &Image,
    options: &Options,
    time: Time,
    progress: &dyn Progress,
) -> Result<Unpacked, Error> {
    let crew = Crew::new(inputs, image, options, progress);
    let (tree, read, failure) = std::thread::scope(|scope| {
        let (outcomes, received) = channel();
        for _ in 0..options.jobs.get() {
            let outcomes = outcomes.clone();
            scope.spawn(|| crew.work(outcomes));
        }
        drop(outcomes);
        merge_all(inputs, &received, Tree::new(time), &crew)
    });
    match failure {
        Some((_, LayerError::Cancelled)) => Err(Error::Cancelled),
        Some((layer, source)) => Err(Error::Layer {
            number: layer + 1,
            count: inputs.len(),
            name: inputs.get(layer).map(|input| input.summary().name).unwrap_or_default(),
            source: Box::new(source),
        }),
        None => Ok(Unpacked { tree, segments: crew.into_segments(), read }),
    }
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
    crew: &Crew<'_>,
) -> (Tree, Vec<Read>, Failure) {
    let mut waiting = BTreeMap::new();
    let mut merged = Vec::with_capacity(inputs.len());
    let mut failure = None;
    for outcome in outcomes {
        match outcome.result {
            Ok(read) => {
                waiting.insert(outcome.layer, read);
            }
            Err(error) => failure = earlier(failure, outcome.layer, error),
        }
        while failure.is_none()
            && let Some((entries, read)) = waiting.remove(&merged.len())
        {
            let layer = merged.len();
            match merge_one(&mut tree, layer, inputs, &entries) {
                Ok(()) => merged.push(read),
                Err(error) => {
                    failure = Some((layer, error.into()));
                    crew.stop();
                }
            }
        }
    }
    (tree, merged, failure)
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
