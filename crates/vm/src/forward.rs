//! Ports of the host that lead to ports of the guest.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::str::FromStr;

use crate::error::{Error, Result as Checked};

/// `[ADDRESS:]HOST:GUEST[/udp]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The host's address: 127.0.0.1 unless it is named.
    pub address: IpAddr,
    /// The host's port.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
    /// Which protocol.
    pub protocol: Protocol,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Text that is no [`Forward`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted [ADDRESS:]HOST:GUEST[/tcp|/udp], such as 8080:80 or 0.0.0.0:5353:53/udp")]
pub struct ForwardError;

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let (text, protocol) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((rest, "udp")) => (rest, Protocol::Udp),
            Some(_) => return Err(ForwardError),
        };
        let (rest, guest) = text.rsplit_once(':').ok_or(ForwardError)?;
        let (address, host) = match rest.rsplit_once(':') {
            Some((address, host)) => {
                let inside = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
                let address = match inside {
                    Some(address) => IpAddr::V6(address.parse().map_err(|_| ForwardError)?),
                    None => IpAddr::V4(address.parse().map_err(|_| ForwardError)?),
                };
                (address, host)
            }
            None => (Ipv4Addr::LOCALHOST.into(), rest),
        };
        Ok(Self { address, host: port(host)?, guest: port(guest)?, protocol })
    }
}

impl Forward {
    /// The host's side.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.host)
    }

    /// Whether the host's port can be had now: QEMU itself does not say why it cannot.
    ///
    /// # Errors
    /// [`Error::Port`], with the reason.
    pub fn check(&self) -> Checked<()> {
        let address = self.address();
        let bound = match self.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        };
        bound.map_err(|source| Error::Port { address, source })
    }
}

/// Port 0 is nobody's.
fn port(text: &str) -> Result<u16, ForwardError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(ForwardError)
}

impl fmt::Display for Forward {
    /// As QEMU's `hostfwd` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, host, guest, protocol } = self;
        match address {
            IpAddr::V4(address) => write!(f, "{protocol}:{address}:{host}-:{guest}"),
            IpAddr::V6(address) => write!(f, "{protocol}:[{address}]:{host}-:{guest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_forwarded() {
        for (text, argument) in [
            ("8080:80", "tcp:127.0.0.1:8080-:80"),
            ("8080:80/tcp", "tcp:127.0.0.1:8080-:80"),
            ("5353:53/udp", "udp:127.0.0.1:5353-:53"),
            ("0.0.0.0:1:2", "tcp:0.0.0.0:1-:2"),
            ("[::1]:1:2/udp", "udp:[::1]:1-:2"),
        ] {
            assert_eq!(text.parse::<Forward>().unwrap().to_string(), argument, "{text}");
        }
        for text in ["", "80", ":80", "80:", "0:80", "80:0", "65536:1", "+1:2", "a:1:2", "1:2/sctp", "::1:1:2", "1:2,x"]
        {
            assert!(text.parse::<Forward>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_seen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let forward: Forward = format!("{}:80", taken.local_addr().unwrap().port()).parse().unwrap();
        let Err(Error::Port { address, source }) = forward.check() else { panic!("it is taken") };
        assert_eq!((address, source.kind()), (taken.local_addr().unwrap(), std::io::ErrorKind::AddrInUse));
        drop(taken);
        forward.check().unwrap();
    }
}
