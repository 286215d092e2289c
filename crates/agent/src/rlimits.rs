//! Limits of what is started for a user (getrlimit(2)): those that docker's containers have, and those that were asked for.
//!
//! What the kernel does not take is found out once, by the service for itself, before it starts anything: then it is a problem that can be
//! told, and no reason why a command does not start.

use std::collections::BTreeMap;

use banger_protocol::tuning::Ulimit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files: soft and hard, as docker's daemon had it until Engine 29, and cri-o has it. Programs that need many and do not raise the soft
/// limit by themselves depend on it.
const FILES: i64 = 1_048_576;

/// Bytes that a user without privileges may lock into memory: what the kernel and systemd give.
const LOCKED: i64 = 8 << 20;

/// What docker's containers have and the kernel's first process has not; -1 is no limit.
const USUAL: [(&str, i64); 4] = [("nofile", FILES), ("nproc", -1), ("core", -1), ("memlock", LOCKED)];

/// Limits that a process is given.
pub type Limits = Vec<(Resource, Rlimit)>;

/// Returns the usual limits with those that were asked for in their place, as far as the kernel takes them; and what it does not take, in
/// words. `usual` is false where an init gives the usual ones.
pub(crate) fn choose(usual: bool, wanted: &BTreeMap<String, Ulimit>) -> (Limits, Vec<String>) {
    let mut limits: BTreeMap<&str, Ulimit> = BTreeMap::new();
    if usual {
        limits.extend(USUAL.map(|(name, limit)| (name, Ulimit { soft: limit, hard: limit })));
    }
    limits.extend(wanted.iter().map(|(name, limit)| (name.as_str(), *limit)));
    let mut problems = Vec::new();
    let mut taken = Limits::new();
    for (name, limit) in limits {
        let [current, maximum] = limit.values();
        match resource(name).filter(|_| limit.is_valid()) {
            None => problems.push(format!("ulimit {name}={limit} is no limit")),
            Some(resource) => match try_out(resource, Rlimit { current, maximum }) {
                Ok(()) => taken.push((resource, Rlimit { current, maximum })),
                Err(error) => problems.push(format!("ulimit {name}={limit}: {error}")),
            },
        }
    }
    (taken, problems)
}

/// Whether the kernel takes a limit: for a moment, this process has it.
fn try_out(resource: Resource, limit: Rlimit) -> std::io::Result<()> {
    let own = getrlimit(resource);
    setrlimit(resource, limit)?;
    Ok(setrlimit(resource, own)?)
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_of_the_protocol_is_one_of_the_kernel() {
        for name in banger_protocol::tuning::LIMITS {
            assert!(resource(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_take_is_told_and_left_out() {
        // More files than any kernel has, for root as well.
        let wanted = [("files", 1, 1), ("cpu", 2, 1), ("nofile", 1 << 40, 1 << 40)];
        let wanted = wanted.map(|(name, soft, hard)| (name, Ulimit { soft, hard }));
        let (taken, problems) = choose(false, &wanted.map(|(name, limit)| (name.to_owned(), limit)).into());
        assert!(taken.is_empty());
        assert_eq!(problems.len(), 3, "{problems:?}");
        // A hard limit that is lowered cannot be raised again without privileges: it stays as it is.
        let own = getrlimit(Resource::Core);
        let same = Ulimit { soft: 0, hard: own.maximum.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1)) };
        let (taken, problems) = choose(false, &BTreeMap::from([("core".to_owned(), same)]));
        assert_eq!((taken.len(), problems.len()), (1, 0), "{problems:?}");
        assert_eq!(getrlimit(Resource::Core).current, own.current, "it was for a moment");
    }
}
