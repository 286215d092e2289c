//! Whether the image sets up an interface with a program of its own: ifupdown, systemd-networkd, NetworkManager. Then it is left to it.

use std::fs;
use std::path::Path;

/// Bytes of a configuration that is looked at.
const CONFIGURATION: u64 = 256 << 10;

/// Whether the image below `root` has a configuration for this interface, and the program for it.
pub(super) fn configures(root: &Path, interface: &str) -> bool {
    ifupdown(root, interface) || networkd(root) || network_manager(root)
}

/// interfaces(5): `iface NAME inet ...` with anything but `manual`.
fn ifupdown(root: &Path, interface: &str) -> bool {
    if !["sbin/ifup", "usr/sbin/ifup"].iter().any(|program| root.join(program).exists()) {
        return false;
    }
    let mut files = vec![root.join("etc/network/interfaces")];
    let more = fs::read_dir(root.join("etc/network/interfaces.d"));
    files.extend(more.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())));
    files.iter().any(|path| {
        let content = crate::file::read_at_most(path, CONFIGURATION).unwrap_or_default();
        String::from_utf8_lossy(&content).lines().any(|line| {
            let mut words = line.split_ascii_whitespace();
            let (first, name, family, method) = (words.next(), words.next(), words.next(), words.next());
            first == Some("iface") && name == Some(interface) && family == Some("inet") && method != Some("manual")
        })
    })
}

/// systemd-networkd is enabled, and somebody has written a configuration: those that come with it are for containers and the like.
fn networkd(root: &Path) -> bool {
    let has_network = |directory: &str| {
        let entries = fs::read_dir(root.join(directory)).into_iter().flatten();
        entries
            .filter_map(Result::ok)
            .any(|entry| Path::new(&entry.file_name()).extension() == Some("network".as_ref()))
    };
    is_wanted(root, "systemd-networkd.service")
        && ["etc/systemd/network", "run/systemd/network"].into_iter().any(has_network)
}

/// NetworkManager takes each interface that nobody forbids it.
fn network_manager(root: &Path) -> bool {
    is_wanted(root, "NetworkManager.service")
}

fn is_wanted(root: &Path, unit: &str) -> bool {
    root.join("etc/systemd/system/multi-user.target.wants").join(unit).is_symlink()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn ifupdown_needs_its_program_and_a_method() {
        let (ifup, interfaces) = (("usr/sbin/ifup", ""), "etc/network/interfaces");
        for (files, expected) in [
            (vec![ifup, (interfaces, "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n")], true),
            (vec![ifup, ("etc/network/interfaces.d/x", "  iface eth0 inet static\n")], true),
            (vec![(interfaces, "iface eth0 inet dhcp\n")], false),
            (vec![ifup, (interfaces, "iface lo inet loopback\n#iface eth0 inet dhcp\n")], false),
            (vec![ifup, (interfaces, "iface eth0 inet manual\niface eth0 inet6 auto\niface eth1 inet dhcp\n")], false),
        ] {
            assert_eq!(configures(tree(&files).path(), "eth0"), expected, "{files:?}");
        }
    }

    #[test]
    fn units_count_when_they_are_enabled() {
        let wants = "etc/systemd/system/multi-user.target.wants";
        let root = tree(&[("etc/systemd/network/lan.network", ""), (&format!("{wants}/x"), "")]);
        assert!(!configures(root.path(), "eth0"));
        symlink(
            "/lib/systemd/system/systemd-networkd.service",
            root.path().join(wants).join("systemd-networkd.service"),
        )
        .unwrap();
        assert!(configures(root.path(), "eth0"));
        fs::remove_file(root.path().join("etc/systemd/network/lan.network")).unwrap();
        assert!(!configures(root.path(), "eth0"));
        symlink("/x", root.path().join(wants).join("NetworkManager.service")).unwrap();
        assert!(configures(root.path(), "eth0"));
    }
}
