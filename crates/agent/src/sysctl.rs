//! Kernel settings below `/proc/sys`.
//!
//! The kernel's own values are those of a machine that nobody has set up. What distributions and container runtimes set, and programs
//! expect, is set where the agent runs the image's command ([`set_usual`]). What was asked for (`--sysctl`) is set in every machine
//! ([`set_wanted`]): before an init starts, and again when the service does, after an init has set what its own files say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use banger_protocol::tuning::{check_sysctl, sysctl_path};

/// Where the settings are.
const ROOT: &str = "/proc/sys";

/// What is set to a value, and why: docker sets both in each container, so that an image's user needs no capability to listen on port 80
/// and to ping.
const FIXED: [(&str, &str); 2] =
    [("net/ipv4/ip_unprivileged_port_start", "0"), ("net/ipv4/ping_group_range", "0 2147483647")];

/// What is raised to a value where the kernel's own is lower.
///
/// - Mappings of a process: 1,048,576 in current distributions; search engines do not start with fewer than 262,144.
/// - Files watched by a user, and watchers: the kernel derives the first from the memory, which leaves 8,192 in a small machine; of the
///   second it has 128, which one development server with its plugins can use up.
const AT_LEAST: [(&str, u64); 3] = [
    ("vm/max_map_count", 1_048_576),
    ("fs/inotify/max_user_watches", 524_288),
    ("fs/inotify/max_user_instances", 1024),
];

/// Sets what images that are written for containers expect. What did not work, in words.
pub(crate) fn set_usual() -> Vec<String> {
    let fixed = FIXED.into_iter().map(|(path, value)| (path, Some(value.to_owned())));
    let raised = AT_LEAST.into_iter().map(|(path, least)| {
        let now = fs::read_to_string(Path::new(ROOT).join(path)).ok().and_then(|text| text.trim().parse().ok());
        (path, now.is_none_or(|now: u64| now < least).then(|| least.to_string()))
    });
    let set = |(path, value): (&str, Option<String>)| match write(path, &value?) {
        // A kernel without the feature has nothing that could be too low.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Some(format!("{ROOT}/{path}: {error}")),
        _ => None,
    };
    fixed.chain(raised).filter_map(set).collect()
}

/// Sets what was asked for. What did not work, in words.
pub(crate) fn set_wanted(wanted: &BTreeMap<String, String>) -> Vec<String> {
    let set = |(name, value): (&String, &String)| {
        if let Err(reason) = check_sysctl(name, value) {
            return Some(reason);
        }
        let path = sysctl_path(name)?;
        match write(&path, value) {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("sysctl {name}: this kernel has no such setting ({ROOT}/{path})"))
            }
            Err(error) => Some(format!("sysctl {name}={value}: {error}")),
        }
    };
    wanted.iter().filter_map(set).collect()
}

fn write(path: &str, value: &str) -> io::Result<()> {
    // Never made: what is not there is no setting.
    let mut file = fs::OpenOptions::new().write(true).open(Path::new(ROOT).join(path))?;
    io::Write::write_all(&mut file, format!("{value}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_setting_is_told() {
        let wanted = ["net.core.no_such", "../../tmp/x", "kernel"].map(|name| (name.to_owned(), "1".to_owned()));
        let problems = set_wanted(&wanted.into());
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("this kernel has no such setting")), "{problems:?}");
    }
}
