//! Name servers, given to whatever the image resolves names with. What the machine has got is the same for all, wherever it comes from: a lease,
//! the settings, the kernel's command line.
//!
//! | the image has | what is done |
//! |---|---|
//! | systemd-resolved, started by systemd | a drop-in of resolved.conf(5) in /run, which it reads when it starts; reloaded when it runs already |
//! | resolvconf (Debian's, openresolv) | `resolvconf -a` |
//! | neither | nothing more |
//!
//! After that /etc/resolv.conf must name a server ([`resolv_conf`]).

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use banger_protocol::boot::BootMode;

use super::resolv_conf::{self, Own};
use crate::launch::PATH;
use crate::{file, program};

/// Where systemd-resolved is, where its unit is masked, and where it finds a configuration for this boot.
const RESOLVED: [&str; 2] = ["usr/lib/systemd/systemd-resolved", "lib/systemd/systemd-resolved"];
const UNIT: &str = "systemd-resolved.service";
const DROP_IN: &str = "run/systemd/resolved.conf.d/50-banger.conf";

/// The directory by which systemd is known to run (sd_booted(3)).
const BOOTED: &str = "run/systemd/system";

/// Where programs of administrators are.
const DIRECTORIES: [&str; 4] = ["usr/sbin", "sbin", "usr/bin", "bin"];

/// Under which name systemd-resolved comes in resolvconf's place.
const RESOLVECTL: &str = "resolvectl";

/// How long such a program may take. A busy guest does it a little later, by itself.
const LONGEST: Duration = Duration::from_secs(20);

/// Gives the name servers of an interface to whatever the image below `root`, which boots in this mode, resolves names with. Returns what did
/// not work, in words.
pub(super) fn hand_over(root: &Path, interface: &str, servers: &[Ipv4Addr], mode: BootMode) -> Vec<String> {
    let mut problems = Vec::new();
    if servers.is_empty() {
        return problems;
    }
    if mode == BootMode::Systemd && RESOLVED.iter().any(|path| root.join(path).exists()) {
        problems.extend(to_resolved(root, servers).err().map(|error| format!("systemd-resolved: {error}")));
    }
    // Without an init there is nothing that has prepared resolvconf's directories.
    if mode != BootMode::Workload
        && let Some(resolvconf) = resolvconf(root)
    {
        let given = to_resolvconf(&resolvconf, interface, servers);
        problems.extend(given.err().map(|error| format!("{}: {error}", resolvconf.display())));
    }
    let own = if mode == BootMode::Workload { Own::Replaced } else { Own::Respected };
    let written = resolv_conf::write(root, servers, own);
    problems.extend(written.err().map(|error| format!("/etc/resolv.conf: {error}")));
    problems
}

fn to_resolved(root: &Path, servers: &[Ipv4Addr]) -> io::Result<()> {
    let servers: Vec<String> = servers.iter().map(Ipv4Addr::to_string).collect();
    let content = format!("# Name servers of this machine (banger).\n[Resolve]\nDNS={}\n", servers.join(" "));
    let path = root.join(DROP_IN);
    if file::read_at_most(&path, content.len() as u64).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    file::replace(&path, content.as_bytes(), 0o644)?;
    if is_masked(root) || !root.join(BOOTED).is_dir() {
        return Ok(());
    }
    let Some(systemctl) = find(root, "systemctl") else { return Ok(()) };
    // Versions before 256 cannot reload it. One that has not started is left alone.
    let mut command = Command::new(systemctl);
    command.args(["--quiet", "--no-ask-password", "try-reload-or-restart", UNIT]);
    run(&mut command, b"")
}

fn is_masked(root: &Path) -> bool {
    let target = fs::read_link(root.join("etc/systemd/system").join(UNIT));
    target.is_ok_and(|target| target == Path::new("/dev/null"))
}

/// resolvconf, unless it is another name of what speaks to systemd-resolved.
fn resolvconf(root: &Path) -> Option<PathBuf> {
    let found = find(root, "resolvconf")?;
    let target = fs::canonicalize(&found).ok()?;
    (target.file_name() != Some(RESOLVECTL.as_ref())).then_some(found)
}

fn to_resolvconf(resolvconf: &Path, interface: &str, servers: &[Ipv4Addr]) -> io::Result<()> {
    let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    run(Command::new(resolvconf).arg("-a").arg(format!("{interface}.banger")), lines.as_bytes())
}

fn find(root: &Path, name: &str) -> Option<PathBuf> {
    DIRECTORIES.iter().map(|directory| root.join(directory).join(name)).find(|path| path.exists())
}

fn run(command: &mut Command, input: &[u8]) -> io::Result<()> {
    command.env_clear().env("PATH", PATH).stdout(Stdio::null()).stderr(Stdio::null());
    match program::run(command, input, LONGEST)? {
        Some(status) if !status.success() => Err(io::Error::other(status.to_string())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(10, 0, 2, 4)];

    /// An image with these programs, which note that they were called, and with which arguments and input.
    fn image(programs: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let calls = root.path().join("calls");
        fs::write(&calls, "").unwrap();
        for name in programs {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{{ echo \"${{0##*/}} $*\"; cat; }} >>{}\n", calls.display())).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        root
    }

    fn read(root: &Path, name: &str) -> Option<String> {
        fs::read_to_string(root.join(name)).ok()
    }

    const RESOLVED_AND_SYSTEMCTL: [&str; 2] = ["usr/lib/systemd/systemd-resolved", "usr/bin/systemctl"];

    #[test]
    fn resolved_is_told_once_and_reloaded_when_something_is_new() {
        let root = image(&RESOLVED_AND_SYSTEMCTL);
        fs::create_dir_all(root.path().join(BOOTED)).unwrap();
        let call = "systemctl --quiet --no-ask-password try-reload-or-restart systemd-resolved.service\n";
        for (servers, line, calls) in [
            (&SERVERS[..], "10.0.2.3 10.0.2.4", 1),
            (&SERVERS[..], "10.0.2.3 10.0.2.4", 1),
            (&SERVERS[1..], "10.0.2.4", 2),
        ] {
            assert_eq!(hand_over(root.path(), "eth0", servers, BootMode::Systemd), [""; 0]);
            let drop_in = read(root.path(), DROP_IN).unwrap();
            assert!(drop_in.ends_with(&format!("[Resolve]\nDNS={line}\n")), "{drop_in}");
            assert_eq!(read(root.path(), "calls").unwrap(), call.repeat(calls));
        }
    }

    #[test]
    fn resolved_that_nothing_starts_is_left_alone() {
        let root = image(&RESOLVED_AND_SYSTEMCTL);
        for mode in [BootMode::Init, BootMode::Openrc, BootMode::Workload] {
            hand_over(root.path(), "eth0", &SERVERS, mode);
            assert_eq!(read(root.path(), DROP_IN), None, "{mode:?}");
        }
        fs::create_dir_all(root.path().join(BOOTED)).unwrap();
        fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
        symlink("/dev/null", root.path().join("etc/systemd/system").join(UNIT)).unwrap();
        hand_over(root.path(), "eth0", &SERVERS, BootMode::Systemd);
        assert_eq!(read(root.path(), "calls").unwrap(), "");
        assert_eq!(read(root.path(), "etc/resolv.conf").unwrap(), "nameserver 10.0.2.3\nnameserver 10.0.2.4\n");
    }

    #[test]
    fn resolvconf_gets_what_the_file_would_get() {
        for name in ["sbin/resolvconf", "usr/sbin/resolvconf", "usr/bin/resolvconf"] {
            for mode in [BootMode::Systemd, BootMode::Init, BootMode::Openrc] {
                let root = image(&[name]);
                assert_eq!(hand_over(root.path(), "eth0", &SERVERS, mode), [""; 0]);
                let expected = "resolvconf -a eth0.banger\nnameserver 10.0.2.3\nnameserver 10.0.2.4\n";
                assert_eq!(read(root.path(), "calls").unwrap(), expected, "{name} {mode:?}");
            }
        }
        let root = image(&["usr/sbin/resolvconf"]);
        hand_over(root.path(), "eth0", &SERVERS, BootMode::Workload);
        assert_eq!(read(root.path(), "calls").unwrap(), "");
    }

    #[test]
    fn resolvectl_under_another_name_is_not_resolvconf() {
        let root = image(&["usr/bin/resolvectl"]);
        fs::create_dir(root.path().join("usr/sbin")).unwrap();
        symlink("../bin/resolvectl", root.path().join("usr/sbin/resolvconf")).unwrap();
        hand_over(root.path(), "eth0", &SERVERS, BootMode::Systemd);
        assert_eq!(read(root.path(), "calls").unwrap(), "");
    }

    #[test]
    fn a_program_that_fails_is_told_and_the_file_is_written_all_the_same() {
        let root = image(&[]);
        fs::create_dir(root.path().join("sbin")).unwrap();
        let path = root.path().join("sbin/resolvconf");
        fs::write(&path, "#!/bin/sh\nexit 3\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let problems = hand_over(root.path(), "eth0", &SERVERS, BootMode::Init);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].ends_with("sbin/resolvconf: exit status: 3"), "{problems:?}");
        assert!(read(root.path(), "etc/resolv.conf").is_some());
    }

    #[test]
    fn without_name_servers_all_stays() {
        let root = image(&RESOLVED_AND_SYSTEMCTL);
        assert_eq!(hand_over(root.path(), "eth0", &[], BootMode::Systemd), [""; 0]);
        assert_eq!((read(root.path(), DROP_IN), read(root.path(), "etc/resolv.conf")), (None, None));
    }
}
