//! Kernel settings and limits of processes, in the syntax of docker's `--sysctl` and `--ulimit`.
//!
//! A name that no kernel can know is refused here, before there is any machine. Whether the guest's kernel takes a value, only that kernel
//! says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a limit is called that is none, on a command line and in JSON.
const UNLIMITED: i64 = -1;

/// The limits that there are (getrlimit(2)), by docker's names.
pub const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// A soft and a hard limit; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// What holds.
    pub soft: i64,
    /// How far the process may raise it.
    pub hard: i64,
}

impl Ulimit {
    /// Reads the value of the limit that docker calls `name`: `SOFT[:HARD]`.
    ///
    /// # Errors
    /// There is no such limit, or the value is none: in words.
    pub fn named(name: &str, value: &str) -> Result<Self, String> {
        if !LIMITS.contains(&name) {
            return Err(format!("there is no limit {name:?}; there are {}", LIMITS.join(", ")));
        }
        value.parse().map_err(|reason| format!("limit {name}: {value:?}: {reason}"))
    }

    /// Returns the limits as the kernel takes them; `None` is unlimited.
    pub fn values(self) -> [Option<u64>; 2] {
        [self.soft, self.hard].map(|limit| u64::try_from(limit).ok())
    }

    /// Whether the soft limit is within the hard one, and both are limits.
    pub fn is_valid(self) -> bool {
        let finite = |limit: i64| if limit == UNLIMITED { i64::MAX } else { limit };
        self.soft >= UNLIMITED && self.hard >= UNLIMITED && finite(self.soft) <= finite(self.hard)
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.soft, self.hard)
    }
}

impl FromStr for Ulimit {
    type Err = &'static str;

    /// Reads `SOFT[:HARD]`; the hard limit is the soft one where it is not given.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.parse().map_err(|_| "a limit is a number, and -1 is no limit");
        let limit = Self { soft: number(soft)?, hard: number(hard)? };
        if limit.is_valid() { Ok(limit) } else { Err("the soft limit must not be above the hard one") }
    }
}

/// Returns the path of a kernel setting below `/proc/sys`, as sysctl(8) reads names: the first separator, `.` or `/`, separates, and the
/// other one belongs to a name (`net/ipv4/conf/eth0.1/forwarding`). `None` where it is no name of a setting.
pub fn sysctl_path(name: &str) -> Option<String> {
    let separator = name.find(['.', '/']).and_then(|at| name.get(at..)?.chars().next())?;
    let path: String = if separator == '.' {
        let swap = |c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        name.chars().map(swap).collect()
    } else {
        name.to_owned()
    };
    let is_part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@');
        !part.is_empty() && part != "." && part != ".." && part.chars().all(known)
    };
    path.split('/').all(is_part).then_some(path)
}

/// Checks a kernel setting as far as that can be done without its kernel.
///
/// # Errors
/// It has no such name, or its value is no line: in words.
pub fn check_sysctl(name: &str, value: &str) -> Result<(), String> {
    if sysctl_path(name).is_none() {
        return Err(format!("{name:?} is no name of a kernel setting; wanted one such as net.core.somaxconn"));
    }
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(format!("kernel setting {name}: its value is one line"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        for (text, soft, hard) in [("1024:4096", 1024, 4096), ("7", 7, 7), ("-1", -1, -1), ("5:-1", 5, -1), ("0", 0, 0)]
        {
            assert_eq!(text.parse(), Ok(Ulimit { soft, hard }), "{text}");
        }
        for text in ["", "a", "1:", ":1", "1:2:3", "2:1", "-1:5", "-2", "1.5", "9223372036854775808"] {
            assert!(text.parse::<Ulimit>().is_err(), "{text}");
        }
        assert_eq!(Ulimit { soft: 3, hard: -1 }.values(), [Some(3), None]);
    }

    #[test]
    fn settings_have_paths() {
        for (name, path) in [
            ("net.core.somaxconn", Some("net/core/somaxconn")),
            ("kernel/core_pattern", Some("kernel/core_pattern")),
            ("net.ipv4.conf.eth0/1.forwarding", Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net/ipv4/conf/eth0.1/forwarding", Some("net/ipv4/conf/eth0.1/forwarding")),
            ("somaxconn", None),
            ("", None),
            ("net..core", None),
            ("../../etc/passwd", None),
            ("net/../core", None),
            ("/net/core", None),
            ("net.core. x", None),
            ("net.core.\n", None),
        ] {
            assert_eq!(sysctl_path(name).as_deref(), path, "{name}");
        }
    }
}
