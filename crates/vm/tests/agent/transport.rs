//! Ways to the agent that are not simply a socket: the handshake of hybrid vsock, and serial ports.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use banger_agent::workload;
use banger_protocol::exec::{Exec, Exit};
use banger_vm::client::{Client, ClientError, Connector, Event};

use crate::exec::{command, eventually};
use crate::port::Port;
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
    let port = Port::of(&service, "0", 1);
    let client = client(Connector::Serial(vec![port.path.clone()]));
    for _ in 0..5 {
        answers(&client);
    }
}

#[test]
fn of_several_ports_a_free_one_is_taken() {
    let service = Service::start();
    let ports = ["0", "1", "2"].map(|name| Port::of(&service, name, 2));
    let client = client(Connector::Serial(ports.iter().map(|port| port.path.clone()).collect()));
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
    let path = Port::of(&service, "0", 3).path;
    // Bytes that are nothing, half a request, a greeting whose answer nobody reads.
    for left in ["\0\0garbage\r\n\r\n", "GET /hea", "GET /sync/12ab HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nX: "] {
        leave(&path, left.as_bytes());
    }
    answers(&client(Connector::Serial(vec![path])));
}

fn leave(path: &Path, bytes: &[u8]) {
    UnixStream::connect(path).unwrap().write_all(bytes).unwrap();
}

/// The guest learns that one host has gone when the next one is there already, and that it has come still later: commands were killed, and
/// their output and status were lost, because that looked like their host's end. `BANGER_STRESS_SESSIONS` says how many are tried.
#[test]
fn late_news_of_an_earlier_host_loses_nothing() {
    let sessions: u64 = std::env::var("BANGER_STRESS_SESSIONS").map_or(200, |count| count.parse().unwrap());
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            thread::spawn(move || {
                let service = Service::start();
                let port = Port::of(&service, "0", thread);
                let client = Client::new(Connector::Serial(vec![port.path.clone()]));
                for number in 0..sessions / 2 {
                    session(&client, number);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// One after another of what hosts do.
fn session(client: &Client, number: u64) {
    client.health().unwrap();
    let sh = |script: &str| command(&["sh", "-c", script]);
    match number % 4 {
        0 => {
            let got = client.exec(&command(&["echo", "up"])).unwrap().output(1 << 20).unwrap();
            assert_eq!(got, (b"up\n".to_vec(), Vec::new(), Exit::Code(0)), "{number}");
        }
        1 => {
            let got = client.exec(&sh("echo out; echo err >&2; exit 7")).unwrap().output(1 << 20).unwrap();
            assert_eq!(got, (b"out\n".to_vec(), b"err\n".to_vec(), Exit::Code(7)), "{number}");
        }
        2 => {
            let (out, _, exit) = client.exec(&sh("seq 1 40000")).unwrap().output(1 << 20).unwrap();
            let expected: String = (1..=40_000).map(|number| format!("{number}\n")).collect();
            assert!(out == expected.as_bytes() && exit == Exit::Code(0), "{number}: {} bytes, {exit:?}", out.len());
        }
        _ => {
            let session = client.exec(&Exec { stdin: true, ..command(&["cat"]) }).unwrap();
            let mut sender = session.sender();
            sender.stdin(b"GET /sync/").unwrap();
            sender.stdin(b"through").unwrap();
            sender.end_stdin().unwrap();
            let got = session.output(1 << 20).unwrap();
            assert_eq!(got, (b"GET /sync/through".to_vec(), Vec::new(), Exit::Code(0)), "{number}");
        }
    }
}

/// The host is slower than any time that the guest might wait, and the guest is switched off when it has said that it may: it loses nothing.
#[test]
fn a_machine_does_not_end_before_its_slow_host_has_everything() {
    let service = Service::with(|settings| {
        settings.hold = false;
        settings.wait = Some(Duration::from_secs(60));
        settings.argv = ["sh", "-c", "head -c 600000 /dev/zero | tr '\\0' x; exit 3"].map(str::to_owned).to_vec();
    });
    let port = Arc::new(Port::of(&service, "0", 4));
    let client = client(Connector::Serial(vec![port.path.clone()]));
    let (state, machine) = (Arc::clone(&service.state), Arc::clone(&port));
    let lives = thread::spawn(move || {
        workload::run(&state);
        workload::wait_for_readers(&state);
        machine.switch_off();
    });
    client.health().unwrap();
    let mut session = client.workload().unwrap();
    // More than what takes it on the way can hold.
    let expected = "x".repeat(600_000);
    let mut output = Vec::new();
    let mut slept = false;
    let exit = loop {
        match session.next_event().unwrap().unwrap() {
            Event::Stdout(bytes) => output.extend(bytes),
            Event::Stderr(bytes) => panic!("{}", String::from_utf8_lossy(&bytes)),
            Event::Exit(exit) => break exit,
        }
        // The rest is on its way.
        if output.len() > 10_000 && !std::mem::replace(&mut slept, true) {
            thread::sleep(Duration::from_secs(4));
        }
    };
    assert!(output == expected.as_bytes(), "{} bytes of {}", output.len(), expected.len());
    assert_eq!(exit, Exit::Code(3));
    lives.join().unwrap();
}

/// A host that is killed ends its command, and the next one has the port.
#[test]
fn a_host_that_goes_ends_its_command_and_frees_the_port() {
    let service = Service::start();
    let port = Port::of(&service, "0", 5);
    let client = client(Connector::Serial(vec![port.path.clone()]));
    let mark = service.path("marks").join("gone");
    let script = format!("trap 'echo > {}; exit' HUP; echo ready; while :; do sleep 0.05; done", mark.display());
    let mut session = client.exec(&command(&["sh", "-c", &script])).unwrap();
    assert_eq!(session.next_event().unwrap(), Some(Event::Stdout(b"ready\n".to_vec())));
    session.sender().close();
    drop(session);
    answers(&client);
    eventually("the command was hung up", || mark.exists());
}
