//! Conversations over virtio-serial ports: pipes between guest and host without beginning or end.
//!
//! Bytes of one host may come when the next one is already there. So a conversation begins where a host says `GET /sync/NUMBER`; what
//! comes before that belongs to nobody.
//!
//! - `port`: the port, as bytes and as a host that is there or not; `bridge`: a conversation over it

mod bridge;
mod port;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use banger_protocol::SERIAL_PORTS;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};

use self::port::{GREETING, Port};
use crate::service::{STACK, Service};

/// Where the kernel tells the names of ports: `vport0p1/name`.
const CLASS: &str = "/sys/class/virtio-ports";

/// The ports that are served.
#[derive(Debug, Default)]
pub(super) struct Ports {
    served: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Ports {
    /// Serves each port that is there and not served yet, in a thread of its own.
    pub(super) fn serve(&mut self, service: &Arc<Service>) {
        for device in devices() {
            if !self.served.lock().unwrap_or_else(PoisonError::into_inner).insert(device.clone()) {
                continue;
            }
            let (service, served) = (Arc::clone(service), Arc::clone(&self.served));
            let builder = thread::Builder::new().name("serial port".into()).stack_size(STACK);
            let path = device.clone();
            let started = builder.spawn(move || {
                let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                if let Ok(port) = rustix::fs::open(&path, flags, Mode::empty())
                    && let Ok(output) = port.try_clone()
                {
                    // It ends when the port is gone: then it may come again.
                    let _ = self::serve(&service, port, output);
                }
                served.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
            });
            if started.is_err() {
                self.served.lock().unwrap_or_else(PoisonError::into_inner).remove(&device);
            }
        }
    }
}

/// The devices of the ports that the agent answers on.
fn devices() -> Vec<PathBuf> {
    let ports = fs::read_dir(CLASS).into_iter().flatten().flatten();
    let known = ports.filter(|port| {
        let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
        SERIAL_PORTS.contains(&name.trim_end())
    });
    known.map(|port| PathBuf::from("/dev").join(port.file_name())).collect()
}

/// Has one conversation after the other over a port, until that fails.
pub(in crate::service) fn serve(service: &Arc<Service>, input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    let mut port = Port::new(input, output)?;
    loop {
        find_greeting(&mut port)?;
        bridge::converse(service, &mut port)?;
    }
}

/// Drops what comes until a conversation begins.
fn find_greeting(port: &mut Port) -> io::Result<()> {
    loop {
        if let Some(at) = port.buffer.windows(GREETING.len()).position(|window| window == GREETING) {
            port.buffer.drain(..at);
            return Ok(());
        }
        // What may be the first half of it stays.
        let stale = port.buffer.len().saturating_sub(GREETING.len());
        port.buffer.drain(..stale);
        if port.read()? == port::Read::Nothing {
            port.wait(PollFlags::IN, None, None)?;
        }
    }
}
