//! A server that does what a test tells it: HTTP/1.1 on loopback, with and without TLS, and a proxy. It hangs up, trickles,
//! lies about lengths; nothing of it comes from the crate under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a client has asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The same, where it need not be text.
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    /// The value of a header, `""` where it is not there; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// What it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
}

/// How a body comes.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// As it should.
    Bytes(Vec<u8>),
    /// In chunks.
    Chunked(Vec<u8>),
    /// Without a length: the connection ends.
    Unsized(Vec<u8>),
    /// Fewer bytes than announced, then the connection ends.
    Cut(u64, Vec<u8>),
    /// Bytes for ever.
    Endless,
    /// A byte at a time.
    Trickle(u64, Duration),
    /// Some bytes of an announced length, then silence.
    Stalled(u64, Vec<u8>),
    /// Some bytes of an announced length, and no more until the gate opens.
    Held(u64, Vec<u8>, Gate),
    /// To a client that waits with its body: so much of it is taken, then the connection ends.
    Swallow(usize),
    /// No answer at all, for a while.
    Silence,
    /// No answer at all; the connection ends.
    HangUp,
    /// Not HTTP.
    Raw(Vec<u8>),
}

pub(crate) fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: Vec::new(), content: Content::Bytes(body.into()) }
}

pub(crate) fn content(content: Content) -> Reply {
    Reply { status: 200, headers: Vec::new(), content }
}

impl Reply {
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// Something to wait at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut is_open = self.0.0.lock().unwrap();
        while !*is_open {
            is_open = self.0.1.wait(is_open).unwrap();
        }
    }
}

/// What a server speaks.
enum Speech {
    Plain,
    Taciturn,
    Tls(Arc<rustls::ServerConfig>),
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Speech::Plain, Arc::new(handler))
    }

    /// One that hangs up on whoever says hello in TLS, where others say that they do not understand.
    pub(crate) fn taciturn(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Speech::Taciturn, Arc::new(handler))
    }

    /// With the certificate of `registry.test`, `localhost` and `127.0.0.1`.
    pub(crate) fn tls(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Speech::Tls(tls_config()), Arc::new(handler))
    }

    fn listen(speech: Speech, handler: Arc<Handler>) -> Self {
        let (log, connections) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicUsize>::default());
        let (address, stop) = accept({
            let (log, connections) = (Arc::clone(&log), Arc::clone(&connections));
            move |stream| {
                match &speech {
                    Speech::Plain | Speech::Taciturn => {
                        let mut first = [0];
                        if stream.peek(&mut first).is_ok_and(|count| count == 1) && first != [0x16] {
                            connections.fetch_add(1, Ordering::SeqCst);
                            let _ = serve(&stream, &stream, &log, &*handler);
                        } else if matches!(speech, Speech::Plain) {
                            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
                        }
                    }
                    Speech::Tls(config) => {
                        connections.fetch_add(1, Ordering::SeqCst);
                        let connection = rustls::ServerConnection::new(Arc::clone(config)).expect("a connection");
                        let both = SharedStream(Arc::new(Mutex::new(rustls::StreamOwned::new(
                            connection,
                            stream.try_clone().expect("a second handle"),
                        ))));
                        let _ = serve(both.clone(), both, &log, &*handler);
                    }
                }
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { address, log, connections, stop }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// `METHOD path` of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// A proxy that opens tunnels to where it is told to.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn start(target: impl Fn(&str) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        let (address, stop) = accept(move |stream| {
            let mut reader = BufReader::new(&stream);
            let Ok(Some(head)) = read_head(&mut reader) else { return };
            log.lock().unwrap().push(head.join("\n"));
            let to = head[0].split(' ').nth(1).and_then(&target).and_then(|to| TcpStream::connect(to).ok());
            let Some(to) = to else {
                let _ = (&stream).write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
                return;
            };
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let _ = io::copy(&mut &to, &mut &stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
                let _ = io::copy(&mut reader, &mut &to);
                let _ = to.shutdown(Shutdown::Both);
            });
        });
        Self { address, asked, stop }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// The authority that has signed the certificate of servers with TLS.
pub(crate) fn authority_file() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/tls/authority.pem").into()
}

fn tls_config() -> Arc<rustls::ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("a configuration"))
}

/// Has each connection served by a thread of its own.
fn accept(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = Arc::<AtomicBool>::default();
    let stopped = Arc::clone(&stop);
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    (address, stop)
}

/// TLS for a reader and a writer that take turns.
struct SharedStream<T>(Arc<Mutex<T>>);

impl<T> Clone for SharedStream<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Read> Read for SharedStream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().read(buffer)
    }
}

impl<T: Write> Write for SharedStream<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some(lines));
        }
        lines.push(line.to_owned());
    }
}

fn serve(input: impl Read, mut output: impl Write, log: &Mutex<Vec<Request>>, handler: &Handler) -> io::Result<()> {
    let mut reader = BufReader::new(input);
    while let Some(head) = read_head(&mut reader)? {
        let mut words = head[0].split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: Vec<(String, String)> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Request { method, path, headers, body: String::new(), bytes: Vec::new() };
        let mut length = request.header("content-length").parse().unwrap_or(0);
        let mut is_cut = false;
        // A client that waits with its body is answered twice; 100 means that it may send it.
        if request.header("expect") == "100-continue" {
            let verdict = handler(&request);
            if verdict.status != 100 {
                log.lock().unwrap().push(request);
                write_reply(&mut output, verdict, false)?;
                return Ok(());
            }
            if let Content::Swallow(part) = verdict.content {
                (length, is_cut) = (part, true);
            }
            output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            output.flush()?;
            request.headers.retain(|(name, _)| name != "expect");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
        request.bytes = body;
        if is_cut {
            request.headers.push(("x-cut".to_owned(), String::new()));
        }
        let answer = handler(&request);
        let is_head = request.method == "HEAD";
        log.lock().unwrap().push(request);
        if is_cut || !write_reply(&mut output, answer, is_head)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the connection goes on.
fn write_reply(output: &mut impl Write, reply: Reply, is_head: bool) -> io::Result<bool> {
    let length = match &reply.content {
        Content::Bytes(bytes) => Some(bytes.len() as u64),
        Content::Cut(announced, _)
        | Content::Stalled(announced, _)
        | Content::Held(announced, _, _)
        | Content::Trickle(announced, _) => Some(*announced),
        Content::Chunked(_) | Content::Unsized(_) | Content::Endless => None,
        Content::HangUp | Content::Swallow(_) => return Ok(false),
        Content::Raw(bytes) => {
            output.write_all(bytes)?;
            output.flush()?;
            return Ok(false);
        }
        Content::Silence => {
            std::thread::sleep(Duration::from_secs(5));
            return Ok(false);
        }
    };
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // A test may want to say something about the length itself.
    let says_length = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if let Some(length) = length.filter(|_| !says_length) {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    if matches!(reply.content, Content::Chunked(_)) {
        head.push_str("Transfer-Encoding: chunked\r\n");
    }
    head.push_str("\r\n");
    output.write_all(head.as_bytes())?;
    if is_head {
        output.flush()?;
        return Ok(true);
    }
    match reply.content {
        Content::Bytes(bytes) => {
            output.write_all(&bytes)?;
            output.flush()?;
            return Ok(true);
        }
        Content::Chunked(bytes) => {
            for piece in bytes.chunks(1000) {
                write!(output, "{:x}\r\n", piece.len())?;
                output.write_all(piece)?;
                output.write_all(b"\r\n")?;
            }
            output.write_all(b"0\r\n\r\n")?;
            output.flush()?;
            return Ok(true);
        }
        Content::Unsized(bytes) | Content::Cut(_, bytes) => output.write_all(&bytes)?,
        Content::Stalled(_, bytes) => {
            output.write_all(&bytes)?;
            output.flush()?;
            std::thread::sleep(Duration::from_secs(5));
        }
        Content::Held(_, bytes, gate) => {
            output.write_all(&bytes)?;
            output.flush()?;
            gate.wait();
        }
        Content::Endless => loop {
            output.write_all(&[b' '; 64 << 10])?;
        },
        Content::Trickle(length, pause) => {
            for _ in 0..length {
                output.write_all(b"x")?;
                output.flush()?;
                std::thread::sleep(pause);
            }
        }
        Content::Silence | Content::HangUp | Content::Swallow(_) | Content::Raw(_) => {}
    }
    output.flush()?;
    Ok(false)
}
