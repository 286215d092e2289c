//! What a registry's work tells while it runs.

use std::fmt;
use std::time::Duration;

use banger_oci::Digest;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// It is known what the image consists of; its layers, lowest first.
    Layers {
        /// Each layer once, though an image may have it several times.
        layers: &'a [BlobSummary],
    },
    /// A blob is being fetched; so many of its bytes were here already, from an attempt that was broken off.
    Started {
        /// Which.
        digest: &'a Digest,
        /// Bytes that need not be fetched again.
        resumed: u64,
    },
    /// More of a blob has arrived.
    Received {
        /// Which.
        digest: &'a Digest,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// What had arrived of a blob was of no use: its fetch begins again.
    Restarted {
        /// Which.
        digest: &'a Digest,
    },
    /// A blob is complete, checked, and in the cache.
    Fetched {
        /// Which.
        digest: &'a Digest,
    },
    /// So much of a blob has been sent. It is less than before when it has to be sent again.
    Sent {
        /// Which.
        digest: &'a Digest,
        /// Bytes from its beginning.
        position: u64,
    },
    /// Another process fetches this blob: it will be used when it is there.
    Shared {
        /// Which.
        digest: &'a Digest,
    },
    /// A host has answered, which had not before.
    Answered {
        /// The host.
        host: &'a str,
        /// The registry that it is a mirror of.
        mirror_of: Option<&'a str>,
    },
    /// A request failed and is made again after a while.
    Waiting {
        /// The host that is asked.
        host: &'a str,
        /// How long.
        delay: Duration,
        /// Whether the host asked for that delay itself.
        asked: bool,
        /// What went wrong, on one line.
        reason: &'a str,
    },
    /// Something is odd, but does not stand in the way.
    Warning(String),
}

/// A blob as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobSummary {
    /// Which.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is in the cache already.
    pub cached: bool,
}

/// Receives events, from several threads, and may wish that the work ends.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Called for each event, in no fixed order between blobs.
    fn event(&self, event: Event<'_>);

    /// Whether the work is to end early: it then fails with [`Error::Cancelled`](crate::Error), within a moment, whatever it
    /// waits for. Asked often; once it has said yes it is to go on saying so.
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
