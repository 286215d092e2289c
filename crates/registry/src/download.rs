//! Fetches blobs into the cache: several at a time, each resumed where an earlier attempt ended, each once, whoever else
//! wants it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use banger_oci::cache::{Cache, Ingest, Partial};
use banger_oci::{BlobReader, Descriptor, Digest, Error, ErrorKind, Reference, Result};

use crate::body::Body;
use crate::client::Client;
use crate::incoming::{Failure, Incoming};
use crate::lock::lock;
use crate::progress::{Event, Progress};

/// Bytes that are read from a connection at once.
const PIECE: usize = 256 << 10;

/// How often it is looked whether what reads has caught up.
const PACE: Duration = Duration::from_millis(5);

/// How long a server is kept waiting for what reads: less than servers put up with.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where blobs come from and go to.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) reference: Reference,
    pub(crate) client: Arc<Client>,
    pub(crate) cache: Cache,
    pub(crate) progress: Arc<dyn Progress>,
}

/// Blobs that are being fetched.
///
/// When it is dropped, what has not arrived is given up, and left as it is, to be resumed.
#[derive(Debug)]
pub(crate) struct Downloads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    route: Route,
    purpose: Purpose,
    blobs: HashMap<Digest, Arc<Incoming>>,
    /// What has not been begun, in the order in which it will be needed.
    queue: Mutex<VecDeque<Descriptor>>,
    /// The first thing that went wrong.
    failure: Mutex<Option<Failure>>,
    cancelled: AtomicBool,
}

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// They are read while they arrive.
    Stream,
    /// They are kept.
    Keep,
}

impl Downloads {
    /// Begins to fetch `blobs`, the most urgent first, each once.
    pub(crate) fn start(route: Route, blobs: Vec<Descriptor>, jobs: NonZeroUsize, purpose: Purpose) -> Self {
        let threads = jobs.get().min(blobs.len());
        let shared = Arc::new(Shared {
            route,
            purpose,
            blobs: blobs.iter().map(|blob| (blob.digest, Arc::new(Incoming::new()))).collect(),
            queue: Mutex::new(blobs.into()),
            failure: Mutex::new(None),
            cancelled: AtomicBool::new(false),
        });
        let work = |_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work())
        };
        Self { threads: (0..threads).map(work).collect(), shared }
    }

    /// A reader of a blob that is being fetched, or has been.
    pub(crate) fn reader(&self, digest: &Digest) -> Option<BlobReader> {
        Some(BlobReader::arriving(self.shared.blobs.get(digest)?.reader()))
    }

    /// Of a blob that is fetched here: whether it failed, but may be right when it is fetched anew.
    pub(crate) fn is_worth_another(&self, digest: &Digest) -> Option<bool> {
        Some(self.shared.blobs.get(digest)?.is_worth_another())
    }

    /// Waits until all blobs are in the cache.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for thread in self.threads.drain(..) {
            // One that panicked has left a failure.
            let _ = thread.join();
        }
        match lock(&self.shared.failure).clone() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    /// Whether all blobs have arrived: then they are in the cache in a moment.
    pub(crate) fn have_arrived(&self) -> bool {
        self.shared.blobs.values().all(|blob| blob.is_complete())
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Fetches one blob after the other.
    fn work(&self) {
        while let Some(blob) = self.next() {
            let Some(incoming) = self.blobs.get(&blob.digest) else { continue };
            let _guard = FailOnPanic { shared: self, incoming, digest: &blob.digest };
            match self.fetch(&blob, incoming) {
                Ok(()) => self.route.progress.event(Event::Fetched { digest: &blob.digest }),
                Err(error) => self.fail(incoming, error),
            }
        }
    }

    fn next(&self) -> Option<Descriptor> {
        if self.cancelled.load(Ordering::Acquire) { None } else { lock(&self.queue).pop_front() }
    }

    /// A blob will not come, and what has not been begun will not be.
    fn fail(&self, incoming: &Incoming, error: Error) {
        let failure = Failure::new(error);
        incoming.fail(failure.clone());
        for blob in lock(&self.queue).drain(..) {
            if let Some(incoming) = self.blobs.get(&blob.digest) {
                incoming.fail(failure.clone());
            }
        }
        lock(&self.failure).get_or_insert(failure);
    }

    /// Has a blob arrive, and brings it to its place.
    fn fetch(&self, blob: &Descriptor, incoming: &Incoming) -> Result<()> {
        let Route { reference, client, cache, progress } = &self.route;
        let digest = &blob.digest;
        loop {
            let mut waiting = || progress.event(Event::Shared { digest });
            let go_on = || !client.is_cancelled() && !self.cancelled.load(Ordering::Acquire);
            let mut partial = match cache.ingest_while(blob, &mut waiting, &go_on)? {
                Ingest::Begin(partial) => partial,
                Ingest::Present(file) => {
                    incoming.begin(file, blob.size);
                    incoming.complete();
                    return Ok(());
                }
            };
            let resumed = partial.length();
            incoming.begin(partial.file(), resumed);
            progress.event(Event::Started { digest, resumed });
            match self.arrive(blob, &mut partial, incoming) {
                Ok(()) => {
                    // Whoever reads it need not wait for the disk.
                    incoming.complete();
                    return partial.publish();
                }
                Err(Failed::Wrong { error, host }) => {
                    // What was here before may be to blame, and is gone now; or a mirror.
                    let is_of_mirror = || host.is_some_and(|host| client.distrust(reference, &host));
                    let again = resumed > 0 || is_of_mirror();
                    if !again || !incoming.restart() {
                        return Err(*error);
                    }
                    progress.event(Event::Restarted { digest });
                }
                Err(Failed::Other(error)) => return Err(error),
            }
        }
    }

    /// Asks for what is missing until nothing is, and checks the whole.
    fn arrive(&self, blob: &Descriptor, partial: &mut Partial, incoming: &Incoming) -> Result<(), Failed> {
        let Route { reference, client, .. } = &self.route;
        let mut attempts = client.attempts();
        let mut host = None;
        while partial.length() < blob.size {
            let before = partial.length();
            // A refusal is final: asking was persistent, and nothing that is here is to blame.
            let mut body = client.blob(reference, blob, before).map_err(|error| Failed::Other(error.into()))?;
            host = Some(body.host().to_owned());
            match self.receive(blob, &mut body, partial, incoming) {
                // Size and digest tell whether that is all.
                Ok(()) => break,
                Err(Broken::Connection(error)) => attempts
                    .wait(body.broken(error), partial.length() > before)
                    .map_err(|error| Failed::Other(error.into()))?,
                Err(Broken::Other(error)) => return Err(Failed::of(error, host)),
            }
        }
        partial.verify().map_err(|error| Failed::of(error, host))
    }

    /// Receives what one request brings.
    fn receive(
        &self,
        blob: &Descriptor,
        body: &mut Body,
        partial: &mut Partial,
        incoming: &Incoming,
    ) -> Result<(), Broken> {
        let digest = &blob.digest;
        // A server may send from the beginning what was asked for from the middle.
        let mut known = partial.length().saturating_sub(body.offset());
        let mut buffer = vec![0; PIECE];
        loop {
            if self.cancelled.load(Ordering::Acquire) {
                return Err(Broken::Other(given_up(digest)));
            }
            let count = body.read(&mut buffer).map_err(Broken::Connection)?;
            if count == 0 {
                return Ok(());
            }
            let skipped = usize::try_from(known).unwrap_or(usize::MAX).min(count);
            known = known.saturating_sub(skipped as u64);
            let piece = buffer.get(skipped..count).unwrap_or_default();
            if let Err(error) = partial.append(piece) {
                // What goes on beyond its end was wrong from the beginning.
                let is_longer = error.kind() == ErrorKind::Integrity;
                return Err(Broken::Other(if is_longer { partial.restart().err().unwrap_or(error) } else { error }));
            }
            incoming.advance(partial.length());
            self.route.progress.event(Event::Received { digest, bytes: piece.len() as u64 });
            self.pace(incoming);
        }
    }

    /// Waits while a blob is ahead and what reads has enough to do.
    ///
    /// It never waits for what cannot come: who reads a blob needs nothing but what is there, whoever holds the others. Not
    /// even then is a server kept waiting for long.
    fn pace(&self, incoming: &Incoming) {
        let begun = Instant::now();
        let is_busy = || self.blobs.values().any(|blob| blob.is_being_read());
        while self.purpose == Purpose::Stream
            && incoming.is_ahead()
            && is_busy()
            && !self.cancelled.load(Ordering::Acquire)
            && !self.route.client.is_cancelled()
        {
            if begun.elapsed() > PATIENCE {
                incoming.widen();
            }
            std::thread::sleep(PACE);
        }
    }
}

/// A thread that panics must not leave others to wait for its blob.
struct FailOnPanic<'a> {
    shared: &'a Shared,
    incoming: &'a Incoming,
    digest: &'a Digest,
}

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(self.incoming, given_up(self.digest));
        }
    }
}

fn given_up(digest: &Digest) -> Error {
    crate::Error::GivenUp { what: format!("blob {digest}") }.into()
}

/// Why a blob did not arrive.
enum Failed {
    /// What is here is not what it should be; so far it was sent by this host last, if by any.
    Wrong { error: Box<Error>, host: Option<String> },
    /// Something else, which another request does not mend.
    Other(Error),
}

impl Failed {
    fn of(error: Error, host: Option<String>) -> Self {
        if error.kind() != ErrorKind::Integrity {
            return Self::Other(error);
        }
        Self::Wrong { error: Box::new(error), host }
    }
}

/// Why a request did not bring all that was asked for.
enum Broken {
    /// The connection broke: what has arrived is kept, and the rest can be asked for again.
    Connection(io::Error),
    /// Asking again makes no sense.
    Other(Error),
}
