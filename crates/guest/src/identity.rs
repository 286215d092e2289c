//! What each machine must have of its own: identifiers and secrets that a program makes at its first start, and that an image has by
//! accident, because that program has run while the image was made. Machines of one image would share them.
//!
//! The list is that of systemd's "Safely Building Images", with what other inits have for the same purpose. All of these files are made
//! again where they are missing. What an image has at such a path as a symbolic link stays: it leads to where its author keeps it.

use std::collections::BTreeSet;

use banger_layers::ContentSink;
use banger_layers::tree::{Node, Tree};
use banger_protocol::boot::BootMode;

use crate::contents::{Contents, ContentsError};
use crate::follow::{is_program, named};

/// The machine's id (machine-id(5)). An empty one is filled at boot: by systemd, elsewhere by the agent.
const MACHINE_ID: &str = "/etc/machine-id";

/// Removed where they are. systemd fills an empty /etc/machine-id from the first; D-Bus makes it where it is missing.
const REMOVED: [&str; 7] = [
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/urandom/random-seed",
    "/var/lib/misc/random-seed",
    "/var/lib/seedrng/seed.credit",
    "/var/lib/seedrng/seed.no-credit",
];

/// Where the keys of an SSH server are, and what makes them again at the first boot.
const SSH: &str = "/etc/ssh";
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";

/// Takes what would be shared out of an image that boots in this mode. Where the image's command runs, all stays as it is: as in a
/// container, there is no program that would make it again.
///
/// # Errors
/// The sink did not take a content.
pub(crate) fn write<S>(
    contents: &mut Contents<'_, S>,
    tree: &Tree,
    mode: BootMode,
) -> Result<(), ContentsError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    if mode == BootMode::Workload {
        return Ok(());
    }
    if mode == BootMode::Systemd || is_file(tree, MACHINE_ID) {
        contents.file(MACHINE_ID.as_bytes(), 0o444, b"")?;
    }
    for path in REMOVED.into_iter().filter(|path| is_file(tree, path)) {
        contents.remove(path.as_bytes())?;
    }
    // Only with these inits, keys are made before the server starts.
    if matches!(mode, BootMode::Systemd | BootMode::Openrc) && is_program(tree, SSH_KEYGEN.as_bytes()) {
        for path in host_keys(tree) {
            contents.remove(&path)?;
        }
    }
    Ok(())
}

fn is_file(tree: &Tree, path: &str) -> bool {
    named(tree, path.as_bytes()).is_some_and(|inode| matches!(tree.inode(inode).node, Node::File { .. }))
}

/// The host keys, private and public. One with a certificate stays: its author has chosen it.
fn host_keys(tree: &Tree) -> Vec<Vec<u8>> {
    let Ok(directory) = tree.lookup(SSH.as_bytes()) else { return Vec::new() };
    let files = tree.read_dir(directory).filter(|dirent| matches!(tree.inode(dirent.inode).node, Node::File { .. }));
    let names: BTreeSet<Vec<u8>> = files.map(|dirent| dirent.name.to_vec()).collect();
    let has = |name: &[u8], end: &[u8]| names.contains(&[name, end].concat());
    let is_private =
        |name: &&[u8]| name.starts_with(b"ssh_host_") && name.ends_with(b"_key") && !has(name, b"-cert.pub");
    let mut paths = Vec::new();
    for name in names.iter().map(Vec::as_slice).filter(is_private) {
        let path = [SSH.as_bytes(), b"/", name].concat();
        if has(name, b".pub") {
            paths.push([&path[..], b".pub"].concat());
        }
        paths.push(path);
    }
    paths
}

#[cfg(test)]
mod tests {
    use banger_layers::entry::Time;
    use banger_layers::merge;

    use super::*;
    use crate::testing::{Kept, tree};

    /// The paths that are left of these when the layer is on top of them, and whether /etc/machine-id is empty.
    fn left(names: &[(&str, &str)], mode: BootMode) -> (Vec<String>, Option<bool>) {
        let mut tree = tree(names);
        let mut kept = Kept::default();
        let mut contents = Contents::new(&mut kept, Time::default());
        write(&mut contents, &tree, mode).unwrap();
        merge::apply(&mut tree, 1, &contents.into_entries()).unwrap();
        let there = |path: &&str| named(&tree, path.as_bytes()).is_some();
        let left = names.iter().map(|(path, _)| *path).filter(there).map(str::to_owned).collect();
        let id = named(&tree, b"/etc/machine-id").map(|inode| tree.inode(inode).node);
        (left, id.map(|node| matches!(node, Node::File { size: 0, .. })))
    }

    #[test]
    fn identifiers_and_seeds_do_not_come_from_an_image_with_an_init() {
        let names =
            [("var/lib/dbus/machine-id", "-"), ("var/lib/systemd/random-seed", "-"), ("var/lib/systemd/linger", "-")];
        let linger = vec!["var/lib/systemd/linger".to_owned()];
        assert_eq!(left(&names, BootMode::Systemd), (linger.clone(), Some(true)));
        assert_eq!(left(&names, BootMode::Init), (linger, None));
        assert_eq!(left(&names, BootMode::Workload).0.len(), 3);
    }

    #[test]
    fn an_id_is_emptied_and_a_link_stays() {
        let id = ("etc/machine-id", "-");
        for mode in [BootMode::Systemd, BootMode::Openrc, BootMode::Init] {
            assert_eq!(left(&[id], mode).1, Some(true), "{mode:?}");
        }
        assert_eq!(left(&[id], BootMode::Workload).1, Some(false));
        let link = [("var/lib/dbus/machine-id", "/etc/machine-id")];
        assert_eq!(left(&link, BootMode::Systemd).0, ["var/lib/dbus/machine-id"]);
        // systemd takes no link that leads to nothing; others' stay.
        let link = [("etc/machine-id", "/var/lib/dbus/machine-id"), ("var/lib/dbus/machine-id", "-")];
        assert_eq!(left(&link, BootMode::Systemd), (vec!["etc/machine-id".to_owned()], Some(true)));
        assert_eq!(left(&link, BootMode::Openrc), (vec!["etc/machine-id".to_owned()], Some(false)));
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let names = [("var", "/data"), ("data/lib/dbus/machine-id", "-")];
        assert_eq!(left(&names, BootMode::Systemd).0, ["var"]);
    }

    #[test]
    fn host_keys_are_made_again_where_that_comes_before_the_server() {
        let keygen = ("usr/bin/ssh-keygen", "x");
        let names = [
            keygen,
            ("etc/ssh/sshd_config", "-"),
            ("etc/ssh/ssh_host_rsa_key", "-"),
            ("etc/ssh/ssh_host_rsa_key.pub", "-"),
            ("etc/ssh/ssh_host_ed25519_key", "-"),
            ("etc/ssh/ssh_host_ed25519_key.pub", "-"),
            ("etc/ssh/ssh_host_ed25519_key-cert.pub", "-"),
            ("etc/ssh/ssh_host_ecdsa_key", "/run/secrets/key"),
        ];
        for mode in [BootMode::Systemd, BootMode::Openrc] {
            let left = left(&names, mode).0;
            assert_eq!(left.len(), 6, "{left:?}");
            assert!(!left.iter().any(|path| path.contains("_rsa_")), "{left:?}");
        }
        for mode in [BootMode::Init, BootMode::Workload] {
            assert_eq!(left(&names, mode).0.len(), 8);
        }
        assert_eq!(left(&names[1..], BootMode::Systemd).0.len(), 7, "there is nothing that would make them");
    }
}
