//! Work that nobody wants any more ends, whatever it waits for. Each server here waits for the client to give up: one that
//! does not would make its test hang.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use banger_oci::cache::{Cache, Ingest};
use banger_oci::{Digest, ErrorKind};
use banger_registry::{
    Client, Clock, Error, Event, Host, Platforms, Progress, Proxies, Pull, Registry, Surroundings, SystemClock,
};

use crate::fake::Fake;
use crate::server::{Content, Gate, Reply, Request, Server, content, reply};
use crate::support::{Same, app, blob_of, settings};

/// Somebody who wants no more when they hear of something.
#[derive(Debug, Default)]
struct Fickle {
    is_over: AtomicBool,
    /// How the event begins after which nothing is wanted any more.
    last: Mutex<String>,
}

impl Fickle {
    fn until(last: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { last: Mutex::new(last.into()), ..Self::default() })
    }

    fn cancel(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Progress for Fickle {
    fn event(&self, event: Event<'_>) {
        if format!("{event:?}").starts_with(&*self.last.lock().unwrap()) {
            self.cancel();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

/// A clock on which a wait has no end of its own.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Instant {
        SystemClock.now()
    }
    fn date(&self) -> SystemTime {
        SystemClock.date()
    }
    fn sleep(&self, _delay: Duration, is_over: &dyn Fn() -> bool) {
        while !is_over() {
            std::thread::yield_now();
        }
    }
}

/// A client of a server that may be silent for hours.
fn client(server: &Server, progress: &Arc<Fickle>) -> Arc<Client> {
    let host = Host { timeout: Duration::from_secs(36_000), ..Host::default() };
    let surroundings = Surroundings { clock: Arc::new(Stopped), proxies: Proxies::none() };
    let settings = settings([(server.authority(), host)]);
    let nobody = Arc::new(Same(None));
    Arc::new(Client::with(settings, nobody, progress.clone(), surroundings))
}

/// Somebody who wants no more as soon as the server has been asked.
fn cancel_when_asked(server: Arc<Server>, progress: &Arc<Fickle>) -> std::thread::JoinHandle<()> {
    let progress = Arc::clone(progress);
    std::thread::spawn(move || {
        while server.connections() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        progress.cancel();
    })
}

#[test]
fn nobody_is_asked_for_what_is_not_wanted() {
    let server = Server::start(|_| reply(200, ""));
    let progress = Fickle::until("");
    progress.cancel();
    let error = client(&server, &progress).head(&app(&server)).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_wait_for_the_next_try_ends() {
    let server = Server::start(|_| reply(503, "").with("Retry-After", "60"));
    let progress = Fickle::until("Waiting");
    let error = client(&server, &progress).head(&app(&server)).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn the_clock_of_the_system_does_not_sleep_on() {
    let asked = AtomicBool::new(false);
    SystemClock.sleep(Duration::from_secs(36_000), &|| asked.swap(true, Ordering::SeqCst));
}

#[test]
fn a_wait_for_an_answer_ends() {
    let gate = Gate::default();
    let server = Arc::new(Server::start({
        let gate = gate.clone();
        move |_| {
            gate.wait();
            reply(200, "")
        }
    }));
    let progress = Fickle::until("none of them");
    let cancels = cancel_when_asked(server.clone(), &progress);
    let error = client(&server, &progress).head(&app(&server)).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    cancels.join().unwrap();
    gate.open();
}

#[test]
fn a_wait_for_the_rest_of_a_body_ends() {
    let gate = Gate::default();
    let server = Server::start({
        let gate = gate.clone();
        move |_| content(Content::Held(10, b"0123".to_vec(), gate.clone()))
    });
    let progress = Fickle::until("none of them");
    let client = client(&server, &progress);
    let mut body = client.get(&format!("http://{}/f", server.authority()), 0).expect("it begins").body;
    body.read_exact(&mut [0; 4]).expect("they are there");
    let cancels = std::thread::spawn(move || {
        // Long enough for the read below to have begun; if it has not, it does not begin.
        std::thread::sleep(Duration::from_millis(200));
        progress.cancel();
    });
    let error = body.read(&mut [0; 4]).expect_err("no more");
    let error = body.broken(error);
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    cancels.join().unwrap();
    // Nothing more begins.
    let error = client.blob(&app(&server), &blob_of(b"0123456789"), 0).expect_err("not begun");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    gate.open();
}

const LAYER: &[u8] = b"a layer that does not come to its end";

/// An image with one layer, which is held.
fn image(gate: Gate, request: &Request) -> Reply {
    let config = br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let layers = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}"#,
        Digest::sha256(LAYER),
        LAYER.len()
    );
    let config_type = "application/vnd.oci.image.config.v1+json";
    let config_digest = Digest::sha256(config);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{config_type}","digest":"{config_digest}","size":{}}},"layers":[{layers}]}}"#,
        config.len()
    );
    if request.path.contains("/manifests/") {
        return reply(200, manifest).with("Content-Type", crate::support::MANIFEST_TYPE);
    }
    if request.path.ends_with(&config_digest.to_string()) {
        return reply(200, config.as_slice());
    }
    content(Content::Held(LAYER.len() as u64, LAYER[..10].to_vec(), gate))
}

fn fetch(server: &Server, progress: &Arc<Fickle>, cache: &Path) -> banger_oci::Error {
    let registry = Registry::new(client(server, progress), Cache::open(cache).unwrap(), Pull::Always, progress.clone());
    registry.fetch(&app(server), &Platforms::All, "name").expect_err("cancelled")
}

#[test]
fn a_download_ends_and_what_has_come_stays() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = Server::start(move |request| image(held.clone(), request));
    let directory = tempfile::tempdir().unwrap();
    let digest = Digest::sha256(LAYER);
    let layer = format!("{:?}", Event::Received { digest: &digest, bytes: 10 });
    let error = fetch(&server, &Fickle::until(layer), directory.path());
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    gate.open();
    let cache = Cache::open(directory.path()).unwrap();
    match cache.ingest(&blob_of(LAYER), &mut || {}).unwrap() {
        Ingest::Begin(partial) => assert_eq!(partial.length(), 10),
        Ingest::Present(_) => panic!("it has not come"),
    };
}

#[test]
fn a_wait_for_somebody_elses_download_ends() {
    let server = Server::start(|request| image(Gate::default(), request));
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let Ingest::Begin(_theirs) = cache.ingest(&blob_of(LAYER), &mut || {}).unwrap() else { panic!("it is new") };
    let error = fetch(&server, &Fickle::until("Shared"), directory.path());
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
}

#[test]
fn an_upload_ends() {
    let fake = Fake::new();
    let progress = Fickle::until("Sent");
    let bytes = vec![7; 8 << 20];
    let open = |_| Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>);
    let client = client(&fake.server, &progress);
    let error = client.push_blob(&app(&fake.server), &blob_of(&bytes), None, &open).expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert_eq!(fake.blob(&Digest::sha256(&bytes)), None);
}
