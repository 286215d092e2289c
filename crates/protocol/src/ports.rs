//! `GET /ports`: what listens in the guest.

use serde::{Deserialize, Serialize};

/// What listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Sockets, ordered by protocol, port and address.
    pub listening: Vec<Socket>,
    /// Of the TCP ports that the machine's settings name: those that nothing listens on yet.
    #[serde(default)]
    pub missing: Vec<u16>,
}

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    /// Which protocol.
    pub protocol: Protocol,
    /// Its port.
    pub port: u16,
    /// Its address, `0.0.0.0` or `::` for all.
    pub address: String,
    /// The process, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of that process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP over IPv4.
    Tcp,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp,
    /// UDP over IPv6.
    Udp6,
}
