//! A client for tests: its clock does not wait, and what it tells is written down.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use banger_oci::{Descriptor, Digest, MediaType, Reference};
use banger_registry::credentials::{Credential, Credentials};
use banger_registry::{Client, Clock, Error, Event, Host, Progress, Proxies, Settings, Surroundings};

use crate::server::{Reply, Request, Server, reply};

/// Everything that a test needs beside servers.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) events: Arc<Events>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), None, Proxies::none())
    }

    pub(crate) fn with_credential(credential: Credential) -> Self {
        Self::with(Settings::default(), Some(credential), Proxies::none())
    }

    /// Where hosts may be silent for so long only.
    pub(crate) fn impatient(server: &Server, timeout: Duration) -> Self {
        let host = Host { timeout, ..Host::default() };
        Self::with(settings([(server.authority(), host)]), None, Proxies::none())
    }

    pub(crate) fn with(settings: Settings, credential: Option<Credential>, proxies: Proxies) -> Self {
        let (clock, events) = (Arc::new(FakeClock::new()), Arc::new(Events::default()));
        let surroundings = Surroundings { clock: clock.clone(), proxies };
        let client = Client::with(settings, Arc::new(Same(credential)), events.clone(), surroundings);
        Self { client, clock, events }
    }

    /// Reads a blob to its end, or to where it breaks.
    pub(crate) fn read(&self, reference: &Reference, blob: &Descriptor, offset: u64) -> (Vec<u8>, Result<u64, Error>) {
        let mut bytes = Vec::new();
        let mut body = match self.client.blob(reference, blob, offset) {
            Ok(body) => body,
            Err(error) => return (bytes, Err(error)),
        };
        let result = match body.read_to_end(&mut bytes) {
            Ok(_) => Ok(body.offset()),
            Err(error) => Err(body.broken(error)),
        };
        (bytes, result)
    }
}

pub(crate) fn settings<const N: usize>(hosts: [(String, Host); N]) -> Settings {
    Settings { hosts: BTreeMap::from(hosts), ..Settings::default() }
}

/// `app:1` on a server.
pub(crate) fn app(server: &Server) -> Reference {
    named(&server.authority())
}

pub(crate) fn named(authority: &str) -> Reference {
    Reference::parse(&format!("{authority}/team/app:1")).expect("a reference")
}

pub(crate) fn blob_of(bytes: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::ImageLayerGzip, Digest::sha256(bytes), bytes.len() as u64)
}

pub(crate) const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The manifest as a registry sends it.
pub(crate) fn manifest_reply() -> Reply {
    reply(200, MANIFEST)
        .with("Content-Type", MANIFEST_TYPE)
        .with("Docker-Content-Digest", Digest::sha256(MANIFEST).to_string())
}

/// All of an error: what `{:?}` and its chain of causes show.
pub(crate) fn everything(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("\n{cause}"));
        source = cause.source();
    }
    text
}

/// How often something was asked for.
pub(crate) fn count(server: &Server, begins: &str) -> usize {
    server.lines().iter().filter(|line| line.starts_with(begins)).count()
}

pub(crate) fn is_bearer(request: &Request, token: &str) -> bool {
    request.header("authorization") == format!("Bearer {token}")
}

#[derive(Debug)]
pub(crate) struct Same(pub(crate) Option<Credential>);

impl Credentials for Same {
    fn find(&self, _name: &Reference) -> Result<Option<Credential>, Error> {
        Ok(self.0.clone())
    }
}

/// A clock that jumps.
#[derive(Debug)]
pub(crate) struct FakeClock {
    start: Instant,
    passed: Mutex<Duration>,
    pub(crate) slept: Mutex<Vec<Duration>>,
}

impl FakeClock {
    fn new() -> Self {
        Self { start: Instant::now(), passed: Mutex::default(), slept: Mutex::default() }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.passed.lock().unwrap() += Duration::from_secs(seconds);
    }

    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.start + *self.passed.lock().unwrap()
    }
    fn date(&self) -> SystemTime {
        // Sun, 06 Nov 1994 08:49:37 GMT
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) + *self.passed.lock().unwrap()
    }
    fn sleep(&self, delay: Duration, _is_over: &dyn Fn() -> bool) {
        self.slept.lock().unwrap().push(delay);
        *self.passed.lock().unwrap() += delay;
    }
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<String>>, Mutex<u64>);

impl Events {
    /// How far the last blob got that was sent.
    pub(crate) fn sent(&self) -> u64 {
        *self.1.lock().unwrap()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Events {
    fn event(&self, event: Event<'_>) {
        let text = match event {
            Event::Waiting { host, asked: true, delay, reason } => format!("{host} asks for {delay:?}: {reason}"),
            Event::Waiting { host, reason, .. } => format!("{host} again: {reason}"),
            Event::Warning(warning) => warning,
            // That is said of every host; tests of mirrors ask their servers instead.
            Event::Answered { .. } => return,
            Event::Sent { position, .. } => {
                *self.1.lock().unwrap() = position;
                return;
            }
            other => panic!("not the client's: {other:?}"),
        };
        self.0.lock().unwrap().push(text);
    }
}
