//! A virtio-serial port as QEMU and a guest's kernel have it, with the agent's real service behind it.
//!
//! The host's side is a unix socket that takes one host at a time. The guest's side hangs up while there is no host, but learns that one has
//! gone, and that another has come, later than it gets the next one's bytes: these are two queues, and on a busy machine any time may pass
//! between them. What a host has not read is lost when it goes, and what no host is there to read is dropped. Where the
//! machine is switched off, all that is on its way is lost.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use banger_agent::service::serve_serial;
use rustix::fs::{Mode, OFlags};

use crate::service::Service;

/// A port of a service.
pub(crate) struct Port {
    /// The host's socket.
    pub(crate) path: PathBuf,
    host: Arc<Mutex<Option<UnixStream>>>,
}

impl Port {
    /// A port of its own; `seed` is what decides how late it is.
    pub(crate) fn of(service: &Service, name: &str, seed: u64) -> Self {
        let path = service.directory.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let fifo = service.directory.path().join(format!("{name}.fifo"));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let input = rustix::fs::open(&fifo, flags, Mode::empty()).unwrap();
        let (from_guest, output) = std::io::pipe().unwrap();
        let state = Arc::clone(&service.state);
        thread::spawn(move || serve_serial(&state, input, OwnedFd::from(output)));

        let host = Arc::new(Mutex::new(None));
        let to_host = Arc::clone(&host);
        thread::spawn(move || deliver(from_guest, &to_host));
        let current = Arc::clone(&host);
        thread::spawn(move || serve_hosts(&listener, &fifo, &current, seed));
        Self { path, host }
    }

    /// Ends the machine: at once, and with all that the host has not got.
    pub(crate) fn switch_off(&self) {
        if let Some(host) = self.host.lock().unwrap().take() {
            let _ = host.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Carries what the guest says to the host of the moment.
fn deliver(mut from: impl Read, host: &Mutex<Option<UnixStream>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let now = host.lock().unwrap().as_ref().map(|host| host.try_clone().unwrap());
        if let Some(mut host) = now {
            let _ = host.write_all(&buffer[..count]);
        }
    }
}

/// Has one host after the other.
fn serve_hosts(listener: &UnixListener, fifo: &std::path::Path, current: &Mutex<Option<UnixStream>>, mut seed: u64) {
    let open = || OpenOptions::new().write(true).open(fifo).unwrap();
    // What the guest knows: there is a host as long as this is open.
    let known: Arc<Mutex<Option<File>>> = Arc::default();
    for host in listener.incoming() {
        let mut host = host.unwrap();
        *current.lock().unwrap() = Some(host.try_clone().unwrap());
        let news = {
            let known = Arc::clone(&known);
            let (late, gap) = (random(&mut seed), random(&mut seed));
            let fifo = fifo.to_owned();
            let has_gap = known.lock().unwrap().is_some();
            known.lock().unwrap().get_or_insert_with(open);
            // The news that the last one has gone and this one has come.
            has_gap.then(|| {
                thread::spawn(move || {
                    thread::sleep(late);
                    drop(known.lock().unwrap().take());
                    thread::sleep(gap);
                    *known.lock().unwrap() = Some(OpenOptions::new().write(true).open(fifo).unwrap());
                })
            })
        };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = host.read(&mut buffer) {
            loop {
                if let Some(file) = &mut *known.lock().unwrap() {
                    file.write_all(&buffer[..count]).unwrap();
                    break;
                }
                thread::yield_now();
            }
        }
        *current.lock().unwrap() = None;
        if let Some(news) = news {
            news.join().unwrap();
        }
    }
}

/// A time between none and some milliseconds; now and then longer than that, but never so long that it cannot be told from the end.
fn random(seed: &mut u64) -> Duration {
    // Knuth's multiplier; the upper bits are good enough for a test.
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let number = *seed >> 33;
    let microseconds = match number % 16 {
        0..4 => 0,
        4..15 => number / 16 % 3_000,
        _ => 3_000 + number / 16 % 60_000,
    };
    Duration::from_micros(microseconds)
}
