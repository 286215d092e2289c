//! A service in this process, for one test; and what it says of itself.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use banger_agent::settings::Settings;
use banger_agent::state::State;
use banger_protocol::failure::{Failure, FailureKind};
use banger_protocol::health::Status;
use banger_protocol::ports::Protocol;
use banger_protocol::shutdown::Action;
use banger_vm::client::{Client, ClientError, Connector};

/// A service that answers on a unix socket as long as the test runs.
pub(crate) struct Service {
    pub(crate) state: Arc<State>,
    pub(crate) directory: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// With other settings than this host gives a guest, which are none.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::read();
        settings.problems.clear();
        settings.hold = true;
        change(&mut settings);
        let state = State::new(settings);
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("agent")).unwrap();
        let shared = Arc::clone(&state);
        thread::spawn(move || banger_agent::service::serve_unix(&shared, &listener));
        Self { state, directory }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Connector::Unix(self.socket())).with_patience(Duration::from_secs(60))
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes as they are: everything that is answered until the connection ends.
    pub(crate) fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // Who is refused may find the connection closed before everything is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A directory of the test's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

/// What was refused.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Failure {
    match result {
        Err(ClientError::Refused(failure)) => failure,
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn health_is_what_the_state_is() {
    let service = Service::start();
    let health = service.client().health().unwrap();
    assert_eq!(health.status, Status::Starting);
    assert_eq!(health.boot, service.state.settings().boot);
    assert!(health.uptime > 0.0);
    service.state.problem("no luck");
    assert_eq!(service.client().health().unwrap().problems, ["no luck"]);
}

#[test]
fn waiting_ends_with_the_deadline_or_with_the_machine() {
    let service = Service::start();
    let client = service.client();
    let started = Instant::now();
    let error = client.wait_healthy(started + Duration::from_millis(200), || true).unwrap_err();
    assert!(matches!(error, ClientError::NotHealthy { last: None }), "{error:?}");
    assert!(started.elapsed() >= Duration::from_millis(200));
    let mut asked = 0;
    let alive = || {
        asked += 1;
        asked < 3
    };
    let error = client.wait_healthy(Instant::now() + Duration::from_secs(60), alive).unwrap_err();
    assert!(matches!(error, ClientError::Gone), "{error:?}");
    assert_eq!(asked, 3);
    let nobody = Client::new(Connector::Unix(Path::new("/no/such/socket").into()));
    let error = nobody.wait_healthy(Instant::now(), || true).unwrap_err();
    assert!(matches!(error, ClientError::NotHealthy { last: Some(_) }), "{error:?}");
}

#[test]
fn a_guest_that_is_about_to_end_has_been_waited_for() {
    let service = Service::start();
    service.client().shutdown(Action::Reboot).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let health = service.client().wait_healthy(deadline, || true).unwrap();
    assert_eq!(health.status, Status::Stopping);
}

#[test]
fn ports_are_those_that_listen_and_those_that_should() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = Service::with(|settings| settings.ports = vec![port, 1]);
    let ports = service.client().ports().unwrap();
    assert!(ports.listening.iter().any(|socket| socket.port == port && socket.protocol == Protocol::Tcp));
    assert_eq!(ports.missing, [1]);
}

#[test]
fn one_connection_serves_many_requests() {
    let service = Service::start();
    let requests = "GET /healthz HTTP/1.1\r\n\r\n".repeat(3) + "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = service.say(requests.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 4);
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[test]
fn what_is_not_there_is_refused_with_its_kind() {
    let service = Service::start();
    for (request, status, kind) in [
        ("GET /nothing HTTP/1.1", 404, FailureKind::NotFound),
        ("PUT /healthz HTTP/1.1", 400, FailureKind::Request),
        ("GET /exec HTTP/1.1", 400, FailureKind::Request),
        ("POST /exec HTTP/1.1", 400, FailureKind::Request),
        ("GET /workload HTTP/1.1", 400, FailureKind::Request),
        ("GET /files HTTP/1.1", 400, FailureKind::Request),
        ("GET /files?path=etc HTTP/1.1", 400, FailureKind::Request),
        ("POST /shutdown HTTP/1.1\r\nContent-Length: 3\r\n\r\n{]}", 400, FailureKind::Request),
        ("POST /shutdown HTTP/1.1\r\nContent-Length: 17\r\n\r\n{\"action\":\"burn\"}", 400, FailureKind::Request),
        ("GET /healthz HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400, FailureKind::Request),
    ] {
        let answer = service.say(format!("{request}\r\n\r\n").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(serde_json::from_str::<Failure>(body).unwrap().kind, kind, "{request}");
    }
    assert_eq!(service.client().health().unwrap().status, Status::Starting, "nothing has been shut down");
}
