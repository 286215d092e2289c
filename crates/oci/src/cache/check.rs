//! Checking all that the cache holds.

use super::Cache;
use super::files::{digest_of, open};
use super::maintain::name_of;
use super::reach::Walk;
use crate::digest::Digest;
use crate::error::Result;
use std::io;

/// What a check of the whole cache found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many blobs were read.
    pub blobs: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The blobs that are not what they should be.
    pub damaged: Vec<Damaged>,
    /// How many of them were removed.
    pub removed: u64,
}

/// A blob that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The digest by which it is kept.
    pub digest: Digest,
    /// What is wrong with it.
    pub reason: String,
    /// Whether it is gone. One that cannot even be opened stays: to remove it is not ours to decide.
    pub removed: bool,
    /// The images that need it, by their names.
    pub images: Vec<String>,
}

impl Cache {
    /// Reads every blob and removes those that are not the content that their names promise. `progress` is told from time to
    /// time how many bytes have been read, and of how many. The cache can be used meanwhile.
    ///
    /// # Errors
    /// `index.json` or a directory cannot be read, or a damaged blob cannot be removed. That a blob cannot be read is none.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked> {
        let names = self.read_names()?;
        // Before anything is removed: a damaged manifest leads nowhere, but what leads to it is known.
        let mut walk = Walk::new(self);
        let mut images = Vec::new();
        for entry in names.descriptors() {
            images.push((name_of(entry), walk.reach(entry)?.blobs));
        }
        let stored = self.stored()?;
        let total = stored.values().fold(0_u64, |sum, blob| sum.saturating_add(blob.metadata.len()));

        let mut checked = Checked::default();
        for (digest, blob) in &stored {
            let mut read = 0_u64;
            let outcome = match open(&blob.path) {
                // Somebody else has removed it.
                Ok(None) => continue,
                Ok(Some((file, _))) => Outcome::of(
                    digest,
                    digest_of(&file, digest, |bytes| {
                        read = read.saturating_add(bytes);
                        progress(checked.bytes.saturating_add(read), total);
                    }),
                ),
                Err(error) => Outcome::Unusable(with_cause(&error)),
            };
            checked.blobs = checked.blobs.saturating_add(1);
            checked.bytes = checked.bytes.saturating_add(read);
            let (reason, removed) = match outcome {
                Outcome::Intact => continue,
                // Somebody else may have put a good one in its place.
                Outcome::Damaged(reason) if self.discard(digest)? => (reason, true),
                Outcome::Damaged(_) => continue,
                Outcome::Unusable(reason) => (reason, false),
            };
            let users = images.iter().filter(|(_, blobs)| blobs.contains(digest));
            let images = users.map(|(name, _)| name.clone()).collect();
            checked.removed = checked.removed.saturating_add(u64::from(removed));
            checked.damaged.push(Damaged { digest: *digest, reason, removed, images });
        }
        Ok(checked)
    }
}

enum Outcome {
    Intact,
    Damaged(String),
    Unusable(String),
}

impl Outcome {
    fn of(expected: &Digest, actual: io::Result<Digest>) -> Self {
        match actual {
            Ok(actual) if actual == *expected => Outcome::Intact,
            Ok(actual) => Outcome::Damaged(format!("its content has the digest {actual}")),
            Err(error) => Outcome::Damaged(format!("it cannot be read: {error}")),
        }
    }
}

/// An error and its cause on one line.
fn with_cause(error: &crate::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
