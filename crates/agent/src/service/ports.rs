//! What listens in the guest: from the kernel's tables (proc(5), `/proc/net/tcp` and its like), and whose it is.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use banger_protocol::failure::FailureKind;
use banger_protocol::ports::{Ports, Protocol, Socket};

use super::http::Trouble;
use crate::file::read_at_most;

/// Bytes that are read of a table: some hundred thousand sockets.
const TABLE_BYTES: u64 = 64 << 20;

/// Bytes of a process' name.
const NAME_BYTES: u64 = 64;

/// Sockets that are told.
const SOCKETS: usize = 4096;

/// The tables, and the state in which a socket of it waits for somebody: TCP_LISTEN, and TCP_CLOSE for one that is not connected.
const TABLES: [(Protocol, &str, &str); 4] = [
    (Protocol::Tcp, "tcp", "0A"),
    (Protocol::Tcp6, "tcp6", "0A"),
    (Protocol::Udp, "udp", "07"),
    (Protocol::Udp6, "udp6", "07"),
];

/// What listens; and which of the ports that are expected do not.
pub(super) fn ports(expected: &[u16]) -> Result<Ports, Trouble> {
    let mut sockets = Vec::new();
    for (protocol, table, state) in TABLES {
        match read_at_most(&Path::new("/proc/net").join(table), TABLE_BYTES) {
            Ok(text) => sockets.extend(listening(&String::from_utf8_lossy(&text), protocol, state)),
            // A kernel without IPv6.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Trouble::new(FailureKind::Internal, format!("/proc/net/{table}: {error}"))),
        }
    }
    let owners = owners(&sockets);
    let mut listening: Vec<Socket> = sockets
        .into_iter()
        .map(|(socket, inode)| {
            let owner = owners.get(&inode);
            Socket { pid: owner.map(|(pid, _)| *pid), program: owner.map(|(_, name)| name.clone()), ..socket }
        })
        .collect();
    listening.sort();
    listening.dedup();
    let is_open = |port: &u16| {
        let tcp = |socket: &Socket| matches!(socket.protocol, Protocol::Tcp | Protocol::Tcp6);
        listening.iter().any(|socket| tcp(socket) && socket.port == *port)
    };
    let missing = expected.iter().copied().filter(|port| !is_open(port)).collect();
    listening.truncate(SOCKETS);
    Ok(Ports { listening, missing })
}

/// The sockets of a table that listen, each with its inode.
fn listening(table: &str, protocol: Protocol, state: &str) -> Vec<(Socket, u64)> {
    let lines = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote, found) = (fields.next()?, fields.next()?, fields.next()?);
        // After the state: queues, timer, retransmissions, user, timeout.
        let inode = fields.nth(5)?.parse().ok()?;
        let (address, port) = local.split_once(':')?;
        let (_, to) = remote.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let listens = found == state && to == "0000";
        let socket = Socket { protocol, port, address: ip(address)?.to_string(), pid: None, program: None };
        (listens && port != 0).then_some((socket, inode))
    });
    lines.collect()
}

/// An address as the kernel prints it: words of 32 bits of the machine's byte order, in hexadecimal.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at.checked_add(8)?)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Whose each socket is: of several processes that share one the first.
fn owners(sockets: &[(Socket, u64)]) -> BTreeMap<u64, (u32, String)> {
    let mut owners = BTreeMap::new();
    let mut processes: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    processes.sort_unstable();
    for pid in processes {
        // Processes come and go: what cannot be read is not there any more.
        for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Some(inode) = fs::read_link(descriptor.path()).ok().and_then(|link| socket_inode(link.to_str()?))
            else {
                continue;
            };
            if sockets.iter().any(|&(_, listening)| listening == inode) {
                owners.entry(inode).or_insert_with(|| (pid, name(pid)));
            }
        }
    }
    owners
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name(pid: u32) -> String {
    let name = read_at_most(Path::new(&format!("/proc/{pid}/comm")), NAME_BYTES).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
        1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";
    const UDP6: &str = "  sl  local_address                         remote_address                        st ...\n  \
        9: 00000000000000000000000001000000:0222 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 99 2 0 0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_understood() {
        let found = listening(TCP, Protocol::Tcp, "0A");
        assert_eq!(found.len(), 1, "a connection does not listen");
        assert_eq!((found[0].0.port, &*found[0].0.address, found[0].1), (8080, "127.0.0.1", 4711));
        let found = listening(UDP6, Protocol::Udp6, "07");
        assert_eq!((found[0].0.port, &*found[0].0.address, found[0].1), (546, "::1", 99));
    }

    #[test]
    fn a_socket_of_this_process_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let ports = ports(&[port, 1]).unwrap();
        let found = ports.listening.iter().find(|socket| socket.port == port).unwrap();
        assert_eq!(
            (found.protocol, &*found.address, found.pid),
            (Protocol::Tcp, "127.0.0.1", Some(std::process::id()))
        );
        assert!(found.program.is_some());
        assert_eq!(ports.missing, [1]);
    }

    proptest! {
        #[test]
        fn any_table_is_read(text in "[ -~\n]{0,200}", address in "[0-9A-Fa-f]{0,40}") {
            let line = format!("head\n 0: {address}:1F90 0:0000 0A 0:0 0:0 0 0 0 1\n{text}");
            listening(&line, Protocol::Tcp, "0A");
            listening(&text, Protocol::Udp6, "07");
        }
    }
}
