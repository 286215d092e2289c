//! Messages of rtnetlink (rtnetlink(7), netlink(7)): as bytes, without a socket.
//!
//! Every number is in the machine's own byte order, addresses are in the network's; each part is padded to four bytes.

use std::net::Ipv4Addr;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Parts of a message begin at multiples of this.
const ALIGN: usize = 4;

/// `nlmsg_type`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;

/// `nlmsg_flags`.
const REQUEST: u16 = 0x001;
const ACK: u16 = 0x004;
const REPLACE: u16 = 0x100;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;

/// `ifinfomsg.ifi_flags`.
const IFF_UP: u32 = 1;

/// Attributes of addresses and routes.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

/// Values of `rtmsg`.
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTPROT_DHCP: u8 = 16;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
/// The gateway is on the link, whatever the addresses say.
const RTNH_F_ONLINK: u32 = 4;

/// The interface is to be up.
pub(super) fn link_up(sequence: u32, index: u32) -> Vec<u8> {
    // ifi_family, padding, ifi_type, ifi_index, ifi_flags, ifi_change
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes());
    message(RTM_NEWLINK, REQUEST | ACK, sequence, &body)
}

/// The interface is to have this address.
pub(super) fn add_address(sequence: u32, index: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut body = address_body(index, address, prefix);
    // Networks of one or two addresses have no broadcast (RFC 3021).
    if prefix < 31 {
        let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        attribute(&mut body, IFA_BROADCAST, &(address.to_bits() | host).to_be_bytes());
    }
    message(RTM_NEWADDR, REQUEST | ACK | CREATE | REPLACE, sequence, &body)
}

/// The interface is not to have this address any more.
pub(super) fn remove_address(sequence: u32, index: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    message(RTM_DELADDR, REQUEST | ACK, sequence, &address_body(index, address, prefix))
}

/// What is not on a network of our own goes to this gateway.
pub(super) fn default_route(sequence: u32, index: u32, gateway: Ipv4Addr, on_link: bool, from_dhcp: bool) -> Vec<u8> {
    let protocol = if from_dhcp { RTPROT_DHCP } else { RTPROT_BOOT };
    // rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type, rtm_flags
    let mut body = vec![AF_INET, 0, 0, 0, RT_TABLE_MAIN, protocol, RT_SCOPE_UNIVERSE, RTN_UNICAST];
    body.extend(if on_link { RTNH_F_ONLINK } else { 0 }.to_ne_bytes());
    attribute(&mut body, RTA_GATEWAY, &gateway.octets());
    attribute(&mut body, RTA_OIF, &index.to_ne_bytes());
    message(RTM_NEWROUTE, REQUEST | ACK | CREATE | REPLACE, sequence, &body)
}

/// Which IPv4 addresses there are?
pub(super) fn get_addresses(sequence: u32) -> Vec<u8> {
    // ifa_family, ifa_prefixlen, ifa_flags, ifa_scope, ifa_index
    message(RTM_GETADDR, REQUEST | DUMP, sequence, &[AF_INET, 0, 0, 0, 0, 0, 0, 0])
}

fn address_body(index: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut body = vec![AF_INET, prefix, 0, RT_SCOPE_UNIVERSE];
    body.extend(index.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, &address.octets());
    attribute(&mut body, IFA_ADDRESS, &address.octets());
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = value.len().saturating_add(4);
    body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(ALIGN), 0);
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = body.len().saturating_add(HEADER);
    let mut bytes = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // The sender: the kernel fills it in.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// What the kernel answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done; or not, with this errno.
    Done(i32),
    /// All addresses have been told.
    End,
    /// An interface has this address.
    Address {
        /// The interface.
        index: u32,
        /// The address.
        address: Ipv4Addr,
        /// Bits of it that are the network's.
        prefix: u8,
        /// `RT_SCOPE_*`: 0 for what is valid everywhere.
        scope: u8,
    },
}

/// The answers to one request in what was received; what is not for it, or cannot be understood, is left out.
pub(super) fn answers(mut bytes: &[u8], sequence: u32) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let Some(body) = length.checked_sub(HEADER).and_then(|length| rest.get(..length)) else { break };
        if u32::from_ne_bytes([s0, s1, s2, s3]) == sequence {
            answers.extend(answer(u16::from_ne_bytes([k0, k1]), body));
        }
        bytes = rest.get(body.len().next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    answers
}

fn answer(kind: u16, body: &[u8]) -> Option<Answer> {
    match (kind, body) {
        (NLMSG_ERROR, &[a, b, c, d, ..]) => Some(Answer::Done(i32::from_ne_bytes([a, b, c, d]).saturating_neg())),
        (NLMSG_DONE, _) => Some(Answer::End),
        (RTM_NEWADDR, &[AF_INET, prefix, _, scope, a, b, c, d, ref attributes @ ..]) => {
            // IFA_LOCAL is the address itself; without a peer both are there and equal.
            let of = |kind| find(attributes, kind).and_then(|value| <[u8; 4]>::try_from(value).ok());
            let address = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?.into();
            Some(Answer::Address { index: u32::from_ne_bytes([a, b, c, d]), address, prefix, scope })
        }
        _ => None,
    }
}

fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((&[l0, l1, k0, k1], rest)) = attributes.split_first_chunk::<4>() {
        let value = rest.get(..usize::from(u16::from_ne_bytes([l0, l1])).checked_sub(4)?)?;
        if u16::from_ne_bytes([k0, k1]) == wanted {
            return Some(value);
        }
        attributes = rest.get(value.len().next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_that_is_told_is_read() {
        // As the kernel tells it: the same attributes, and others between them.
        let mut body = vec![AF_INET, 24, 0x80, 0];
        body.extend(3_u32.to_ne_bytes());
        attribute(&mut body, IFA_ADDRESS, &[10, 0, 2, 15]);
        attribute(&mut body, 3, b"eth0\0");
        attribute(&mut body, IFA_LOCAL, &[10, 0, 2, 15]);
        let mut bytes = message(RTM_NEWADDR, 0, 7, &body);
        bytes.extend(message(RTM_NEWADDR, 0, 8, &body));
        bytes.extend(message(NLMSG_DONE, 0, 7, &[0; 4]));
        let address = Answer::Address { index: 3, address: [10, 0, 2, 15].into(), prefix: 24, scope: 0 };
        assert_eq!(answers(&bytes, 7), [address, Answer::End]);
    }

    #[test]
    fn a_refusal_is_an_errno() {
        let mut body = (-17_i32).to_ne_bytes().to_vec();
        body.extend([0; 16]);
        assert_eq!(answers(&message(NLMSG_ERROR, 0, 1, &body), 1), [Answer::Done(17)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = answers(&bytes, 0);
        }
    }
}
