//! An HTTP/1.1 server that does as it is told: well, badly, slowly or never.
//!
//! Each connection has a thread of its own, which ends with the connection. Every request is remembered before it is
//! answered, so that whoever has seen an answer finds the request that it belongs to.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::concurrent::wait_until;

/// Bytes that are sent at once: small, so that a limit on the rate is felt evenly.
const PIECE: usize = 16 << 10;

/// The first byte of a TLS handshake. This server speaks plain HTTP, and hangs up.
const TLS_HANDSHAKE: u8 = 0x16;

/// What somebody asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, or whatever stands in their place.
    pub(crate) target: String,
    /// Names are in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// How many requests of the same method and target came before.
    pub(crate) number: usize,
    /// Bytes of the body that have been sent in answer.
    sent: Arc<AtomicU64>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names, in lower case, and values.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The target without a query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The first byte that a `Range` header asks for.
    pub(crate) fn offset(&self) -> Option<usize> {
        let (first, _) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        first.parse().ok()
    }

    /// Where the server is, as the client sees it.
    pub(crate) fn host(&self) -> &str {
        self.header("host").unwrap_or_default()
    }

    /// The tag or digest of a manifest that is asked for.
    pub(crate) fn manifest(&self) -> Option<&str> {
        self.path().split_once("/manifests/").map(|(_, reference)| reference)
    }

    /// The digest of a blob that is asked for.
    pub(crate) fn blob(&self) -> Option<&str> {
        self.path().split_once("/blobs/").map(|(_, digest)| digest)
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == "GET"
    }

    /// Bytes that have been sent in answer so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// What is said in return.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// These bytes, and their number before them.
    Whole(Vec<u8>),
    /// These bytes, but more were promised: then the connection ends.
    Cut(Vec<u8>, usize),
    /// Bytes without an end, in chunks.
    Endless,
    /// These bytes, one after each pause.
    Trickle(Vec<u8>, Duration),
    /// Not even a status line.
    Silence,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()) }
    }

    /// An error as registries word it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::new(status, body.to_string()).header("Content-Type", "application/json")
    }

    /// Somewhere else.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(307, "").header("Location", location)
    }

    /// `bytes`, of `promised` bytes: then the connection ends.
    pub(crate) fn cut(status: u16, bytes: impl Into<Vec<u8>>, promised: usize) -> Self {
        Self { status, headers: Vec::new(), body: Body::Cut(bytes.into(), promised) }
    }

    /// More than anybody can read.
    pub(crate) fn endless() -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Endless }
    }

    /// One byte after each pause.
    pub(crate) fn trickle(bytes: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Trickle(bytes.into(), pause) }
    }

    /// Nothing, until the other side gives up.
    pub(crate) fn silence() -> Self {
        Self { status: 0, headers: Vec::new(), body: Body::Silence }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it. False when the connection is of no more use.
    fn send(&self, stream: &mut TcpStream, request: &Request, pace: &Pace) -> io::Result<bool> {
        if let Body::Silence = self.body {
            // Until the client closes its side.
            let _ = io::copy(stream, &mut io::sink());
            return Ok(false);
        }
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| name == "Content-Length") {
            match &self.body {
                Body::Whole(bytes) | Body::Trickle(bytes, _) => {
                    head.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
                }
                Body::Cut(_, promised) => head.push_str(&format!("Content-Length: {promised}\r\n")),
                Body::Endless => head.push_str("Transfer-Encoding: chunked\r\n"),
                Body::Silence => {}
            }
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            return Ok(true);
        }
        let mut send = |bytes: &[u8]| -> io::Result<()> {
            for piece in bytes.chunks(PIECE) {
                pace.wait(piece.len());
                // Before it is sent: whoever has received it finds it counted.
                request.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                stream.write_all(piece)?;
            }
            Ok(())
        };
        match &self.body {
            Body::Whole(bytes) => send(bytes)?,
            Body::Cut(bytes, _) => {
                send(bytes)?;
                return Ok(false);
            }
            Body::Endless => {
                let chunk = vec![b' '; PIECE];
                loop {
                    send(format!("{PIECE:x}\r\n").as_bytes())?;
                    send(&chunk)?;
                    send(b"\r\n")?;
                }
            }
            Body::Trickle(bytes, pause) => {
                for byte in bytes {
                    send(&[*byte])?;
                    thread::sleep(*pause);
                }
            }
            Body::Silence => {}
        }
        Ok(true)
    }
}

/// How fast bodies are sent, all connections together.
#[derive(Debug, Default)]
struct Pace {
    /// Bytes in a second; 0 means without a limit.
    rate: AtomicU64,
    /// When the next byte may be sent.
    free: Mutex<Option<Instant>>,
}

impl Pace {
    fn wait(&self, bytes: usize) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let now = Instant::now();
        let start = {
            let mut free = self.free.lock().unwrap();
            let start = free.map_or(now, |free| free.max(now));
            *free = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
            start
        };
        thread::sleep(start - now);
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    pace: Pace,
    requests: Mutex<Records>,
    stopped: AtomicBool,
    /// Connections that have not ended.
    connections: AtomicUsize,
}

#[derive(Default)]
struct Records {
    all: Vec<Request>,
    /// How many there are of each method and target.
    numbers: HashMap<(String, String), usize>,
}

/// A server on a loopback address; it stops when it goes out of scope.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// A server that answers as `handler` says.
    pub(crate) fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            pace: Pace::default(),
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let server = Self { address, shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { break };
                // A client that hangs up, or is killed, is no error of this server's.
                shared.connections.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || {
                    drop(serve(stream, &shared));
                    shared.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        server
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// An image here, as a reference has it.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Limits how many bytes of bodies are sent in a second; 0 lifts the limit.
    pub(crate) fn limit_rate(&self, rate: u64) {
        self.shared.pace.rate.store(rate, Ordering::Relaxed);
        *self.shared.pace.free.lock().unwrap() = None;
    }

    /// What has been asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().all.clone()
    }

    /// Waits until it is done with all that clients have asked, which may be gone by now.
    pub(crate) fn settle(&self) {
        // Connections are accepted in their order: when this one has been hung up on, none is before it.
        let mut last = TcpStream::connect(self.address).unwrap();
        last.write_all(&[TLS_HANDSHAKE]).unwrap();
        assert_eq!(last.read(&mut [0]).unwrap(), 0);
        wait_until("the server is at rest", || self.shared.connections.load(Ordering::Relaxed) == 0);
    }

    /// Forgets what has been asked.
    pub(crate) fn forget(&self) {
        *self.shared.requests.lock().unwrap() = Records::default();
    }

    /// Bytes of blobs that have been sent.
    pub(crate) fn sent(&self) -> u64 {
        self.blobs().iter().map(Request::sent).sum()
    }

    /// Requests for the content of blobs, by digest.
    pub(crate) fn blobs(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.is_get() && request.blob().is_some()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    if reader.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        return Ok(());
    }
    while let Some(mut request) = read_request(&mut reader)? {
        {
            let mut records = shared.requests.lock().unwrap();
            let number = records.numbers.entry((request.method.clone(), request.target.clone())).or_default();
            request.number = *number;
            *number += 1;
            records.all.push(request.clone());
        }
        let answer = (shared.handler)(&request);
        if !answer.send(&mut writer, &request, &shared.pace)? {
            break;
        }
    }
    Ok(())
}

/// The next request on a connection; None where it ends.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: String::new(),
        number: 0,
        sent: Arc::default(),
    };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut request.body)?;
    Ok(Some(request))
}
