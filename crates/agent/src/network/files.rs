//! /etc/resolv.conf and /etc/hosts, where they are missing or empty: what the image brings stays.

use std::fmt::Write;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Symbolic links that are followed from one to the next, as the kernel does.
const LINKS: usize = 40;

/// Bytes of either file that are looked at; what has more is not empty.
const LOOKED_AT: u64 = 64 << 10;

/// Writes resolv.conf below `root`, if it is missing or says nothing. Whether it was written.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_resolv_conf(root: &Path, dns: &[Ipv4Addr]) -> io::Result<bool> {
    if dns.is_empty() {
        return Ok(false);
    }
    let lines = dns.iter().fold(String::new(), |mut lines, server| {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "nameserver {server}");
        lines
    });
    write_if_empty(root, Path::new("etc/resolv.conf"), &lines)
}

/// Writes hosts below `root`, if it is missing or says nothing. Whether it was written.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_hosts(root: &Path, hostname: &str) -> io::Result<bool> {
    let mut lines = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    if crate::settings::is_hostname(hostname) && hostname != "localhost" {
        // Debian's way for a host without an address of its own that lasts.
        let _ = writeln!(lines, "127.0.1.1\t{hostname}");
    }
    write_if_empty(root, Path::new("etc/hosts"), &lines)
}

fn write_if_empty(root: &Path, name: &Path, content: &str) -> io::Result<bool> {
    let path = follow(root, name)?;
    match crate::file::read_at_most(&path, LOOKED_AT) {
        Ok(content) if content.iter().all(u8::is_ascii_whitespace) => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A link into /run leads to what a resolver of the image would write; elsewhere, what is missing is not ours to make.
            if let Some(parent) = path.parent().filter(|_| path.starts_with(root.join("run")) || !is_link(root, name)) {
                fs::create_dir_all(parent)?;
            }
        }
        Err(error) => return Err(error),
    }
    fs::write(&path, content)?;
    Ok(true)
}

fn is_link(root: &Path, name: &Path) -> bool {
    root.join(name).is_symlink()
}

/// Where a path below `root` leads to when its last part is a link, or a link to a link.
fn follow(root: &Path, name: &Path) -> io::Result<PathBuf> {
    let mut path = root.join(name);
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => clean(&path.parent().unwrap_or(root).join(target)),
        };
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// Without `..`: the directories on the way are the image's own, and may not be there yet.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            cleaned.pop();
        } else {
            cleaned.push(part);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const SERVER: [Ipv4Addr; 1] = [Ipv4Addr::new(10, 0, 2, 3)];

    fn root() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_missing_or_empty_is_written() {
        for content in [None, Some(""), Some(" \n")] {
            let root = root();
            let path = root.path().join("etc/resolv.conf");
            if let Some(content) = content {
                fs::create_dir(root.path().join("etc")).unwrap();
                fs::write(&path, content).unwrap();
            }
            assert!(write_resolv_conf(root.path(), &SERVER).unwrap());
            assert_eq!(fs::read_to_string(path).unwrap(), "nameserver 10.0.2.3\n");
        }
    }

    #[test]
    fn what_the_image_brings_stays() {
        let root = root();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hosts"), "# mine\n").unwrap();
        assert!(!write_hosts(root.path(), "box").unwrap());
        assert_eq!(fs::read_to_string(root.path().join("etc/hosts")).unwrap(), "# mine\n");
        assert!(!write_resolv_conf(root.path(), &[]).unwrap(), "there is nothing to say");
    }

    #[test]
    fn links_are_followed_into_run_and_nowhere_else() {
        let root = root();
        fs::create_dir(root.path().join("etc")).unwrap();
        let link = root.path().join("etc/resolv.conf");
        for target in ["../run/systemd/resolve/stub-resolv.conf", "/run/resolvconf/resolv.conf"] {
            symlink(target, &link).unwrap();
            assert!(write_resolv_conf(root.path(), &SERVER).unwrap());
            assert!(root.path().join("run").join(target.split_once("run/").unwrap().1).is_file(), "{target}");
            fs::remove_file(&link).unwrap();
        }
        symlink("/var/none/resolv.conf", &link).unwrap();
        assert!(write_resolv_conf(root.path(), &SERVER).is_err());
        fs::remove_file(&link).unwrap();
        symlink("resolv.conf", &link).unwrap();
        assert!(write_resolv_conf(root.path(), &SERVER).is_err());
    }

    #[test]
    fn hosts_name_this_host() {
        let root = root();
        assert!(write_hosts(root.path(), "box").unwrap());
        let hosts = fs::read_to_string(root.path().join("etc/hosts")).unwrap();
        assert!(hosts.contains("127.0.0.1\tlocalhost\n") && hosts.ends_with("127.0.1.1\tbox\n"), "{hosts}");
    }
}
