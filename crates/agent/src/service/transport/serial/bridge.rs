//! One conversation over a port, which to those who have it is a socket.
//!
//! A socket has what a port lacks: a beginning, an end on each side, and bytes of nobody else. Here the two are joined. The conversation ends
//! when the guest's side has closed its socket and all that it said has left; or when another host greets; or when no host has been
//! connected for so long that it is no word about an earlier one.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, recv, send, shutdown, socketpair,
};

use super::port::{Port, Read};
use crate::service::connection::{Connection, retry};
use crate::service::{Place, STACK, Service, http, routes};

/// Bytes that wait in either direction before no more are taken.
const ROOM: usize = 64 << 10;

/// Bytes that are taken from the socket at once.
const PIECE: usize = 16 << 10;

/// How often it is looked whether a host that seems to be gone is there after all.
const LOOK: Duration = Duration::from_millis(50);

/// So many looks in a row without a host are its end. They are counted, not timed: a guest that does not run for a while sees the clock jump,
/// but handles what the port has told meanwhile before its next look.
const LOOKS: u32 = 40;

/// Has the conversation that begins in the port's buffer. An error is the port's end.
pub(super) fn converse(service: &Arc<Service>, port: &mut Port) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let service = Arc::clone(service);
    let talk = move || talk(&service, theirs);
    let talking = thread::Builder::new().name("conversation".into()).stack_size(STACK).spawn(talk)?;
    let mut bridge = Bridge { port, socket: ours, outgoing: Vec::new(), complete: false, looks: 0 };
    if bridge.carry()? {
        give_back(bridge.port, talking);
    }
    Ok(())
}

/// The conversation itself; what it has not read, when it is over.
fn talk(service: &Arc<Service>, socket: OwnedFd) -> Vec<u8> {
    let Ok(mut connection) = Connection::bridged(socket) else { return Vec::new() };
    match Place::take(service) {
        Some(_place) => routes::converse(&service.state, &mut connection),
        None => http::answer::busy(&mut connection),
    }
    connection.leave()
}

/// What a conversation has not read may be the beginning of the next.
fn give_back(port: &mut Port, talking: JoinHandle<Vec<u8>>) {
    let mut unread = talking.join().unwrap_or_default();
    unread.append(&mut port.buffer);
    port.buffer = unread;
}

struct Bridge<'a> {
    port: &'a mut Port,
    socket: OwnedFd,
    /// What the host has not taken yet.
    outgoing: Vec<u8>,
    /// The guest's side has said all.
    complete: bool,
    /// Looks in a row that saw no host.
    looks: u32,
}

impl Bridge<'_> {
    /// Carries bytes both ways until the conversation is over. Whether the guest's side has ended it.
    fn carry(&mut self) -> io::Result<bool> {
        loop {
            let mut moved = self.send()?;
            if self.port.buffer.len() < ROOM {
                match self.port.read()? {
                    Read::Bytes => moved = true,
                    Read::Greeting => return Ok(false),
                    Read::Nothing => {}
                }
            }
            moved |= self.hand_over();
            moved |= self.collect();
            if self.complete && self.outgoing.is_empty() {
                return Ok(true);
            }
            if moved {
                self.looks = 0;
            } else if !self.wait()? {
                return Ok(false);
            }
        }
    }

    /// Sends what the host takes now; whether it took anything.
    fn send(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while !self.outgoing.is_empty() {
            match self.port.write(&self.outgoing)? {
                0 => break,
                count => drop(self.outgoing.drain(..count)),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Hands over what the host has sent; whether anything was taken.
    fn hand_over(&mut self) -> bool {
        let mut moved = false;
        while !self.complete && !self.port.buffer.is_empty() {
            // After an error nothing is read any more: what is left is the next conversation's.
            match send(&self.socket, &self.port.buffer, SendFlags::NOSIGNAL) {
                Ok(count @ 1..) => drop(self.port.buffer.drain(..count)),
                _ => break,
            }
            moved = true;
        }
        moved
    }

    /// Collects what the conversation says; whether it said anything, or that it has said all.
    fn collect(&mut self) -> bool {
        if self.complete || self.outgoing.len() >= ROOM {
            return false;
        }
        let mut piece = [0; PIECE];
        match retry(|| recv(&self.socket, &mut piece[..], RecvFlags::empty())) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Ok((count @ 1.., _)) => self.outgoing.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Ok((0, _)) | Err(_) => self.complete = true,
        }
        true
    }

    /// Waits until something can be moved; false when there is no host any more.
    fn wait(&mut self) -> io::Result<bool> {
        let mut flags = PollFlags::empty();
        if !self.complete && self.outgoing.len() < ROOM {
            flags |= PollFlags::IN;
        }
        if !self.complete && !self.port.buffer.is_empty() {
            flags |= PollFlags::OUT;
        }
        // A socket whose other end is closed is always ready: it is left out when that is known.
        let socket = (!flags.is_empty()).then(|| (self.socket.as_fd(), flags));
        let mut of_port = PollFlags::empty();
        of_port.set(PollFlags::IN, self.port.buffer.len() < ROOM);
        of_port.set(PollFlags::OUT, !self.outgoing.is_empty());
        if !self.port.is_alone()? {
            self.looks = 0;
            return self.port.wait(of_port, socket, None).map(|_| true);
        }
        if !self.port.wait(of_port, socket, Some(LOOK))? {
            self.looks = self.looks.saturating_add(1);
        }
        Ok(self.looks < LOOKS)
    }
}

impl Drop for Bridge<'_> {
    fn drop(&mut self) {
        // The conversation sees that it is over. It fails where it has ended already.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}
