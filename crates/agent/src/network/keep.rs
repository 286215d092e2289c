//! Keeps the network for as long as the guest runs: renews what was leased, asks on where no server has answered yet, and looks for the address
//! where another program of the image sets it up.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use banger_protocol::health::NetworkSource;

use super::dhcp::{self, DhcpError};
use super::link::{self, Interface, Links};
use super::record::{Held, Record, since_boot};
use super::{resolver, take, write_record};
use crate::state::State;

/// The shortest time between two attempts to renew (RFC 2131, 4.4.5).
const SHORTEST: Duration = Duration::from_secs(60);
/// After an error that a server has nothing to do with.
const PAUSE: Duration = Duration::from_secs(10);
/// How often it is looked for an address that others set.
const LOOK: Duration = Duration::from_secs(2);
/// How often a server is asked in one go, with growing pauses.
const ATTEMPTS: u32 = 8;

/// Keeps what `record` tells. Does not return where there is something to be kept.
pub(crate) fn keep(state: &Arc<State>, mut record: Record) {
    let Some(network) = record.network.clone() else { return };
    let Some(interface) = link::wait_for(Some(&network.interface), PAUSE) else { return };
    match network.source {
        NetworkSource::Dhcp => loop {
            step(state, &interface, &mut record);
        },
        NetworkSource::Image => loop {
            look(state, &interface, &mut record);
            thread::sleep(LOOK);
        },
        NetworkSource::CommandLine | NetworkSource::Settings => {}
    }
}

fn look(state: &State, interface: &Interface, record: &mut Record) {
    let address = Links::open().and_then(|mut links| links.global_address(interface.index)).ok().flatten();
    let address = address.map(|(address, prefix)| format!("{address}/{prefix}"));
    if let Some(network) = &mut record.network
        && network.address != address
    {
        network.address = address;
        state.set_network(Some(network.clone()));
    }
}

/// Comes to a lease, or waits until there is something to be done for the one that is held, and does it.
fn step(state: &State, interface: &Interface, record: &mut Record) {
    let hostname = state.settings().hostname.as_deref();
    let Some(held) = record.lease.clone() else {
        match dhcp::obtain(interface, hostname, ATTEMPTS) {
            Ok(lease) => accept(state, interface, lease, record),
            Err(DhcpError::Silence(_)) => {}
            Err(error) => {
                note(state, record, error.to_string());
                thread::sleep(PAUSE);
            }
        }
        return;
    };
    match due(&held, since_boot()) {
        Due::Wait(time) => thread::sleep(time),
        Due::Over => give_up(state, interface, &held, record),
        Due::Renew { rebind, next } => match dhcp::renew(interface, &held.lease, hostname, rebind) {
            Ok(lease) => accept(state, interface, lease, record),
            Err(DhcpError::Refused(_)) => give_up(state, interface, &held, record),
            Err(DhcpError::Silence(_) | DhcpError::Io { .. }) => thread::sleep(next),
        },
    }
}

/// What a lease needs.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// Nothing, for so long.
    Wait(Duration),
    /// To be renewed: by any server or its own; after so long once more.
    Renew { rebind: bool, next: Duration },
    /// It is over.
    Over,
}

fn due(held: &Held, now: Duration) -> Due {
    let Some(ends) = held.lease.ends else { return Due::Wait(Duration::from_secs(u64::from(u32::MAX))) };
    let age = now.saturating_sub(held.since);
    // Half of the time that is left to the next stage, but not too often.
    let next = |stage: Duration| (stage.saturating_sub(age) / 2).max(SHORTEST);
    if age < held.lease.renew {
        Due::Wait(held.lease.renew.saturating_sub(age))
    } else if age < held.lease.rebind {
        Due::Renew { rebind: false, next: next(held.lease.rebind).min(held.lease.rebind.saturating_sub(age)) }
    } else if age < ends {
        Due::Renew { rebind: true, next: next(ends).min(ends.saturating_sub(age)) }
    } else {
        Due::Over
    }
}

fn accept(state: &State, interface: &Interface, lease: dhcp::Lease, record: &mut Record) {
    let before = record.lease.as_ref().map(|held| held.lease.address.dns.clone());
    let taken = Links::open().and_then(|mut links| take(&mut links, interface, lease, record));
    if let Err(error) = taken {
        note(state, record, format!("interface {}: {error}", interface.name));
        thread::sleep(PAUSE);
        return;
    }
    for problem in record.problems.drain(..) {
        state.solved(&problem);
    }
    let dns = record.lease.as_ref().map_or(&[][..], |held| &held.lease.address.dns);
    if before.as_deref() != Some(dns) {
        let mode = state.settings().boot.mode;
        for problem in resolver::hand_over(Path::new("/"), &interface.name, dns, mode) {
            state.problem(problem);
        }
    }
    publish(state, record);
}

fn give_up(state: &State, interface: &Interface, held: &Held, record: &mut Record) {
    let address = &held.lease.address;
    let removed =
        Links::open().and_then(|mut links| links.remove_address(interface.index, address.address, address.prefix));
    // It may have been removed by hand; what counts is that it is not used any more.
    let _ = removed;
    record.lease = None;
    if let Some(network) = &mut record.network {
        network.address = None;
    }
    note(state, record, format!("the lease of {} on {} is over", address.address, interface.name));
    publish(state, record);
}

fn note(state: &State, record: &mut Record, problem: String) {
    if !record.problems.contains(&problem) {
        record.problems.push(problem.clone());
        state.problem(problem);
    }
}

fn publish(state: &State, record: &Record) {
    state.set_network(record.network.clone());
    if let Err(error) = write_record(record) {
        state.problem(format!("{}/network.json: {error}", banger_protocol::paths::RUN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::plan::Address;

    #[test]
    fn a_lease_is_renewed_then_rebound_then_over() {
        let seconds = Duration::from_secs;
        let address = Address { address: [10, 0, 0, 2].into(), prefix: 24, gateway: None, dns: Vec::new() };
        let (renew, rebind, ends) = (seconds(1800), seconds(3150), Some(seconds(3600)));
        let lease = dhcp::Lease { address, server: [10, 0, 0, 1].into(), mtu: None, renew, rebind, ends };
        let held = Held { lease, since: seconds(100) };
        for (now, expected) in [
            (100, Due::Wait(seconds(1800))),
            (1899, Due::Wait(seconds(1))),
            (1900, Due::Renew { rebind: false, next: seconds(675) }),
            (3240, Due::Renew { rebind: false, next: seconds(10) }),
            (3250, Due::Renew { rebind: true, next: seconds(225) }),
            (3700, Due::Over),
        ] {
            assert_eq!(due(&held, seconds(now)), expected, "{now}");
        }
        let forever = Held { lease: dhcp::Lease { ends: None, ..held.lease }, since: seconds(0) };
        assert!(matches!(due(&forever, seconds(1 << 40)), Due::Wait(_)));
    }
}
