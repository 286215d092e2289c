//! /etc/hosts, where it is missing or empty: what the image brings stays. And where a file of /etc is that may be a link.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Symbolic links that are followed from one to the next, as the kernel does.
const LINKS: usize = 40;

/// Bytes of the file that are looked at; what has more is not empty.
const LOOKED_AT: u64 = 64 << 10;

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
        fs::write(root.path().join("etc/hosts"), "# mine\n").unwrap();
        assert!(!write_hosts(root.path(), "box").unwrap());
        assert_eq!(fs::read_to_string(root.path().join("etc/hosts")).unwrap(), "# mine\n");
    }

    #[test]
    fn hosts_name_this_host() {
        let root = root();
        assert!(write_hosts(root.path(), "box").unwrap());
        let hosts = fs::read_to_string(root.path().join("etc/hosts")).unwrap();
        assert!(hosts.contains("127.0.0.1\tlocalhost\n") && hosts.ends_with("127.0.1.1\tbox\n"), "{hosts}");
    }
}
