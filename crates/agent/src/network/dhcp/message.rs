//! DHCP messages (RFC 2131, options of RFC 2132): as bytes, without a socket.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Lease;
use crate::network::plan::{Address, NAME_SERVERS, prefix_of, usual_prefix};

/// Bytes before the options: the BOOTP message and the magic cookie.
const FIXED: usize = 240;
/// What servers and relays of old expect at least.
const SHORTEST: usize = 300;
/// The first four bytes of the options.
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// `op`.
const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
/// The server is to answer to everybody: who has no address yet hears nothing else.
const BROADCAST: u16 = 0x8000;

/// Numbers of options.
mod option {
    pub(super) const PAD: u8 = 0;
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const MTU: u8 = 26;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE: u8 = 51;
    pub(super) const TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const T1: u8 = 58;
    pub(super) const T2: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const END: u8 = 255;
}

/// The shortest lease that is taken at its word: a shorter one would be nothing but renewing.
const SHORTEST_LEASE: u32 = 60;
/// A lease that says nothing about its end.
const USUAL_LEASE: u32 = 3600;
/// The smallest MTU that an IPv4 host must take.
const SMALLEST_MTU: u16 = 576;

/// What a client says.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    /// The number of the conversation.
    pub(super) xid: u32,
    pub(super) hardware: [u8; 6],
    /// Seconds since the conversation began.
    pub(super) seconds: u16,
    /// The address that the client has, and wants to keep.
    pub(super) current: Option<Ipv4Addr>,
    /// The address that it was offered, and by which server.
    pub(super) offered: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(super) hostname: Option<&'a str>,
}

/// `DHCP message type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Ack = 5,
    Nak = 6,
}

impl Request<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        // op, htype (Ethernet), hlen, hops
        let mut bytes = vec![BOOTREQUEST, 1, 6, 0];
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        bytes.extend(if self.current.is_some() { 0 } else { BROADCAST }.to_be_bytes());
        bytes.extend(self.current.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        // yiaddr, siaddr, giaddr: the server's
        bytes.resize(28, 0);
        bytes.extend(self.hardware);
        // The rest of chaddr, sname, file
        bytes.resize(FIXED - COOKIE.len(), 0);
        bytes.extend(COOKIE);
        let mut put = |number: u8, value: &[u8]| {
            if let Ok(length) = u8::try_from(value.len()) {
                bytes.extend([number, length]);
                bytes.extend(value);
            }
        };
        put(option::TYPE, &[self.kind as u8]);
        let [a, b, c, d, e, f] = self.hardware;
        put(option::CLIENT, &[1, a, b, c, d, e, f]);
        if let Some((address, server)) = self.offered {
            put(option::REQUESTED, &address.octets());
            put(option::SERVER, &server.octets());
        }
        if let Some(name) = self.hostname.filter(|name| !name.is_empty()) {
            put(option::HOST_NAME, name.as_bytes());
        }
        put(
            option::WANTED,
            &[option::MASK, option::ROUTER, option::DNS, option::MTU, option::LEASE, option::T1, option::T2],
        );
        bytes.push(option::END);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        bytes
    }
}

/// What a server says: the sort, and what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) kind: Kind,
    /// What is given; `None` in a refusal.
    pub(super) lease: Option<Lease>,
}

/// A reply in this conversation; `None` where it is none, or not for us, or has no address that a host can have.
pub(super) fn decode(bytes: &[u8], xid: u32, hardware: [u8; 6]) -> Option<Reply> {
    let (fixed, options) = bytes.split_first_chunk::<FIXED>()?;
    let [op, _, _, _, x0, x1, x2, x3, ..] = *fixed;
    let ours = fixed.get(28..34)? == hardware && u32::from_be_bytes([x0, x1, x2, x3]) == xid;
    if op != BOOTREPLY || !ours || fixed.get(FIXED - COOKIE.len()..)? != COOKIE {
        return None;
    }
    let kind = match *find(options, option::TYPE)? {
        [2] => Kind::Offer,
        [5] => Kind::Ack,
        [6] => return Some(Reply { kind: Kind::Nak, lease: None }),
        _ => return None,
    };
    let given: [u8; 4] = fixed.get(16..20)?.try_into().ok()?;
    Some(Reply { kind, lease: Some(lease(given.into(), options)?) })
}

fn lease(address: Ipv4Addr, options: &[u8]) -> Option<Lease> {
    let unusable =
        address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast();
    if unusable {
        return None;
    }
    let number = |number| Some(u32::from_be_bytes(find(options, number)?.try_into().ok()?));
    let addresses = |number| {
        let (addresses, _) = find(options, number).unwrap_or_default().as_chunks::<4>();
        let addresses = addresses.iter().map(|&octets| Ipv4Addr::from(octets));
        addresses.filter(|address| !address.is_unspecified() && !address.is_broadcast())
    };
    let mask = number(option::MASK).map(Ipv4Addr::from_bits);
    let prefix = mask.and_then(|mask| prefix_of(mask).ok()).unwrap_or_else(|| usual_prefix(address));
    let seconds = number(option::LEASE).unwrap_or(USUAL_LEASE).max(SHORTEST_LEASE);
    // Half of it, and seven eighths, where the server says nothing that makes sense (RFC 2131, 4.4.5).
    let rebind = number(option::T2).filter(|&t2| t2 < seconds).unwrap_or(seconds / 8 * 7);
    let renew = number(option::T1).filter(|&t1| t1 > 0 && t1 < rebind).unwrap_or(seconds / 2);
    let time = |seconds| Duration::from_secs(u64::from(seconds));
    let mtu = find(options, option::MTU).and_then(|value| Some(u16::from_be_bytes(value.try_into().ok()?)));
    Some(Lease {
        address: Address {
            address,
            prefix,
            gateway: addresses(option::ROUTER).next(),
            dns: addresses(option::DNS).take(NAME_SERVERS).collect(),
        },
        server: number(option::SERVER).map(Ipv4Addr::from_bits)?,
        mtu: mtu.filter(|&mtu| mtu >= SMALLEST_MTU),
        renew: time(renew),
        rebind: time(rebind),
        // Forever is written as the greatest number.
        ends: (seconds != u32::MAX).then(|| time(seconds)),
    })
}

/// The value of an option.
fn find(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match *options {
            [option::PAD, ref rest @ ..] => options = rest,
            [] | [option::END, ..] => return None,
            [number, length, ref rest @ ..] => {
                let (value, rest) = rest.split_at_checked(length.into())?;
                if number == wanted {
                    return Some(value);
                }
                options = rest;
            }
            [_] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

    /// A server's message, by the RFC's figure 1.
    fn reply(kind: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
        bytes[4..8].copy_from_slice(&77_u32.to_be_bytes());
        bytes[16..20].copy_from_slice(&[10, 0, 2, 15]);
        bytes[28..34].copy_from_slice(&MAC);
        bytes.extend([99, 130, 83, 99, 53, 1, kind, 0, 0]);
        for (number, value) in options {
            bytes.extend([*number, u8::try_from(value.len()).unwrap()]);
            bytes.extend(*value);
        }
        bytes.push(255);
        bytes
    }

    #[test]
    fn a_lease_is_read() {
        let options: [(u8, &[u8]); 7] = [
            (54, &[10, 0, 2, 2]),
            (1, &[255, 255, 255, 0]),
            (3, &[10, 0, 2, 2, 10, 0, 2, 9]),
            (6, &[10, 0, 2, 3]),
            (51, &86_400_u32.to_be_bytes()),
            (26, &[5, 0xDC]),
            (12, b"box"),
        ];
        let lease = decode(&reply(5, &options), 77, MAC).unwrap().lease.unwrap();
        let address = &lease.address;
        assert_eq!((address.address, address.prefix), ("10.0.2.15".parse().unwrap(), 24));
        assert_eq!((address.gateway, &*address.dns), ("10.0.2.2".parse().ok(), &["10.0.2.3".parse().unwrap()][..]));
        assert_eq!((lease.server, lease.mtu), ("10.0.2.2".parse().unwrap(), Some(1500)));
        let times = (lease.renew.as_secs(), lease.rebind.as_secs(), lease.ends.unwrap().as_secs());
        assert_eq!(times, (43_200, 75_600, 86_400));
    }

    #[test]
    fn what_a_server_leaves_out_or_gets_wrong_is_assumed() {
        let server: (u8, &[u8]) = (54, &[10, 0, 2, 2]);
        let read = |options: &[(u8, &[u8])]| decode(&reply(2, options), 77, MAC).unwrap().lease;
        let lease = read(&[server]).unwrap();
        assert_eq!((lease.address.prefix, lease.address.gateway, lease.mtu), (8, None, None));
        assert_eq!((lease.renew.as_secs(), lease.ends.unwrap().as_secs()), (1800, 3600));
        let lease =
            read(&[server, (51, &[0, 0, 0, 1]), (58, &[0, 0, 1, 0]), (1, &[255, 0, 255, 0]), (26, &[0, 68])]).unwrap();
        assert_eq!((lease.renew.as_secs(), lease.ends.unwrap().as_secs()), (30, 60), "a second is not long enough");
        assert_eq!((lease.address.prefix, lease.mtu), (8, None));
        assert_eq!(read(&[server, (51, &[255; 4])]).unwrap().ends, None);
        assert_eq!(decode(&reply(2, &[]), 77, MAC), None, "nobody says who offers");
    }

    #[test]
    fn what_is_not_for_us_is_none() {
        let server: (u8, &[u8]) = (54, &[10, 0, 2, 2]);
        let good = reply(2, &[server]);
        assert!(decode(&good, 77, MAC).is_some());
        assert_eq!(decode(&good, 78, MAC), None);
        assert_eq!(decode(&good, 77, [0; 6]), None);
        for (at, byte) in [(0, 1), (236, 0), (16, 127), (16, 224), (242, 9)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(decode(&bad, 77, MAC), None, "byte {at}");
        }
        assert_eq!(decode(&reply(6, &[]), 77, MAC), Some(Reply { kind: Kind::Nak, lease: None }));
    }

    #[test]
    fn a_request_says_who_and_what() {
        let server: Ipv4Addr = [10, 0, 2, 2].into();
        let offered = Some(([10, 0, 2, 15].into(), server));
        let request = Request {
            kind: Kind::Request,
            xid: 77,
            hardware: MAC,
            seconds: 3,
            current: None,
            offered,
            hostname: Some("box"),
        };
        let bytes = request.encode();
        assert!(bytes.len() >= 300);
        assert_eq!(bytes[10..12], [0x80, 0]);
        let (fixed, options) = bytes.split_at(240);
        assert_eq!((&fixed[28..34], &fixed[236..]), (&MAC[..], &COOKIE[..]));
        assert_eq!(find(options, 53), Some(&[3][..]));
        assert_eq!(find(options, 50), Some(&[10, 0, 2, 15][..]));
        assert_eq!(find(options, 54), Some(&[10, 0, 2, 2][..]));
        assert_eq!(find(options, 12), Some(&b"box"[..]));
        let renewal = Request { current: Some([10, 0, 2, 15].into()), offered: None, ..request }.encode();
        assert_eq!((&renewal[10..16], find(&renewal[240..], 50)), (&[0, 0, 10, 0, 2, 15][..], None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_none(kind in 0_u8..9, options in prop::collection::vec(any::<u8>(), 0..80), cut in 0_usize..400) {
            let mut bytes = reply(kind, &[(54, &[1, 2, 3, 4])]);
            bytes.truncate(248);
            bytes.extend(options);
            bytes.truncate(cut);
            if let Some(Reply { lease: Some(lease), .. }) = decode(&bytes, 77, MAC) {
                prop_assert!(lease.address.prefix <= 32);
                prop_assert!(lease.renew > Duration::ZERO && lease.renew <= lease.rebind);
            }
        }
    }
}
