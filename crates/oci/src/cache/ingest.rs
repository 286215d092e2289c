//! Writing a blob: by one at a time, checked while it comes, continued where an earlier attempt ended.
//!
//! A blob grows in `ingest`, in a file that others may read at the same time. Its lock is that of the file. When it is
//! complete and right it is synced and renamed into `blobs`; until then nothing of it can be seen there.

use super::Cache;
use super::files::{read_pieces, rename, shown};
use super::lock::{BlobLock, pause};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::verify::{Mismatch, Verifier};
use rustix::fs::Advice;
use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Write-back begins whenever so many bytes have come, so that the sync at the end has little left to wait for.
const WRITE_BACK_STEP: u64 = 8 << 20;

/// What there is to do for who wants a blob in the cache.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each blob that is fetched")]
pub enum Ingest {
    /// Nothing: it is there. The file is the blob's, and is read from its beginning to its end.
    Present(Arc<File>),
    /// It is to be written, by nobody else meanwhile.
    Begin(Partial),
}

/// A blob that is being written. While this lives, nobody else writes it.
///
/// When it is dropped before it was published, what has come so far is left for the next.
#[derive(Debug)]
pub struct Partial {
    cache: Cache,
    lock: BlobLock,
    digest: Digest,
    size: u64,
    /// Has been told of all the bytes up to `length`.
    verifier: Verifier,
    length: u64,
    resumed: bool,
    /// Up to where write-back has begun.
    written_back: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// All is there and right.
    Verified,
    /// It was wrong, and has been removed.
    Removed,
}

impl Cache {
    /// Prepares to write a blob, unless it is there. When somebody else writes it, another thread or process, `waiting` is
    /// called, once, and it is waited for: who writes either brings it, or leaves what has come for the next.
    ///
    /// # Errors
    /// Its file cannot be opened, locked or read.
    pub fn ingest(&self, descriptor: &Descriptor, waiting: &mut dyn FnMut()) -> Result<Ingest> {
        self.ingest_while(descriptor, waiting, &|| true)
    }

    /// The same, waiting only as long as `go_on` says so.
    ///
    /// # Errors
    /// As [`Cache::ingest`]; or it was waited for until `go_on` said no.
    pub fn ingest_while(
        &self,
        descriptor: &Descriptor,
        waiting: &mut dyn FnMut(),
        go_on: &dyn Fn() -> bool,
    ) -> Result<Ingest> {
        let mut told = false;
        loop {
            if let Some(file) = self.open_blob(descriptor)? {
                return Ok(Ingest::Present(Arc::new(file)));
            }
            if let Some(lock) = self.try_lock_blob(&descriptor.digest)? {
                // It may have come between the two looks. What is left of another attempt is of no use then.
                if let Some(file) = self.open_blob(descriptor)? {
                    lock.remove()?;
                    return Ok(Ingest::Present(Arc::new(file)));
                }
                return Partial::resume(self.clone(), lock, descriptor).map(Ingest::Begin);
            }
            if !told {
                waiting();
                told = true;
            }
            if !go_on() {
                return Err(Error::Cancelled);
            }
            pause();
        }
    }

    /// Puts a whole document into the cache.
    ///
    /// # Errors
    /// It is not the content that the descriptor promises, or cannot be written.
    pub fn add(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        match self.ingest(descriptor, &mut || {})? {
            Ingest::Present(_) => Ok(()),
            Ingest::Begin(mut partial) => {
                partial.restart()?;
                partial.append(bytes)?;
                partial.commit()
            }
        }
    }
}

impl Partial {
    /// Goes on from what the file has.
    fn resume(cache: Cache, lock: BlobLock, descriptor: &Descriptor) -> Result<Self> {
        let Descriptor { digest, size, .. } = *descriptor;
        let path = lock.path();
        let length = lock.file().metadata().map_err(Error::io("look at", shown(path)))?.len();
        let mut partial = Partial {
            verifier: Verifier::new(digest.algorithm()),
            cache,
            lock,
            digest,
            size,
            length: 0,
            resumed: false,
            written_back: 0,
            state: State::Open,
        };
        if length > size {
            partial.restart()?;
        } else if length > 0 {
            let verifier = &mut partial.verifier;
            read_pieces(partial.lock.file(), length, |piece| verifier.update(piece))
                .map_err(Error::io("read", shown(partial.lock.path())))?;
            partial.length = partial.verifier.size();
            partial.written_back = partial.length;
            partial.resumed = true;
        }
        Ok(partial)
    }

    /// Bytes that are there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether some of the bytes were left by an earlier attempt. They have been hashed like those that come, but if the whole
    /// turns out to be wrong, they may be to blame.
    pub fn was_resumed(&self) -> bool {
        self.resumed
    }

    /// The file, to be read by others while it grows, as far as [`length`](Self::length) says.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(self.lock.file())
    }

    /// Takes the next bytes; best in pieces of 64 KiB to 1 MiB.
    ///
    /// # Errors
    /// They go beyond the size that was promised, and are not taken; or they cannot be written, in which case the same bytes
    /// can be given again.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_not_removed()?;
        let end = self.length.saturating_add(bytes.len() as u64);
        if end > self.size {
            let what = format!("blob {}", self.digest);
            return Err(Error::Integrity { what, source: Mismatch::Longer { expected: self.size } });
        }
        let file = self.lock.file();
        if let Err(error) = file.write_all_at(bytes, self.length) {
            // On a full disk, what cannot be counted on is not to take up the rest of it.
            let _ = file.set_len(self.length);
            return Err(Error::io("write", shown(self.lock.path()))(error));
        }
        self.verifier.update(bytes);
        self.length = end;
        self.begin_write_back();
        Ok(())
    }

    /// Forgets what has come, and begins again. Who reads the file finds it empty.
    ///
    /// # Errors
    /// The file cannot be emptied, or [`verify`](Self::verify) has removed it.
    pub fn restart(&mut self) -> Result<()> {
        self.check_not_removed()?;
        self.lock.file().set_len(0).map_err(Error::io("empty", shown(self.lock.path())))?;
        self.verifier = Verifier::new(self.digest.algorithm());
        (self.length, self.written_back) = (0, 0);
        (self.resumed, self.state) = (false, State::Open);
        Ok(())
    }

    /// Checks size and digest of all that has come. After that it is what it should be, though not yet on the disk.
    ///
    /// # Errors
    /// [`Error::Integrity`]: it is other content. It has been removed then; who reads the file still can.
    pub fn verify(&mut self) -> Result<()> {
        self.check_not_removed()?;
        if self.state == State::Verified {
            return Ok(());
        }
        match self.verifier.clone().finish(&self.digest, Some(self.size)) {
            Ok(()) => {
                self.state = State::Verified;
                Ok(())
            }
            Err(source) => {
                self.remove()?;
                Err(Error::Integrity { what: format!("blob {}", self.digest), source })
            }
        }
    }

    /// Has the blob appear in the cache: checked, and on the disk.
    ///
    /// # Errors
    /// As [`verify`](Self::verify); or it cannot be synced or renamed.
    pub fn publish(mut self) -> Result<()> {
        self.verify()?;
        if let Err(error) = self.lock.file().sync_all() {
            // The system forgets which bytes it could not write: reading them again would not show it.
            self.remove()?;
            return Err(Error::io("write", shown(self.lock.path()))(error));
        }
        rename(self.lock.path(), &self.cache.blob_path(&self.digest))
    }

    /// [`verify`](Self::verify) and [`publish`](Self::publish).
    ///
    /// # Errors
    /// Theirs.
    pub fn commit(self) -> Result<()> {
        self.publish()
    }

    fn remove(&mut self) -> Result<()> {
        self.state = State::Removed;
        self.lock.remove().map(drop)
    }

    fn check_not_removed(&self) -> Result<()> {
        match self.state {
            State::Open | State::Verified => Ok(()),
            State::Removed => {
                let reason = "it has been removed, because it was not what it should be";
                Err(Error::malformed(shown(self.lock.path()), reason))
            }
        }
    }

    /// Has the system begin to write to the disk.
    ///
    /// The call for it, sync_file_range(2), has no safe binding here. `POSIX_FADV_DONTNEED` begins with the same thing, and
    /// then drops from memory what is on the disk already, which of bytes just written is next to nothing.
    fn begin_write_back(&mut self) {
        let new = self.length.saturating_sub(self.written_back);
        if let (true, Some(length)) = (new >= WRITE_BACK_STEP, NonZeroU64::new(new)) {
            // Advice: where it is not taken, the sync has more to do.
            let _ = rustix::fs::fadvise(self.lock.file(), self.written_back, Some(length), Advice::DontNeed);
            self.written_back = self.length;
        }
    }
}
