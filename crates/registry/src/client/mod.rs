//! The client: asks registries, and their mirrors, for manifests and blobs (distribution specification 1.1, "Pull"), and
//! sends such to registries ("Push").
//!
//! - this file: what can be asked, and whom: mirrors in their order, the registry last
//! - `conversation`: one request until there is an answer that means something: scheme, redirects, authorisation
//! - `permission`: what is shown to a registry that wants to know who asks
//! - `document`: manifests, as they are asked for and as they come
//! - `range`: parts of blobs
//! - `check`: whether credentials are good
//! - `push`: blobs and manifests that are sent; `outward`: a blob on its way out
//! - `tags`: the tags of a repository, page by page
//! - `get`: files of any server, for which nobody needs permission
//!
//! A mirror need not be trusted with more than its work: what it says of a tag only where the settings allow it, its
//! content never, since digests are checked. One that fails in any way is passed over, with a warning.

mod check;
mod conversation;
mod document;
mod get;
mod outward;
mod permission;
mod push;
mod range;
mod tags;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use banger_oci::limits::MANIFEST_BYTES;
use banger_oci::{Descriptor, Digest, MediaType, Mismatch, Reference};
use ureq::http::Method;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_RANGE};

use crate::auth::cache::Grants;
use crate::body::Body;
use crate::clock::{Clock, SystemClock};
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::MIRROR_REST;
use crate::lock::lock;
use crate::progress::{Event, Progress};
use crate::proxy::Proxies;
use crate::retry::Attempts;
use crate::settings::{DEFAULT_JOBS, Settings};
use crate::transport::Transport;
use crate::url::Scheme;
use crate::words::shown;
use conversation::{Answer, Ask};
use range::Part;

pub use get::Get;
pub use push::{Open, Sent};
pub use tags::Tags;

/// Asks registries. One for a process, shared by its threads, so that connections and tokens are used by all.
pub struct Client {
    settings: Settings,
    credentials: Arc<dyn Credentials>,
    progress: Arc<dyn Progress>,
    clock: Arc<dyn Clock>,
    transport: Transport,
    grants: Grants,
    /// How insecure hosts turned out to be spoken to.
    schemes: Mutex<HashMap<String, Scheme>>,
    /// Mirrors that are not asked, and until when.
    resting: Mutex<HashMap<String, Option<Instant>>>,
    /// Whether some registry refused to be asked whether it takes a body.
    is_unasked: AtomicBool,
    /// Hosts that have answered.
    answered: Mutex<HashSet<String>>,
    /// Warnings that have been given: the same one for each of a hundred blobs helps nobody.
    warned: Mutex<HashSet<String>>,
}

/// What surrounds a client and is not told to it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The proxies.
    pub proxies: Proxies,
}

impl Surroundings {
    /// Those of this process: the system's clock, and the proxies that its environment names.
    ///
    /// # Errors
    /// A variable of the environment cannot be understood.
    pub fn of_process() -> Result<Self, Error> {
        let proxies = Proxies::from_environment(|name| std::env::var(name).ok())?;
        Ok(Self { clock: Arc::new(SystemClock), proxies })
    }
}

/// What a registry has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The manifest's digest.
    pub digest: Digest,
    /// What the registry says that it is.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What the registry says that it is.
    pub media_type: MediaType,
    /// Its bytes, whose digest is the one asked for.
    pub bytes: Vec<u8>,
}

impl Client {
    /// A client in the surroundings of this process.
    ///
    /// # Errors
    /// A variable of the environment cannot be understood.
    pub fn new(
        settings: Settings,
        credentials: Arc<dyn Credentials>,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, Error> {
        Ok(Self::with(settings, credentials, progress, Surroundings::of_process()?))
    }

    /// A client in given surroundings.
    pub fn with(
        settings: Settings,
        credentials: Arc<dyn Credentials>,
        progress: Arc<dyn Progress>,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            settings,
            credentials,
            clock: surroundings.clock,
            transport: Transport::new(surroundings.proxies, Arc::clone(&progress)),
            progress,
            grants: Grants::default(),
            schemes: Mutex::default(),
            resting: Mutex::default(),
            is_unasked: AtomicBool::new(false),
            answered: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// Says what a tag or a digest means, without fetching it where the registry allows that.
    ///
    /// # Errors
    /// There is no such thing, it is not allowed, the registry cannot be reached or makes no sense.
    pub fn head(&self, reference: &Reference) -> Result<Found, Error> {
        self.each(reference, reference.digest().is_some(), |endpoint| self.head_at(endpoint, reference))
    }

    /// Fetches a manifest or an index of at most `limit` bytes, and checks its digest.
    ///
    /// # Errors
    /// As for [`Client::head`]; or it is too large, or not what its digest says.
    pub fn manifest(&self, reference: &Reference, digest: &Digest, limit: u64) -> Result<Document, Error> {
        self.each(reference, true, |endpoint| self.manifest_at(endpoint, reference, digest, limit))
    }

    /// Begins to fetch a blob, from an offset on where the registry allows that. Nothing is checked but that the beginning
    /// is the one asked for.
    ///
    /// # Errors
    /// As for [`Client::head`].
    pub fn blob(&self, reference: &Reference, blob: &Descriptor, offset: u64) -> Result<Body, Error> {
        self.each(reference, true, |endpoint| self.blob_at(endpoint, reference, blob, offset))
    }

    /// How many blobs are to be fetched at the same time.
    pub fn jobs(&self, reference: &Reference) -> NonZeroUsize {
        let own = self.settings.hosts.get(reference.domain()).and_then(|host| host.jobs);
        own.or(self.settings.jobs).unwrap_or(DEFAULT_JOBS)
    }

    /// Asks a mirror no more, as it sent something else than was asked for. `host` is that of the [`Body`]. Whether it was
    /// a mirror: then somebody else can be asked.
    pub fn distrust(&self, reference: &Reference, host: &str) -> bool {
        let is_mirror = host != reference.domain();
        if is_mirror {
            lock(&self.resting).insert(host.to_owned(), None);
            self.warn(format!("the mirror {host} sent something else than was asked for and is not used any more"));
        }
        is_mirror
    }

    /// Whether nobody wants any more what is being done.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }

    /// Tries of something that a registry is needed for.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&*self.clock, &*self.progress)
    }

    /// Asks the mirrors and then the registry, until one has it.
    fn each<T>(
        &self,
        reference: &Reference,
        by_digest: bool,
        ask: impl Fn(&Endpoint) -> Result<T, Error>,
    ) -> Result<T, Error> {
        for mirror in Endpoint::mirrors(&self.settings, reference, by_digest)? {
            if self.rests(&mirror.name) {
                continue;
            }
            match self.persist(&mirror, &ask) {
                Ok(found) => {
                    self.has_answered(&mirror.name, Some(reference.domain()));
                    return Ok(found);
                }
                Err(error @ (Error::Settings { .. } | Error::Cancelled)) => return Err(error),
                Err(error) => self.pass_over(&mirror, &error),
            }
        }
        let found = self.persist(&Endpoint::upstream(&self.settings, reference), &ask)?;
        self.has_answered(reference.domain(), None);
        Ok(found)
    }

    /// Tells once for each host that it has answered.
    fn has_answered(&self, host: &str, mirror_of: Option<&str>) {
        if lock(&self.answered).insert(host.to_owned()) {
            self.progress.event(Event::Answered { host, mirror_of });
        }
    }

    /// Asks one host until it answers or has failed too often. A mirror is asked once, since there is somebody else.
    fn persist<T>(&self, endpoint: &Endpoint, ask: impl Fn(&Endpoint) -> Result<T, Error>) -> Result<T, Error> {
        let single = || Attempts::single(&*self.clock, &*self.progress);
        let mut attempts = if endpoint.is_mirror { single() } else { self.attempts() };
        loop {
            match ask(endpoint) {
                Ok(found) => return Ok(found),
                Err(error) => attempts.wait(self.explain(endpoint, error), false)?,
            }
        }
    }

    fn rests(&self, mirror: &str) -> bool {
        lock(&self.resting).get(mirror).is_some_and(|until| until.is_none_or(|until| self.clock.now() < until))
    }

    /// A mirror has failed. One that cannot be reached is not waited for again with every blob.
    fn pass_over(&self, mirror: &Endpoint, error: &Error) {
        match error {
            Error::Connection { .. } => {
                let until = self.clock.now().checked_add(MIRROR_REST);
                lock(&self.resting).insert(mirror.name.clone(), until);
            }
            Error::Integrity { .. } => {
                lock(&self.resting).insert(mirror.name.clone(), None);
            }
            _ => {}
        }
        let reason = match error {
            Error::Connection { .. } | Error::Status { .. } => format!("{} failed: {}", mirror.name, error.reason()),
            _ => error.to_string(),
        };
        self.warn(format!("mirror passed over: {reason}"));
    }

    /// Warns once.
    fn warn(&self, warning: String) {
        if lock(&self.warned).insert(warning.clone()) {
            self.progress.event(Event::Warning(warning));
        }
    }

    fn head_at(&self, endpoint: &Endpoint, reference: &Reference) -> Result<Found, Error> {
        let what = reference.to_string();
        let pinned = reference.digest();
        let name = pinned.map(Digest::to_string).or_else(|| reference.tag().map(str::to_owned)).unwrap_or_default();
        let mut ask = Ask::manifest(Method::HEAD, endpoint.path("manifests", &name), &what);
        let found = match self.converse(endpoint, &ask) {
            Ok(answer) => document::announced(&answer),
            // A GET says why, which a HEAD cannot, or is allowed where a HEAD is not.
            Err(Error::Unauthorized { detail, .. }) if detail.is_empty() => None,
            Err(error @ Error::Status { status: 400..=499 | 501, .. }) if !error.is_temporary() => None,
            Err(error) => return Err(error),
        };
        let found = match found {
            Some(found) => found,
            None => {
                ask.method = Method::GET;
                document::read(self.converse(endpoint, &ask)?, &ask, MANIFEST_BYTES)?.0
            }
        };
        match pinned {
            Some(expected) if *expected != found.digest => {
                let source = Mismatch::Digest { expected: Box::new(*expected), actual: Box::new(found.digest) };
                Err(Error::Integrity { host: endpoint.name.clone(), what, source })
            }
            _ => Ok(found),
        }
    }

    fn manifest_at(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
        digest: &Digest,
        limit: u64,
    ) -> Result<Document, Error> {
        let what = format!("{}@{digest}", reference.name());
        let ask = Ask::manifest(Method::GET, endpoint.path("manifests", &digest.to_string()), &what);
        let (_, document) = document::read(self.converse(endpoint, &ask)?, &ask, limit)?;
        document::check(&document, digest).map_err(|source| document::mismatch(endpoint, &what, &document, source))?;
        Ok(document)
    }

    fn blob_at(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<Body, Error> {
        let digest = blob.digest;
        let what = format!("blob {digest} of {}", reference.name());
        let mut ask = Ask::blob(endpoint.path("blobs", &digest.to_string()), &what, offset);
        let mut answer = self.converse(endpoint, &ask)?;
        let mut begins = begin(&answer, blob, offset);
        if begins.is_none() && offset > 0 {
            // It sends another part, or none: then everything.
            ask = Ask::blob(endpoint.path("blobs", &digest.to_string()), &what, 0);
            answer = self.converse(endpoint, &ask)?;
            begins = begin(&answer, blob, 0);
        }
        let begins = begins.ok_or_else(|| {
            let status = answer.status();
            answer.unusable(&ask, format!("the status is {status}, though everything was asked for"))
        })?;
        if let Some(encoding) =
            answer.header(&CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            let encoding = shown(encoding);
            return Err(
                answer.unusable(&ask, format!("it comes with the encoding {encoding:?}, which was not asked for"))
            );
        }
        let timeout = answer.timeout();
        let names = (endpoint.name.as_str(), what.as_str());
        Ok(Body::new(answer.into_response(), Some(blob.size), begins, timeout, names, &self.progress))
    }
}

/// Where in the blob an answer begins; `None` where it is of no use.
fn begin(answer: &Answer, blob: &Descriptor, asked: u64) -> Option<u64> {
    match answer.status() {
        206 => {
            let part = Part::parse(answer.header(&CONTENT_RANGE)?)?;
            part.continues(asked, blob.size).then_some(asked)
        }
        416 => None,
        // Whatever else means success means everything.
        _ => Some(0),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .field("credentials", &self.credentials)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
