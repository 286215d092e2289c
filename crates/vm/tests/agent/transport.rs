//! Ways to the agent that are not simply a socket: the handshake of hybrid vsock, and serial ports.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use banger_agent::service::serve_serial;
use banger_protocol::exec::{Exec, Exit};
use banger_vm::client::{Client, ClientError, Connector};

use crate::exec::command;
use crate::service::Service;

/// A socket as Firecracker and vhost-device-vsock have it, in front of a service.
fn hybrid(service: &Service) -> PathBuf {
    let path = service.directory.path().join("hybrid");
    let listener = UnixListener::bind(&path).unwrap();
    let agent = service.socket();
    thread::spawn(move || {
        for host in listener.incoming() {
            let mut host = host.unwrap();
            let mut line = String::new();
            let mut bytes = BufReader::with_capacity(1, host.try_clone().unwrap());
            bytes.read_line(&mut line).unwrap();
            if line != "CONNECT 10240\n" {
                continue;
            }
            host.write_all(b"OK 1073741824\n").unwrap();
            join(host, UnixStream::connect(&agent).unwrap());
        }
    });
    path
}

/// Copies both ways, each to its end, in threads of its own.
fn join(one: UnixStream, other: UnixStream) {
    for (from, to) in [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)] {
        thread::spawn(move || {
            let (mut from, mut to) = (from, to);
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// A serial port whose host's side is a unix socket, as QEMU has it: one host at a time, and the guest is not told of its
/// coming and going. What the last host has left in it stays.
fn serial(service: &Service, name: &str) -> PathBuf {
    let path = service.directory.path().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let (guest, port) = UnixStream::pair().unwrap();
    let state = Arc::clone(&service.state);
    thread::spawn(move || serve_serial(&state, OwnedFd::from(guest)));
    let mut out = port.try_clone().unwrap();
    let (hosts, to_host) = std::sync::mpsc::channel::<UnixStream>();
    thread::spawn(move || {
        let mut port = port;
        let mut buffer = [0; 4096];
        let mut host: Option<UnixStream> = None;
        while let Ok(count @ 1..) = port.read(&mut buffer) {
            while let Ok(next) = to_host.try_recv() {
                host = Some(next);
            }
            if let Some(host) = &mut host {
                let _ = host.write_all(&buffer[..count]);
            }
        }
    });
    thread::spawn(move || {
        for host in listener.incoming() {
            let mut host = host.unwrap();
            hosts.send(host.try_clone().unwrap()).unwrap();
            let _ = std::io::copy(&mut host, &mut out);
        }
    });
    path
}

fn client(connector: Connector) -> Client {
    Client::new(connector).with_patience(Duration::from_secs(10))
}

fn answers(client: &Client) {
    client.health().unwrap();
    let session = client.exec(&Exec { stdin: true, ..command(&["cat"]) }).unwrap();
    let mut sender = session.sender();
    sender.stdin(b"through").unwrap();
    sender.end_stdin().unwrap();
    assert_eq!(session.output(1 << 20).unwrap(), (b"through".to_vec(), Vec::new(), Exit::Code(0)));
}

#[test]
fn hybrid_vsock_shakes_hands_first() {
    let service = Service::start();
    answers(&client(Connector::Hybrid(hybrid(&service))));
}

#[test]
fn hybrid_vsock_says_where_nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hybrid");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    let error = client(Connector::Hybrid(path)).health().unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
}

#[test]
fn a_serial_port_serves_one_after_the_other() {
    let service = Service::start();
    let client = client(Connector::Serial(vec![serial(&service, "0")]));
    for _ in 0..5 {
        answers(&client);
    }
}

#[test]
fn of_several_ports_a_free_one_is_taken() {
    let service = Service::start();
    let ports = ["0", "1", "2"].map(|name| serial(&service, name));
    let client = client(Connector::Serial(ports.to_vec()));
    let sleeping = command(&["sleep", "1000"]);
    let held = [client.exec(&sleeping).unwrap(), client.exec(&sleeping).unwrap()];
    answers(&client);
    let third = client.exec(&sleeping).unwrap();
    let error = client.clone().with_patience(Duration::from_millis(300)).health().unwrap_err();
    assert!(matches!(error, ClientError::Busy(3)), "{error:?}");
    for session in held.into_iter().chain([third]) {
        session.sender().signal(9).unwrap();
        assert_eq!(session.output(1).unwrap().2, Exit::Signal(9));
    }
    answers(&client);
}

#[test]
fn what_others_left_in_a_port_is_skipped() {
    let service = Service::start();
    let path = serial(&service, "0");
    // Bytes that are nothing, half a request, a greeting whose answer nobody reads.
    for left in ["\0\0garbage\r\n\r\n", "GET /hea", "GET /sync/12ab HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nX: "] {
        leave(&path, left.as_bytes());
    }
    answers(&client(Connector::Serial(vec![path])));
}

fn leave(path: &Path, bytes: &[u8]) {
    UnixStream::connect(path).unwrap().write_all(bytes).unwrap();
}
