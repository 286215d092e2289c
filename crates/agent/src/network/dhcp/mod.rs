//! A DHCP client (RFC 2131): comes to a lease, and keeps it.
//!
//! It uses an ordinary UDP socket that is bound to the interface. The kernel hears broadcasts on an interface without an address, unless it filters
//! by the way back (`rp_filter`), which distributions switch on: so that is off for as long as a conversation lasts.

mod message;

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use serde::{Deserialize, Serialize};

use self::message::{Kind, Request};
use super::link::Interface;
use super::plan::Address;
use crate::sys;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// Bytes of the largest message that is read.
const MESSAGE: usize = 1500;

/// How long an answer is waited for: the first time, and the longest. It doubles in between.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
/// How long the answer to a renewal is waited for.
const RENEWAL: Duration = Duration::from_secs(4);

/// An address for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What is leased.
    pub address: Address,
    /// By whom.
    pub server: Ipv4Addr,
    /// The largest packet.
    pub mtu: Option<u16>,
    /// When it is to be renewed, from when it was given on (T1).
    pub renew: Duration,
    /// When any server may renew it (T2).
    pub rebind: Duration,
    /// When it ends; never where there is none.
    pub ends: Option<Duration>,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub(super) enum DhcpError {
    #[error("no DHCP server answered on {0}")]
    Silence(String),
    #[error("the DHCP server refused the address {0}")]
    Refused(Ipv4Addr),
    #[error("DHCP on {interface}: {error}")]
    Io { interface: String, error: io::Error },
}

/// Comes to a lease: asks `attempts` times.
pub(super) fn obtain(interface: &Interface, hostname: Option<&str>, attempts: u32) -> Result<Lease, DhcpError> {
    let client = Client::new(interface, hostname, Ipv4Addr::UNSPECIFIED)?;
    let _filter = NoFilter::new(&interface.name);
    let mut wait = FIRST_WAIT;
    for _ in 0..attempts {
        let offer = client.ask(Kind::Discover, None, None, SERVERS, wait)?;
        let offered = offer.and_then(|reply| reply.lease);
        if let Some(offered) = offered {
            let wanted = Some((offered.address.address, offered.server));
            let answer = client.ask(Kind::Request, None, wanted, SERVERS, wait)?;
            if let Some(message::Reply { kind: Kind::Ack, lease: Some(lease) }) = answer {
                return Ok(lease);
            }
            // The address went to somebody else in between, or the answer was lost: from the beginning.
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
    Err(DhcpError::Silence(interface.name.clone()))
}

/// Asks once to keep an address: its server before T2, any server after it.
pub(super) fn renew(
    interface: &Interface,
    lease: &Lease,
    hostname: Option<&str>,
    rebind: bool,
) -> Result<Lease, DhcpError> {
    let address = lease.address.address;
    let client = Client::new(interface, hostname, address)?;
    let _filter = NoFilter::new(&interface.name);
    let to = if rebind { SERVERS } else { lease.server };
    match client.ask(Kind::Request, Some(address), None, to, RENEWAL)? {
        Some(message::Reply { kind: Kind::Ack, lease: Some(lease) }) if lease.address.address == address => Ok(lease),
        Some(_) => Err(DhcpError::Refused(address)),
        None => Err(DhcpError::Silence(interface.name.clone())),
    }
}

/// All servers on the link.
const SERVERS: Ipv4Addr = Ipv4Addr::BROADCAST;

/// One conversation.
struct Client<'a> {
    socket: UdpSocket,
    interface: &'a Interface,
    hostname: Option<&'a str>,
    xid: u32,
    started: Instant,
}

impl<'a> Client<'a> {
    fn new(interface: &'a Interface, hostname: Option<&'a str>, address: Ipv4Addr) -> Result<Self, DhcpError> {
        let socket = open(interface, address).map_err(|error| wrong(interface, error))?;
        // Seeded by the kernel's random numbers: who cannot see the question must not be able to answer it.
        let xid = RandomState::new().build_hasher().finish() as u32;
        Ok(Self { socket, interface, hostname, xid, started: Instant::now() })
    }

    /// Asks, and waits for the answer; `None` when there is none in time.
    fn ask(
        &self,
        kind: Kind,
        current: Option<Ipv4Addr>,
        offered: Option<(Ipv4Addr, Ipv4Addr)>,
        to: Ipv4Addr,
        wait: Duration,
    ) -> Result<Option<message::Reply>, DhcpError> {
        let wrong = |error| wrong(self.interface, error);
        let seconds = u16::try_from(self.started.elapsed().as_secs()).unwrap_or(u16::MAX);
        let (xid, hardware, hostname) = (self.xid, self.interface.hardware, self.hostname);
        let request = Request { kind, xid, hardware, seconds, current, offered, hostname };
        self.socket.send_to(&request.encode(), SocketAddrV4::new(to, SERVER_PORT)).map_err(wrong)?;
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left)).map_err(wrong)?;
            let mut buffer = [0; MESSAGE];
            let count = match self.socket.recv_from(&mut buffer) {
                Ok((count, _)) => count,
                Err(error) if is_transient(&error) => continue,
                Err(error) => return Err(wrong(error)),
            };
            let reply = message::decode(buffer.get(..count).unwrap_or_default(), self.xid, self.interface.hardware);
            // An answer to the question before this one may still come.
            let fits = |reply: &message::Reply| (reply.kind == Kind::Offer) == (kind == Kind::Discover);
            if let Some(reply) = reply.filter(fits) {
                return Ok(Some(reply));
            }
        }
    }
}

/// Errors after which it is worth while to listen on. A server's host that has nobody on the port says so with ICMP.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | Interrupted | TimedOut | WouldBlock)
}

fn wrong(interface: &Interface, error: io::Error) -> DhcpError {
    DhcpError::Io { interface: interface.name.clone(), error }
}

fn open(interface: &Interface, address: Ipv4Addr) -> io::Result<UdpSocket> {
    let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(ipproto::UDP))?;
    sys::bind_to_device(socket.as_fd(), &interface.name)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::sockopt::set_socket_broadcast(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(address, CLIENT_PORT))?;
    Ok(socket.into())
}

/// While it lives, the kernel does not filter what arrives on an interface by the way back.
struct NoFilter(Vec<(String, String)>);

impl NoFilter {
    fn new(interface: &str) -> Self {
        let mut before = Vec::new();
        // The larger of the two counts.
        for name in ["all", interface] {
            let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
            let value = fs::read_to_string(&path).unwrap_or_default();
            if !matches!(value.trim(), "" | "0") && fs::write(&path, "0").is_ok() {
                before.push((path, value));
            }
        }
        Self(before)
    }
}

impl Drop for NoFilter {
    fn drop(&mut self) {
        for (path, value) in &self.0 {
            // It could be written a moment ago; if it cannot any more, there is nothing that would help.
            let _ = fs::write(path, value);
        }
    }
}
