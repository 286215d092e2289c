//! What is told while something takes long: a stream of JSON objects, one a line, each with its `type`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that happened. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Another step of the operation has begun.
    Step {
        /// Which.
        step: Step,
        /// What it is about: a reference, a name, a URL.
        subject: String,
    },
    /// It is known which files have to be downloaded, each once.
    Downloads {
        /// The files.
        files: Vec<File>,
    },
    /// A file is being downloaded.
    Downloading {
        /// Digest of the file.
        digest: String,
        /// Bytes of it that were here already.
        resumed: u64,
    },
    /// More of a file has arrived.
    Downloaded {
        /// Digest of the file.
        digest: String,
        /// Bytes since the last event of the kind.
        bytes: u64,
    },
    /// What had arrived of a file was of no use: it begins again.
    Restarted {
        /// Digest of the file.
        digest: String,
    },
    /// A file is complete and checked.
    Complete {
        /// Digest of the file.
        digest: String,
    },
    /// So much of a file has been sent. It is less than before when it has to be sent again.
    Sent {
        /// Digest of the file.
        digest: String,
        /// Bytes from its beginning.
        position: u64,
    },
    /// Somebody else downloads this file: it will be used when it is there.
    Shared {
        /// Digest of the file.
        digest: String,
    },
    /// It is known what layers are to be read, the lowest first.
    Layers {
        /// The layers.
        layers: Vec<Layer>,
    },
    /// A layer is being read.
    LayerStarted {
        /// Its place, from 0.
        layer: usize,
    },
    /// More of a layer has been read.
    LayerAdvanced {
        /// Its place, from 0.
        layer: usize,
        /// Compressed bytes since the last event of the kind.
        bytes: u64,
    },
    /// A layer has been read to its end.
    LayerFinished {
        /// Its place, from 0.
        layer: usize,
        /// Entries in it.
        entries: usize,
    },
    /// So much of the step that has begun last is done.
    Advanced {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A host has answered, which had not before: the registry that was named, or a mirror of it.
    Answered {
        /// The host.
        host: String,
        /// The registry that it is a mirror of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mirror_of: Option<String>,
    },
    /// A request failed and is made again after a while.
    Waiting {
        /// The host that is asked.
        host: String,
        /// How long, in milliseconds.
        milliseconds: u64,
        /// Whether the host asked for that delay itself.
        asked: bool,
        /// What went wrong.
        reason: String,
    },
    /// Something is odd, but does not stand in the way.
    Warning {
        /// What.
        message: String,
    },
}

/// A step of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// What was named is looked up.
    Resolve,
    /// Files are downloaded.
    Download,
    /// Layers are read and merged.
    Layers,
    /// The metadata of the file system is written.
    Metadata,
    /// Files are brought to the disk.
    Sync,
    /// A digest of a file is computed.
    Checksum,
    /// An archive is unpacked.
    Extract,
    /// An archive or a disk image is written.
    Pack,
    /// The kernel and what belongs to it is put beside the image.
    Kernel,
    /// Files are sent to a registry.
    Upload,
    /// Somebody else makes the same image: it will be used when it is there.
    Wait,
    /// The image gets its name.
    Publish,
}

/// A file that is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Its digest.
    pub digest: String,
    /// Its size.
    pub size: u64,
    /// Whether it is here already.
    pub cached: bool,
}

/// A layer that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Layer {
    /// Its digest, or where it comes from.
    pub name: String,
    /// Its compressed size, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Who is told what happens, and may wish that it ends.
pub trait Observer: Send + Sync {
    /// Called for each event, from several threads, in no fixed order between files or layers.
    fn event(&self, event: Event);

    /// Whether the operation is to end early. It then fails with [`ErrorKind::Cancelled`](crate::ErrorKind), and leaves nothing behind.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is interested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event) {}
}
