//! Network interfaces: found in /sys, changed by rtnetlink.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::message::{self, Answer};

/// Interfaces of this system.
const CLASS: &str = "/sys/class/net";

/// How long the kernel may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How often it is looked whether an interface has come.
const LOOK: Duration = Duration::from_millis(50);

/// `ARPHRD_ETHER` in `type`.
const ETHERNET: &str = "1";

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub hardware: [u8; 6],
}

/// Waits for an interface: that of this name, or the first.
pub(super) fn wait_for(device: Option<&str>, time: Duration) -> Option<Interface> {
    let until = Instant::now() + time;
    loop {
        let found = find(Path::new(CLASS), device);
        if found.is_some() || Instant::now() >= until {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}

/// The interface of this name; or the first Ethernet: of those that are devices where there are any, before those that are made of software.
fn find(class: &Path, device: Option<&str>) -> Option<Interface> {
    let entries = fs::read_dir(class).ok()?;
    let mut found: Vec<(bool, Interface)> = entries
        .filter_map(|entry| {
            let (path, name) = (entry.as_ref().ok()?.path(), entry.ok()?.file_name().into_string().ok()?);
            let read = |file| fs::read_to_string(path.join(file)).ok().map(|text| text.trim().to_owned());
            let wanted = device.map_or_else(|| read("type").as_deref() == Some(ETHERNET), |device| device == name);
            let index = read("ifindex")?.parse().ok()?;
            let hardware = read("address").as_deref().and_then(hardware_address);
            let software = !path.join("device").exists();
            wanted.then_some((software, Interface { index, name, hardware: hardware? }))
        })
        .collect();
    found.sort_by_key(|(software, interface)| (*software, interface.index));
    found.into_iter().next().map(|(_, interface)| interface)
}

fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// A connection to the kernel's routing tables.
#[derive(Debug)]
pub(super) struct Links {
    socket: OwnedFd,
    sequence: u32,
}

impl Links {
    pub(super) fn open() -> io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // The protocol that netlink has where none is named: NETLINK_ROUTE.
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The loopback interface, which has the same number everywhere, is to be up. It gets its address by that.
    pub(super) fn up_loopback(&mut self) -> io::Result<()> {
        const LOOPBACK: u32 = 1;
        self.up(LOOPBACK)
    }

    pub(super) fn up(&mut self, index: u32) -> io::Result<()> {
        self.request(|sequence| message::link_up(sequence, index))
    }

    pub(super) fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        self.request(|sequence| message::add_address(sequence, index, address, prefix))
    }

    pub(super) fn remove_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        self.request(|sequence| message::remove_address(sequence, index, address, prefix))
    }

    pub(super) fn default_route(&mut self, index: u32, gateway: Ipv4Addr, on_link: bool, dhcp: bool) -> io::Result<()> {
        self.request(|sequence| message::default_route(sequence, index, gateway, on_link, dhcp))
    }

    /// The first address of an interface that is valid everywhere.
    pub(super) fn global_address(&mut self, index: u32) -> io::Result<Option<(Ipv4Addr, u8)>> {
        self.send(message::get_addresses)?;
        let mut found = None;
        loop {
            for answer in self.receive()? {
                match answer {
                    Answer::End | Answer::Done(0) => return Ok(found),
                    Answer::Done(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Answer::Address { index: of, address, prefix, scope: 0 } if of == index => {
                        found.get_or_insert((address, prefix));
                    }
                    Answer::Address { .. } => {}
                }
            }
        }
    }

    fn request(&mut self, message: impl FnOnce(u32) -> Vec<u8>) -> io::Result<()> {
        self.send(message)?;
        loop {
            for answer in self.receive()? {
                match answer {
                    Answer::Done(0) => return Ok(()),
                    Answer::Done(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Answer::End | Answer::Address { .. } => {}
                }
            }
        }
    }

    fn send(&mut self, message: impl FnOnce(u32) -> Vec<u8>) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, &message(self.sequence), SendFlags::empty(), &kernel)?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<Answer>> {
        let mut buffer = vec![0; 32 << 10];
        let (count, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()))?;
        Ok(message::answers(buffer.get(..count).unwrap_or_default(), self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_device_is_found_before_what_is_made_of_software() {
        let class = tempfile::tempdir().unwrap();
        let add = |name: &str, index: u32, kind: &str, device: bool| {
            let path = class.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("ifindex"), format!("{index}\n")).unwrap();
            fs::write(path.join("type"), format!("{kind}\n")).unwrap();
            fs::write(path.join("address"), "52:54:00:12:34:56\n").unwrap();
            if device {
                fs::create_dir_all(path.join("device")).unwrap();
            }
        };
        assert_eq!(find(class.path(), None), None);
        add("lo", 1, "772", false);
        assert_eq!(find(class.path(), None), None);
        add("docker0", 2, "1", false);
        assert_eq!(find(class.path(), None).unwrap().name, "docker0");
        add("eth1", 4, "1", true);
        add("eth0", 3, "1", true);
        let first = Interface { index: 3, name: "eth0".into(), hardware: [0x52, 0x54, 0, 0x12, 0x34, 0x56] };
        assert_eq!(find(class.path(), None), Some(first));
        assert_eq!(find(class.path(), Some("eth1")).unwrap().index, 4);
        assert_eq!(find(class.path(), Some("eth2")), None);
    }
}
