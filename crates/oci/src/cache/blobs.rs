//! Reading blobs, and getting rid of damaged ones.

use super::Cache;
use super::files::{digest_of, metadata, open, remove, shown};
use super::lock::{BlobLock, pause};
use crate::blob::{BlobReader, read_limited};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::verify::Verifier;
use std::fs::File;
use std::sync::Arc;

impl Cache {
    /// Whether a blob is there, with the size that it should have. Its content is not looked at.
    pub fn contains(&self, descriptor: &Descriptor) -> bool {
        metadata(&self.blob_path(&descriptor.digest)).is_some_and(|metadata| metadata.len() == descriptor.size)
    }

    /// Opens a blob. `None` when it is not there, or has another size; one that has lost or gained bytes is removed.
    ///
    /// What is read is to be checked by who reads it, who calls [`discard`](Self::discard) when it is wrong.
    ///
    /// # Errors
    /// It cannot be opened, or cannot be removed.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Option<BlobReader>> {
        if let Some(file) = self.open_blob(descriptor)? {
            return Ok(Some(BlobReader::range(Arc::new(file), 0, descriptor.size)));
        }
        // When somebody else has the lock, a new one will take its place anyway.
        if metadata(&self.blob_path(&descriptor.digest)).is_some()
            && let Some(lock) = self.try_lock_blob(&descriptor.digest)?
        {
            self.remove_if_damaged(&lock, &descriptor.digest)?;
        }
        Ok(None)
    }

    /// Reads a manifest, an index or a config, and checks it. `None` when it is not there; it has been removed if it was
    /// damaged. `what` names it in errors.
    ///
    /// # Errors
    /// It is over the limit (in bytes), or cannot be read or removed.
    pub fn document(&self, descriptor: &Descriptor, limit: u64, what: &str) -> Result<Option<Vec<u8>>> {
        if descriptor.size > limit {
            return Err(Error::Limit { what: what.to_owned(), actual: descriptor.size, limit, unit: "bytes" });
        }
        if let Some(bytes) = self.peek(descriptor)? {
            return Ok(Some(bytes));
        }
        // Intact: it was replaced in this moment, or is not of the size that the descriptor gives.
        if self.discard(&descriptor.digest)? { Ok(None) } else { self.peek(descriptor) }
    }

    /// To be called when a blob of the cache turned out to be other content than it should: reads all of it again, and removes
    /// it if that is so. Whether it is gone, so that it makes sense to write it anew.
    ///
    /// # Errors
    /// It cannot be read or removed.
    pub fn discard(&self, digest: &Digest) -> Result<bool> {
        let path = self.blob_path(digest);
        loop {
            if metadata(&path).is_none() {
                return Ok(true);
            }
            if let Some(lock) = self.try_lock_blob(digest)? {
                return self.remove_if_damaged(&lock, digest);
            }
            pause();
        }
    }

    /// Removes a blob if its content is wrong, while nobody can put another one in its place. Whether it is gone.
    fn remove_if_damaged(&self, _lock: &BlobLock, digest: &Digest) -> Result<bool> {
        let path = self.blob_path(digest);
        let Some((file, _)) = open(&path)? else { return Ok(true) };
        // What the disk refuses to give is damaged too.
        let intact = digest_of(&file, digest, |_| {}).is_ok_and(|actual| actual == *digest);
        if !intact {
            remove(&path)?;
        }
        Ok(!intact)
    }

    /// Opens a blob's file, if it is there with the right size.
    pub(super) fn open_blob(&self, descriptor: &Descriptor) -> Result<Option<File>> {
        let opened = open(&self.blob_path(&descriptor.digest))?;
        Ok(opened.filter(|(_, metadata)| metadata.len() == descriptor.size).map(|(file, _)| file))
    }

    /// Reads a document and checks it, and changes nothing. `None` when it is not there or is damaged.
    pub(super) fn peek(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open_blob(descriptor)? else { return Ok(None) };
        let path = shown(&self.blob_path(&descriptor.digest));
        let Some(bytes) = read_limited(file, descriptor.size, &path)? else { return Ok(None) };
        let mut verifier = Verifier::new(descriptor.digest.algorithm());
        verifier.update(&bytes);
        Ok(verifier.finish(&descriptor.digest, Some(descriptor.size)).is_ok().then_some(bytes))
    }
}
