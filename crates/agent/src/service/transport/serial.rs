//! Conversations over virtio-serial ports: pipes between guest and host without beginning or end.
//!
//! A port tells that its host is gone, but who looks too late sees the next one already, and what one host sent the next one's agent may
//! read. So a conversation begins where the host says `GET /sync/NUMBER`; what comes before that belongs to nobody.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use banger_protocol::SERIAL_PORTS;
use banger_protocol::limits::HEAD_BYTES;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{Mode, OFlags};

use crate::service::connection::{Connection, retry};
use crate::service::{Place, STACK, Service, http, routes};

/// Where the kernel tells the names of ports: `vport0p1/name`.
const CLASS: &str = "/sys/class/virtio-ports";

/// How a conversation begins.
const SYNC: &[u8] = b"GET /sync/";

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
                if let Ok(port) = rustix::fs::open(&path, flags, Mode::empty()) {
                    // It ends when the port is gone: then it may come again.
                    let _ = self::serve(&service, port);
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
pub(in crate::service) fn serve(service: &Arc<Service>, port: OwnedFd) -> io::Result<()> {
    let mut connection = Connection::port(port)?;
    loop {
        wait_for_host(&mut connection)?;
        while find_beginning(&mut connection)? {
            match Place::take(service) {
                Some(_place) => routes::converse(&service.state, &mut connection),
                None => http::answer::busy(&mut connection),
            }
        }
    }
}

/// Waits until there is a host at the other end. Without one a port is always ready, to say so: only an edge tells of a change.
fn wait_for_host(connection: &mut Connection) -> io::Result<()> {
    let edges = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ET;
    epoll::add(&edges, &*connection, epoll::EventData::new_u64(0), flags)?;
    loop {
        let mut fds = [PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::IN)];
        retry(|| poll(&mut fds, Some(&Timespec::default())))?;
        let [fd] = &fds;
        if !fd.revents().contains(PollFlags::HUP) {
            return Ok(());
        }
        let mut events = [epoll::Event { flags, data: epoll::EventData::new_u64(0) }];
        retry(|| epoll::wait(&edges, &mut events, None))?;
        // A port that was taken out looks like one without a host, until it is read.
        match connection.fill_now() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Drops what comes until a conversation begins. False when the host is gone before.
fn find_beginning(connection: &mut Connection) -> io::Result<bool> {
    loop {
        let buffered = connection.buffered();
        if let Some(at) = buffered.windows(SYNC.len()).position(|window| window == SYNC) {
            connection.consume(at);
            return Ok(true);
        }
        // What may be the first half of it stays.
        let stale = buffered.len().saturating_sub(SYNC.len());
        connection.consume(stale);
        if !connection.fill(None)? {
            connection.consume(HEAD_BYTES);
            return Ok(false);
        }
    }
}
