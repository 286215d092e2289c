//! /etc/resolv.conf (resolv.conf(5)): the file that a C library asks, and what becomes of the image's own.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::files;
use crate::file;

const RESOLV_CONF: &str = "etc/resolv.conf";

/// Bytes of the file. What has more is not read, and replaced.
const BYTES: u64 = 64 << 10;

/// What an image's own file is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Nothing, as in a container: its run time puts another in its place.
    Replaced,
    /// What it says beside name servers, and a resolver of the guest's own: all of its servers are loopback addresses.
    Respected,
}

/// Has the file below `root` name these servers. Links are followed, also to a file that is not there yet: a resolver in /run that has not
/// started finds it replaced.
///
/// # Errors
/// It cannot be read or written.
pub(super) fn write(root: &Path, servers: &[Ipv4Addr], own: Own) -> io::Result<()> {
    let path = files::follow(root, Path::new(RESOLV_CONF))?;
    let content = match file::read_at_most(&path, BYTES) {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => String::new(),
        Err(error) => return Err(error),
    };
    let of_this_boot = path.starts_with(root.join("run"));
    let Some(content) = replacement(&content, servers, own, of_this_boot) else { return Ok(()) };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    file::replace(&path, content.as_bytes(), 0o644)
}

/// The content that the file is to have; `None` where it stays. What stands in /run was written in this boot, by a program that knows more
/// servers than these.
fn replacement(content: &str, servers: &[Ipv4Addr], own: Own, of_this_boot: bool) -> Option<String> {
    let ours: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let named: Vec<&str> = content.lines().filter_map(name_server).collect();
    let is_ours = |name: &&str| servers.iter().any(|server| server.to_string() == **name);
    match own {
        Own::Replaced => (content != ours).then_some(ours),
        Own::Respected if named.is_empty() => Some(others(content) + &ours),
        Own::Respected if of_this_boot || named.iter().any(is_ours) || named.iter().all(is_loopback) => None,
        Own::Respected => Some(others(content) + &ours),
    }
}

/// The lines that name no server.
fn others(content: &str) -> String {
    let lines = content.lines().filter(|line| name_server(line).is_none() && !line.trim().is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// The server of a line `nameserver ADDRESS`.
fn name_server(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|&word| word == "nameserver")?;
    words.next()
}

fn is_loopback(name: &&str) -> bool {
    name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The name servers that the kernel or an initramfs has got for an interface, before there was an agent: the kernel's `ip=` tells in
/// /proc/net/pnp, ipconfig of klibc in /run.
pub(super) fn of_earlier(root: &Path, interface: &str) -> Vec<Ipv4Addr> {
    let read = |path: PathBuf| {
        let content = file::read_at_most(&path, BYTES).unwrap_or_default();
        String::from_utf8_lossy(&content).into_owned()
    };
    let kernel = read(root.join("proc/net/pnp"));
    let ipconfig = read(root.join(format!("run/net-{interface}.conf")));
    let of_ipconfig = ipconfig.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        matches!(name, "IPV4DNS0" | "IPV4DNS1").then(|| value.trim_matches(['\'', '"']))
    });
    let all = kernel.lines().filter_map(name_server).chain(of_ipconfig);
    let mut servers = Vec::new();
    for server in all.filter_map(|text| text.parse::<Ipv4Addr>().ok()).filter(|server| !server.is_unspecified()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 2, 3), Ipv4Addr::new(10, 0, 2, 4)];
    const OURS: &str = "nameserver 10.0.2.3\nnameserver 10.0.2.4\n";

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        root
    }

    #[test]
    fn an_images_file_is_replaced_or_respected() {
        let stale = "# of the builder\nsearch corp.example\n\n nameserver 192.168.65.7\n";
        for (content, own, in_run, expected) in [
            ("", Own::Respected, false, Some(OURS.to_owned())),
            (" \n# nothing\n", Own::Respected, false, Some(format!("# nothing\n{OURS}"))),
            ("options edns0\n", Own::Respected, false, Some(format!("options edns0\n{OURS}"))),
            (stale, Own::Respected, false, Some(format!("# of the builder\nsearch corp.example\n{OURS}"))),
            // A program of this boot has more to say.
            (stale, Own::Respected, true, None),
            ("nameserver 10.0.2.4\nnameserver 9.9.9.9\n", Own::Respected, false, None),
            // A resolver of the guest's own.
            ("nameserver 127.0.0.53\noptions edns0\n", Own::Respected, false, None),
            ("nameserver ::1\nnameserver 127.0.0.1\n", Own::Respected, false, None),
            ("nameserver 127.0.0.1\nnameserver 8.8.8.8\n", Own::Respected, false, Some(OURS.to_owned())),
            ("", Own::Replaced, false, Some(OURS.to_owned())),
            (stale, Own::Replaced, false, Some(OURS.to_owned())),
            ("nameserver 127.0.0.1\n", Own::Replaced, true, Some(OURS.to_owned())),
            (OURS, Own::Replaced, false, None),
        ] {
            assert_eq!(replacement(content, &SERVERS, own, in_run), expected, "{content:?} {own:?} {in_run}");
        }
    }

    #[test]
    fn links_are_followed_also_to_what_is_not_there() {
        for target in [
            "../run/systemd/resolve/stub-resolv.conf",
            "/run/resolvconf/resolv.conf",
            "/run/NetworkManager/resolv.conf",
            "/var/none/resolv.conf",
            "other",
        ] {
            for own in [Own::Replaced, Own::Respected] {
                let root = root();
                let link = root.path().join(RESOLV_CONF);
                symlink(target, &link).unwrap();
                write(root.path(), &SERVERS, own).unwrap();
                assert!(link.is_symlink(), "{target}");
                let path = files::follow(root.path(), Path::new(RESOLV_CONF)).unwrap();
                assert!(path.starts_with(root.path()), "{target}");
                assert_eq!(fs::read_to_string(path).unwrap(), OURS, "{target}");
            }
        }
    }

    #[test]
    fn a_file_that_is_missing_is_made_and_one_of_nonsense_replaced() {
        let root = root();
        let path = root.path().join(RESOLV_CONF);
        write(root.path(), &SERVERS, Own::Respected).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
        fs::write(&path, "x".repeat(100_000)).unwrap();
        write(root.path(), &SERVERS, Own::Respected).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), OURS);
        fs::remove_file(&path).unwrap();
        symlink("resolv.conf", &path).unwrap();
        assert!(write(root.path(), &SERVERS, Own::Respected).is_err(), "it leads to itself");
    }

    #[test]
    fn what_the_kernel_or_an_initramfs_got_is_known() {
        let root = root();
        assert_eq!(of_earlier(root.path(), "eth0"), [Ipv4Addr::UNSPECIFIED; 0]);
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        fs::write(root.path().join("proc/net/pnp"), "#PROTO: DHCP\nnameserver 10.0.2.3\nbootserver 10.0.2.2\n")
            .unwrap();
        let ipconfig = "DEVICE='eth0'\nIPV4DNS0='10.0.2.3'\nIPV4DNS1='0.0.0.0'\nIPV4DNS1='10.0.2.4'\n";
        fs::write(root.path().join("run/net-eth0.conf"), ipconfig).unwrap();
        assert_eq!(of_earlier(root.path(), "eth0"), SERVERS);
        assert_eq!(of_earlier(root.path(), "eth1"), SERVERS[..1]);
    }
}
