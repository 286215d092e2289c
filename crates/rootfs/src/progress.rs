//! What a build tells while it runs.

/// One thing that happened. Sizes are compressed bytes, as the descriptor counts them; those of additions are as they are.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The image has been resolved; its layers, lowest first.
    Resolved {
        /// The layers that will be read, additions included.
        layers: &'a [LayerSummary],
    },
    /// A layer is being read.
    Started {
        /// Index of the layer.
        layer: usize,
    },
    /// Another piece of a layer has been read.
    Advanced {
        /// Index of the layer.
        layer: usize,
        /// Compressed bytes since the last event.
        bytes: u64,
    },
    /// A layer has been read to its end and verified.
    Finished {
        /// Index of the layer.
        layer: usize,
        /// Entries in it.
        entries: usize,
    },
    /// A stage that follows the layers has begun.
    Stage(Stage),
    /// Something is odd but was understood.
    Warning(String),
}

/// A layer as it is shown while a build runs.
#[derive(Clone, Debug)]
pub struct LayerSummary {
    /// What to call it: its digest, or where it comes from.
    pub name: String,
    /// Compressed size in bytes, where it is known beforehand.
    pub size: Option<u64>,
}

/// What follows the reading of layers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The metadata of the file system is planned and written.
    Metadata,
    /// The image is brought to the disk.
    Sync,
    /// The sha256 of the finished file is computed.
    Checksum,
}

/// Receives events, from several threads, and may wish that the build ends.
pub trait Progress: Sync {
    /// Called for each event, in no fixed order between layers.
    fn event(&self, event: Event<'_>);

    /// Whether the build is to end early: it then fails with [`Error::Cancelled`](crate::Error), and leaves nothing. Asked often;
    /// once it has said yes it is to go on saying so.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is interested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}
