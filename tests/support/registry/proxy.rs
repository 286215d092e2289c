//! A forward proxy: `CONNECT`, and plain requests with a whole URL.
//!
//! It resolves names by a table of its own. That makes it of use beyond the tests of proxies: behind it a server on a
//! loopback address has any name, and a client cannot know that the server is next door. And whoever is told to use it
//! cannot reach anything else: what it has no entry for is refused, and remembered.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::read_request;

/// A proxy on a loopback address; it stops when it goes out of scope.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Name and port, and where they lead.
    names: Vec<(String, String)>,
    asked: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Proxy {
    /// A proxy that knows these names (`host:port`), and where each leads.
    pub(crate) fn start(names: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let names = names.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect();
        let shared = Arc::new(Shared { names, asked: Mutex::default(), stopped: AtomicBool::new(false) });
        let proxy = Self { address, shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { break };
                thread::spawn(move || drop(forward(stream, &shared)));
            }
        });
        proxy
    }

    /// As `HTTP_PROXY` has it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Each `host:port` that has been asked for, once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.shared.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    let is_tunnel = request.method == "CONNECT";
    let (authority, path) = if is_tunnel {
        (request.target.as_str(), "")
    } else {
        let rest = request.target.strip_prefix("http://").unwrap_or_default();
        rest.split_at(rest.find('/').unwrap_or(rest.len()))
    };
    let authority = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    shared.asked.lock().unwrap().push(authority.clone());
    let Some((_, to)) = shared.names.iter().find(|(name, _)| *name == authority) else {
        return client.write_all(b"HTTP/1.1 502 Unknown\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let mut server = TcpStream::connect(to)?;
    server.set_nodelay(true)?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    } else {
        // One request for each connection: what follows on this one may be for another server.
        let mut head = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", request.method);
        for (name, value) in request.headers().filter(|(name, _)| !matches!(*name, "connection" | "proxy-connection")) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        server.write_all(format!("{head}\r\n{}", request.body).as_bytes())?;
    }
    let (mut from_client, mut to_server) = (reader, server.try_clone()?);
    let upload = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = upload.join();
    Ok(())
}
