//! The network: lo, and the first interface. No program of the guest is needed.
//!
//! What is set for the machine is done: an address from the kernel's command line, or from the config disk. Otherwise it is DHCP, unless the interface
//! has an address already (the kernel's own `ip=`, a program that was faster) or the image brings a configuration of its own for it.

mod dhcp;
mod files;
mod image;
mod keep;
mod link;
mod message;
pub mod plan;
mod record;
mod resolv_conf;
mod resolver;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use banger_protocol::boot::BootMode;
use banger_protocol::health::{Network, NetworkSource};

pub use dhcp::Lease;
pub(crate) use keep::keep;
pub use link::Interface;
pub(crate) use record::{Record, read_record, write_record};

use self::link::Links;
use self::plan::{Address, How};
use crate::drivers::{self, Device};
use crate::settings::Settings;

/// How long an interface may take to appear: its driver may still be on its way.
const APPEARS: Duration = Duration::from_secs(3);

/// How often a DHCP server is asked before the boot goes on without: for half a second, then 1, 2, 4.
const ATTEMPTS: u32 = 4;

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What there is now.
    pub(crate) record: Record,
    /// What did not work, in words.
    pub(crate) problems: Vec<String>,
}

/// Sets up the network by the settings.
pub(crate) fn set_up(settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(problem) = set_up_links(settings, &mut outcome) {
        outcome.problems.push(problem);
    }
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if let Err(error) = files::write_hosts(Path::new("/"), &hostname, own_address(settings, &outcome)) {
        outcome.problems.push(format!("/etc/hosts: {error}"));
    }
    outcome
}

/// The address that the host's own name stands for: as in a container the one by which others reach it, so that a server that listens on its
/// name can be reached. Hosts with an init have 127.0.1.1, as an address may not last.
fn own_address(settings: &Settings, outcome: &Outcome) -> Option<Ipv4Addr> {
    let network = outcome.record.network.as_ref().filter(|_| settings.runs_workload())?;
    network.address.as_ref()?.split_once('/')?.0.parse().ok()
}

fn set_up_links(settings: &Settings, outcome: &mut Outcome) -> Result<(), String> {
    let plan = &settings.network;
    let root = Path::new("/");
    let mut links = Links::open().map_err(|error| format!("the kernel's routing tables: {error}"))?;
    links.up_loopback().map_err(|error| format!("interface lo: {error}"))?;
    if plan.how == How::Off {
        return Ok(());
    }
    outcome.problems.extend(drivers::load(root, &[Device::Network]));
    let Some(interface) = link::wait_for(plan.device.as_deref(), APPEARS) else {
        // A machine without a network is one that was wanted so, unless something else was said.
        return match (&plan.device, &plan.how) {
            (Some(device), _) => Err(format!("there is no network interface {device}")),
            (None, How::Static(..) | How::Dhcp) => Err("there is no network interface".to_owned()),
            (None, How::Automatic | How::Off) => Ok(()),
        };
    };
    let name = &interface.name;
    let network = |address: Option<(Ipv4Addr, u8)>, source| {
        let address = address.map(|(address, prefix)| format!("{address}/{prefix}"));
        Some(Network { interface: name.clone(), address, source })
    };
    let failed = |error: io::Error| format!("interface {name}: {error}");
    let hand_over = |servers: &[Ipv4Addr], problems: &mut Vec<String>| {
        problems.extend(resolver::hand_over(root, name, servers, settings.boot.mode));
    };
    if let Some(address) = links.global_address(interface.index).map_err(failed)? {
        let source = match &plan.how {
            How::Static(wanted, source) if wanted.address == address.0 => *source,
            _ => NetworkSource::Image,
        };
        outcome.record.network = network(Some(address), source);
        // What the kernel has set up by its own `ip=`, or an initramfs, may have come with name servers.
        let servers = match &plan.how {
            How::Static(wanted, _) => wanted.dns.clone(),
            _ => resolv_conf::of_earlier(root, name),
        };
        hand_over(&servers, &mut outcome.problems);
        return Ok(());
    }
    match &plan.how {
        How::Static(address, source) => {
            outcome.record.network = network(Some((address.address, address.prefix)), *source);
            apply(&mut links, &interface, address, None).map_err(failed)?;
            hand_over(&address.dns, &mut outcome.problems);
            Ok(())
        }
        How::Automatic if settings.boot.mode != BootMode::Workload && image::configures(root, name) => {
            outcome.record.network = network(None, NetworkSource::Image);
            Ok(())
        }
        How::Automatic | How::Dhcp | How::Off => {
            outcome.record.network = network(None, NetworkSource::Dhcp);
            links.up(interface.index).map_err(failed)?;
            let hostname = settings.hostname.as_deref();
            let lease = dhcp::obtain(&interface, hostname, ATTEMPTS).map_err(|error| error.to_string())?;
            take(&mut links, &interface, lease, &mut outcome.record).map_err(failed)?;
            let servers = outcome.record.lease.as_ref().map_or(&[][..], |held| &held.lease.address.dns);
            hand_over(servers, &mut outcome.problems);
            Ok(())
        }
    }
}

/// Gives an interface what was leased, and notes it.
fn take(links: &mut Links, interface: &Interface, lease: Lease, record: &mut Record) -> io::Result<()> {
    apply(links, interface, &lease.address, Some(&lease))?;
    let address = Some(format!("{}/{}", lease.address.address, lease.address.prefix));
    record.network = Some(Network { interface: interface.name.clone(), address, source: NetworkSource::Dhcp });
    record.lease = Some(record::Held { lease, since: record::since_boot() });
    Ok(())
}

fn apply(links: &mut Links, interface: &Interface, address: &Address, lease: Option<&Lease>) -> io::Result<()> {
    links.up(interface.index)?;
    if let Some(mtu) = lease.and_then(|lease| lease.mtu) {
        // A driver may not take it: then its own is as good as without DHCP.
        let _ = std::fs::write(format!("/sys/class/net/{}/mtu", interface.name), mtu.to_string());
    }
    links.add_address(interface.index, address.address, address.prefix)?;
    if let Some(gateway) = address.gateway {
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(address.prefix.into())).unwrap_or(0);
        let near = (gateway.to_bits() ^ address.address.to_bits()) & mask == 0;
        links.default_route(interface.index, gateway, !near, lease.is_some())?;
    }
    Ok(())
}
