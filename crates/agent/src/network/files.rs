//! What /etc/hosts lacks: what the image brings stays. And where a file of /etc is that may be a link.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Symbolic links that are followed from one to the next, as the kernel does.
const LINKS: usize = 40;

/// Bytes of an /etc/hosts: lists of hosts that are to be blocked are some megabytes long.
const HOSTS: u64 = 64 << 20;

/// How a line ends that the agent has written.
const OURS: &str = "\t# this machine";

/// Has hosts below `root` name this host and `localhost`, whatever the image has in it: lines that are missing are added at its end. The
/// line of the host's own name is marked, so that another boot with another address or name can replace it; a line of the image for that name
/// stays. Whether it was written.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_hosts(root: &Path, hostname: &str, address: Option<Ipv4Addr>) -> io::Result<bool> {
    let path = follow(root, Path::new("etc/hosts"))?;
    let old = match crate::file::read_at_most(&path, HOSTS) {
        Ok(content) => String::from_utf8_lossy(&content).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let mut new: String = old.lines().filter(|line| !line.ends_with(OURS)).fold(String::new(), with_line);
    if !names(&new, "localhost") {
        new = with_line(new, "127.0.0.1\tlocalhost");
        new = with_line(new, "::1\tlocalhost ip6-localhost ip6-loopback");
    }
    if crate::settings::is_hostname(hostname) && !names(&new, hostname) {
        // Without an address of its own, Debian's way.
        let address = address.unwrap_or(Ipv4Addr::new(127, 0, 1, 1));
        new = with_line(new, &format!("{address}\t{hostname}{OURS}"));
    }
    if new == old {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::write(&path, &new) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && path.exists() => cover(&path, &new)?,
        written => written?,
    }
    Ok(true)
}

/// Puts a file in memory over one that cannot be written.
fn cover(path: &Path, content: &str) -> io::Result<()> {
    let beside = Path::new(banger_protocol::paths::RUN).join("hosts");
    fs::write(&beside, content)?;
    Ok(rustix::mount::mount_bind(&beside, path)?)
}

fn with_line(text: String, line: &str) -> String {
    text + line + "\n"
}

/// Whether a line of hosts(5) gives this name an address.
fn names(hosts: &str, name: &str) -> bool {
    hosts.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_ascii_whitespace().skip(1).any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// Where a path below `root` leads to when its last part is a link, or a link to a link.
pub(super) fn follow(root: &Path, name: &Path) -> io::Result<PathBuf> {
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

    fn root() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_the_image_brings_stays() {
        let root = root();
        fs::create_dir(root.path().join("etc")).unwrap();
        let path = root.path().join("etc/hosts");
        let own = "# mine\n127.0.0.1 localhost\n10.0.0.7\tbox.example BOX # and more\n";
        fs::write(&path, own).unwrap();
        assert!(!write_hosts(root.path(), "box", None).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), own);
    }

    #[test]
    fn hosts_name_this_host() {
        let root = root();
        let path = root.path().join("etc/hosts");
        let read = || fs::read_to_string(&path).unwrap();
        assert!(write_hosts(root.path(), "box", None).unwrap());
        let local = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
        assert_eq!(read(), format!("{local}127.0.1.1\tbox\t# this machine\n"));
        // The next boot has an address, and another name.
        assert!(write_hosts(root.path(), "web", Some(Ipv4Addr::new(10, 0, 2, 15))).unwrap());
        assert_eq!(read(), format!("{local}10.0.2.15\tweb\t# this machine\n"));
        assert!(!write_hosts(root.path(), "web", Some(Ipv4Addr::new(10, 0, 2, 15))).unwrap());
        assert!(write_hosts(root.path(), "localhost", None).unwrap());
        assert_eq!(read(), local);
        // A file without an end of line, and names that only look like it.
        fs::write(&path, "10.0.0.1 my-box boxes # box").unwrap();
        assert!(write_hosts(root.path(), "box", None).unwrap());
        assert!(read().starts_with("10.0.0.1 my-box boxes # box\n127.0.0.1\tlocalhost\n"), "{}", read());
        assert!(read().ends_with("127.0.1.1\tbox\t# this machine\n"), "{}", read());
    }
}
