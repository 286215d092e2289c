//! What the host asks for: HTTP/1.1 over vsock or virtio-serial (docs/guest.md).
//!
//! Whoever gets as far as a conversation is the host, which may do everything: it has the guest's disk and memory anyway. What is
//! foreign all the same are the bytes: an image's files, a user's archive, half a request. So all has a limit
//! (`banger_protocol::limits`), and nothing that is asked ends the agent.
//!
//! - `transport`: where conversations come from; `connection`: one of them, as bytes
//! - `http`: requests and answers; `routes`: who answers what
//! - `exec`, `workload`: streams of frames; `files`: tar archives; `ports`: what listens

mod connection;
mod exec;
mod files;
mod http;
mod ports;
mod routes;
mod transport;
mod workload;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, thread};

use banger_protocol::limits::CONNECTIONS;

use self::connection::Connection;
pub use self::http::head::{Head, HeadError, Length, Method, request_head};
use crate::state::State;

/// Bytes of a conversation's stack. Few are used; the default of two MiB each would be a small guest's memory.
const STACK: usize = 512 << 10;

/// Answers on vsock and on virtio-serial, as soon as there is either, until the process ends. Returns at once.
///
/// # Errors
/// No thread could be started.
pub fn start(state: &Arc<State>) -> io::Result<()> {
    transport::start(&Arc::new(Service::new(state)))
}

/// Answers on a unix socket: anybody who may connect is taken for the host. For tests of this interface. Returns when the
/// listener fails.
///
/// # Errors
/// Connections cannot be accepted any more.
pub fn serve_unix(state: &Arc<State>, listener: &UnixListener) -> io::Result<()> {
    let service = Arc::new(Service::new(state));
    loop {
        service.accept(listener.accept()?.0.into());
    }
}

/// Answers on the guest's side of a virtio-serial port, or on what behaves like one, until it is gone: `input` is what the host sends, and
/// hangs up when there is no host; `output` is what it gets. For tests of this interface.
///
/// # Errors
/// It is gone.
pub fn serve_serial(state: &Arc<State>, input: OwnedFd, output: OwnedFd) -> io::Result<()> {
    transport::serial::serve(&Arc::new(Service::new(state)), input, output)
}

/// What all conversations share.
#[derive(Debug)]
struct Service {
    state: Arc<State>,
    conversations: AtomicUsize,
}

impl Service {
    fn new(state: &Arc<State>) -> Self {
        Self { state: Arc::clone(state), conversations: AtomicUsize::new(0) }
    }

    /// Has a conversation over a socket, in a thread of its own.
    fn accept(self: &Arc<Self>, socket: OwnedFd) {
        let Ok(mut connection) = Connection::new(socket) else { return };
        let place = Place::take(self);
        let service = Arc::clone(self);
        let talk = move || match place {
            Some(_place) => routes::converse(&service.state, &mut connection),
            None => http::answer::busy(&mut connection),
        };
        // Without a thread there is no answer: the connection breaks.
        let _ = thread::Builder::new().name("conversation".into()).stack_size(STACK).spawn(talk);
    }
}

/// One of the conversations that may be had at the same time.
#[derive(Debug)]
struct Place(Arc<Service>);

impl Place {
    fn take(service: &Arc<Service>) -> Option<Self> {
        let more = |count: usize| (count < CONNECTIONS).then_some(count.saturating_add(1));
        service.conversations.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(Arc::clone(service)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.conversations.fetch_sub(1, Ordering::AcqRel);
    }
}
