//! A cache of images on disk: an image layout that can be written to, by several processes at once.
//!
//! ```text
//! DIR/oci-layout, DIR/index.json, DIR/blobs/ALGORITHM/HEX     what any reader of layouts knows
//! DIR/ingest/ALGORITHM-HEX                                    a blob that is not complete; the lock of that blob
//! DIR/ingest/lock                                             shared while images are in use, exclusive to remove some
//! DIR/ingest/index.lock                                       held while index.json is replaced
//! ```
//!
//! What holds at any moment, also after a kill or a power cut at the worst one:
//! - a blob stands in `blobs` only when its size and digest have been checked, and it is on the disk;
//! - `index.json` is complete, the old one or the new one;
//! - what is left in `ingest` is the beginning of a blob, and the next who wants that blob goes on from there. It is
//!   hashed again for that, so nothing is believed that was written before.
//!
//! One process or thread at a time writes a blob, namely who holds its lock ([`Cache::ingest`]); all others who want it
//! wait for it. Locks are those of flock(2): they end with the process that has them. A lock counts only while its
//! file still has its name: the file of a blob becomes that blob, or is removed, and who waited for it looks again.
//!
//! What is read from the cache is not believed: documents are checked by [`Cache::document`], layers by whoever
//! reads them, who calls [`Cache::discard`] when one turns out to be damaged.
//!
//! Files and directories get the permissions that the process's umask allows, as those of any program. A cache is
//! private by its directory, or shared by it: whoever may write to the directory is trusted with its names, but not
//! with the content of its blobs.

mod blobs;
mod check;
mod directory;
mod files;
mod ingest;
mod lock;
mod maintain;
mod names;
mod reach;

pub use check::{Checked, Damaged};
pub use ingest::{Ingest, Partial};
pub use lock::Guard;
pub use maintain::{Amount, ImageUsage, Removed, Share, Usage};

use crate::digest::{Algorithm, Digest};
use crate::layout::{BLOBS, INDEX, MARKER};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of what is incomplete, and of locks.
const INGEST: &str = "ingest";
/// The lock of the cache as a whole.
const LOCK: &str = "lock";
/// The lock of `index.json`.
const INDEX_LOCK: &str = "index.lock";
/// The algorithms that digests, and so directories of blobs, may have.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// A cache. Clones are of the same cache, and cost next to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    path: Arc<Path>,
}

impl Cache {
    /// The cache's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn marker(&self) -> PathBuf {
        self.path.join(MARKER)
    }

    fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }

    fn blobs(&self) -> PathBuf {
        self.path.join(BLOBS)
    }

    fn blobs_of(&self, algorithm: Algorithm) -> PathBuf {
        self.blobs().join(algorithm.name())
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join(digest.blob_path())
    }

    fn ingest_directory(&self) -> PathBuf {
        self.path.join(INGEST)
    }

    fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.ingest_directory().join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }

    fn lock_path(&self) -> PathBuf {
        self.ingest_directory().join(LOCK)
    }

    fn index_lock_path(&self) -> PathBuf {
        self.ingest_directory().join(INDEX_LOCK)
    }
}
