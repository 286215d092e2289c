//! The guest layer: the agent, and what starts it, as one more layer on top of all others.
//!
//! It is put through the same merge, so the rules of docs/layers.md are its rules: symbolic links on the way to a place are followed
//! inside the image, and what the image has *at* one of the places below is replaced. Directories that exist stay as they are.
//! Nothing in it depends on anything but the tree below it, the options, the image's config and the agent.

use banger_layers::ContentSink;
use banger_layers::tree::{Node, Tree};
use banger_protocol::boot::{Boot, BootMode};
use banger_protocol::image::Runtime;
use banger_protocol::paths;
use banger_protocol::settings::{Guest, VERSION};

use crate::agent;
use crate::boot_mode::{self, DecideError, INITS, Read};
use crate::contents::{Contents, ContentsError};
use crate::follow::{is_program, named};
use crate::identity;
use crate::options::Options;

/// A file of the layer: its path, and its bytes.
type Text = (&'static str, &'static [u8]);

/// A file of this crate under its path in the image.
macro_rules! text {
    ($path:literal, $file:literal) => {
        ($path, include_bytes!(concat!("../files/", $file)))
    };
}

/// How an init is told what to start.
struct Starter {
    /// What starts the network, the agent and the first boot, in this order.
    files: [Text; 3],
    /// Mode of those files.
    mode: u16,
    /// Where it looks for what it is to start: links to them.
    links: &'static str,
    /// Has the first boot come before an SSH server that the image ships.
    before_sshd: Text,
}

const SYSTEMD: Starter = Starter {
    files: [
        text!("/etc/systemd/system/banger-network.service", "systemd/banger-network.service"),
        text!("/etc/systemd/system/banger-vsock-agent.service", "systemd/banger-vsock-agent.service"),
        text!("/etc/systemd/system/banger-first-boot.service", "systemd/banger-first-boot.service"),
    ],
    mode: 0o644,
    links: "/etc/systemd/system/multi-user.target.wants",
    before_sshd: text!("/etc/systemd/system/banger-first-boot.service.d/before-sshd.conf", "systemd/before-sshd.conf"),
};

const OPENRC: Starter = Starter {
    files: [
        text!("/etc/init.d/banger-network", "openrc/banger-network"),
        text!("/etc/init.d/banger-vsock-agent", "openrc/banger-vsock-agent"),
        text!("/etc/init.d/banger-first-boot", "openrc/banger-first-boot"),
    ],
    mode: 0o755,
    links: "/etc/runlevels/default",
    before_sshd: text!("/etc/conf.d/banger-first-boot", "openrc/before-sshd.conf"),
};

/// systemd's unit for the device nodes of a kernel's modules asks for the modules, and not for the program that it runs.
const ONLY_WITH_KMOD: Text =
    text!("/etc/systemd/system/kmod-static-nodes.service.d/banger.conf", "systemd/only-with-kmod.conf");
const KMOD: [&str; 2] = ["/bin/kmod", "/usr/bin/kmod"];

/// Since version 256, systemd does without libkmod, but for the unit that loads what modules-load.d names. Debian has a link there.
const ONLY_WITH_LIBKMOD: Text =
    text!("/etc/systemd/system/systemd-modules-load.service.d/banger.conf", "systemd/only-with-libkmod.conf");
/// The program of that unit, where a distribution keeps to the usual places, and where the library is then.
const MODULES_LOAD: [&str; 2] = ["/usr/lib/systemd/systemd-modules-load", "/lib/systemd/systemd-modules-load"];
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"];
const LIBKMOD: &[u8] = b"libkmod.so.2";

/// Each asks a device of the console for a login, and waits for udev to announce it. The consoles are those of QEMU, Firecracker and Cloud
/// Hypervisor. No unit of a disk is among them: an fstab may need it.
const CONSOLE_UNITS: [&str; 3] =
    ["serial-getty@ttyS0.service", "serial-getty@ttyAMA0.service", "serial-getty@hvc0.service"];
const MASK: &[u8] = b"/dev/null";

/// Where udev's daemon is, and the file that masks its unit.
const UDEV: [&str; 2] = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"];
const UDEV_MASK: &str = "/etc/systemd/system/systemd-udevd.service";

/// Where an SSH server is, on all distributions that have one.
const SSHD: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
const OPENRC_RUN: &str = "/sbin/openrc-run";

/// Why the layer was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E: std::error::Error + 'static> {
    /// The image does not have the init that is wanted.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// The layer did not take something.
    #[error(transparent)]
    Contents(#[from] ContentsError<E>),
}

/// Writes the layer for the image with this tree, whose contents `read` reads as [`boot_mode::Image`] has it. `config` is the image's, as
/// it was found, where it has one.
///
/// # Errors
/// [`WriteError`]
pub fn write<S>(
    contents: &mut Contents<'_, S>,
    tree: &Tree,
    read: Read<'_>,
    options: &Options,
    config: Option<&[u8]>,
) -> Result<Boot, WriteError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    let boot = decide(tree, read, options, config)?;
    write_agent(contents, options, config, &boot)?;
    let ships_sshd = SSHD.iter().any(|path| is_program(tree, path.as_bytes()));
    let first_boot = ships_sshd || options.sshd;
    write_starter(contents, &SYSTEMD, first_boot, ships_sshd)?;
    if boot.mode == BootMode::Systemd {
        if !KMOD.iter().any(|path| is_program(tree, path.as_bytes())) {
            put(contents, ONLY_WITH_KMOD, 0o644)?;
        }
        if MODULES_LOAD.iter().any(|path| is_program(tree, path.as_bytes())) && !has_libkmod(tree) {
            put(contents, ONLY_WITH_LIBKMOD, 0o644)?;
        }
    }
    // Also where it is not the init: a machine may be told to boot with it.
    if boot_mode::SYSTEMD.iter().any(|path| is_program(tree, path.as_bytes())) && !has_udev(tree) {
        for unit in CONSOLE_UNITS {
            contents.symlink(&join("/etc/systemd/system", unit), MASK)?;
        }
    }
    if is_program(tree, OPENRC_RUN.as_bytes()) {
        write_starter(contents, &OPENRC, first_boot, ships_sshd)?;
    }
    identity::write(contents, tree, boot.mode)?;
    // A kernel whose command line names no init starts this one. The agent starts the image's own where that is elsewhere.
    if boot.mode == BootMode::Workload || !INITS.iter().any(|path| is_program(tree, path.as_bytes())) {
        contents.symlink(b"/sbin/init", paths::AGENT.as_bytes())?;
    }
    if let Some(hostname) = &options.hostname {
        contents.file(b"/etc/hostname", 0o644, format!("{hostname}\n").as_bytes())?;
    }
    Ok(boot)
}

fn decide(tree: &Tree, read: Read<'_>, options: &Options, config: Option<&[u8]>) -> Result<Boot, DecideError> {
    // A config that cannot be read has been warned of.
    let mut runtime = config.and_then(|config| Runtime::of_config(config).ok()).unwrap_or_default();
    runtime.replace(options.entrypoint.clone(), options.command.clone());
    let mut variables = runtime.variables();
    let path = options.env.get("PATH").cloned().or_else(|| variables.remove("PATH"));
    boot_mode::decide(boot_mode::Image {
        tree,
        read,
        command: &runtime.command(),
        is_explicit: options.entrypoint.is_some() || options.command.is_some(),
        path: path.as_deref(),
        init: &options.init,
    })
}

/// The agent under its names, and what it is told.
fn write_agent<S>(
    contents: &mut Contents<'_, S>,
    options: &Options,
    config: Option<&[u8]>,
    boot: &Boot,
) -> Result<(), ContentsError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    contents.file(paths::AGENT.as_bytes(), 0o755, agent::BYTES)?;
    for name in [paths::NETWORK_BOOTSTRAP, paths::FIRST_BOOT] {
        contents.symlink(name.as_bytes(), paths::AGENT.as_bytes())?;
    }
    if let Some(config) = config {
        contents.file(paths::IMAGE.as_bytes(), 0o644, config)?;
    }
    let guest = Guest {
        version: VERSION,
        boot: boot.clone(),
        hostname: options.hostname.clone(),
        ssh_keys: options.ssh_keys.clone(),
        env: options.env.clone(),
        sysctls: options.sysctls.clone(),
        ulimits: options.ulimits.clone(),
        entrypoint: options.entrypoint.clone(),
        command: options.command.clone(),
        user: options.user.clone(),
        directory: options.directory.clone(),
        sshd: options.sshd,
    };
    // Texts, and maps of them: nothing that JSON cannot say.
    let mut json = serde_json::to_vec_pretty(&guest).unwrap_or_default();
    json.push(b'\n');
    // Variables may be secrets, and the agent is root.
    contents.file(paths::GUEST.as_bytes(), 0o600, &json)
}

/// What has an init start the agent.
fn write_starter<S>(
    contents: &mut Contents<'_, S>,
    starter: &Starter,
    first_boot: bool,
    ships_sshd: bool,
) -> Result<(), ContentsError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    let [network, agent, once] = starter.files;
    for file in [Some(network), Some(agent), first_boot.then_some(once)].into_iter().flatten() {
        put(contents, file, starter.mode)?;
        contents.symlink(&join(starter.links, file_name(file.0)), file.0.as_bytes())?;
    }
    if ships_sshd {
        put(contents, starter.before_sshd, 0o644)?;
    }
    Ok(())
}

fn put<S>(contents: &mut Contents<'_, S>, (path, bytes): Text, mode: u16) -> Result<(), ContentsError<S::Error>>
where
    S: ContentSink<Error: std::error::Error>,
{
    contents.file(path.as_bytes(), mode, bytes)
}

/// Whether there is somebody who announces devices to systemd.
fn has_udev(tree: &Tree) -> bool {
    let mask = named(tree, UDEV_MASK.as_bytes()).map(|inode| tree.inode(inode).node);
    mask != Some(Node::Symlink { target: MASK }) && UDEV.iter().any(|path| is_program(tree, path.as_bytes()))
}

/// Whether the library is in a directory of libraries, or one of its directories for an architecture (`x86_64-linux-gnu`).
fn has_libkmod(tree: &Tree) -> bool {
    LIBRARIES.iter().any(|directory| {
        let Ok(inode) = tree.lookup(directory.as_bytes()) else { return false };
        tree.read_dir(inode).any(|dirent| {
            let below = [directory.as_bytes(), b"/", dirent.name, b"/", LIBKMOD].concat();
            let is_of_architecture = dirent.name.windows(7).any(|part| part == b"-linux-");
            dirent.name == LIBKMOD || (is_of_architecture && tree.lookup(&below).is_ok())
        })
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn join(directory: &str, name: &str) -> Vec<u8> {
    format!("{directory}/{name}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use banger_layers::entry::{Kind, Time};
    use banger_protocol::boot::BootMode;

    use super::*;
    use crate::testing::{Kept, tree};

    const TIME: Time = Time { seconds: 7, nanoseconds: 9 };

    /// What the layer brings on top of these names: of each path a link's target, or a file's content.
    fn brought(names: &[(&str, &str)], options: &Options) -> (Boot, BTreeMap<String, String>) {
        let mut kept = Kept::default();
        let mut contents = Contents::new(&mut kept, TIME);
        let boot = write(&mut contents, &tree(names), &|_, _, _| Ok(Vec::new()), options, Some(b"{}")).unwrap();
        let entries = contents.into_entries();
        let mut brought = BTreeMap::new();
        for entry in entries.iter() {
            assert_eq!((entry.mtime, entry.uid, entry.gid), (TIME, 0, 0));
            let text = match entry.kind {
                Kind::File { content, size } => {
                    assert_eq!(kept.0[content as usize].len() as u64, size);
                    &kept.0[content as usize][..]
                }
                Kind::Symlink { target } => target,
                kind => panic!("{kind:?}"),
            };
            let path = String::from_utf8(entry.path.to_vec()).unwrap();
            assert!(brought.insert(path, String::from_utf8_lossy(text).into_owned()).is_none());
        }
        (boot, brought)
    }

    fn paths(names: &[(&str, &str)], options: &Options) -> Vec<String> {
        brought(names, options).1.into_keys().collect()
    }

    const SYSTEMD: [(&str, &str); 2] = [("usr/lib/systemd/systemd", "x"), ("sbin/init", "/usr/lib/systemd/systemd")];

    #[test]
    fn an_image_without_anything_gets_an_init() {
        let (boot, brought) = brought(&[], &Options::default());
        assert_eq!(boot.mode, BootMode::Workload);
        assert_eq!(brought["/sbin/init"], paths::AGENT);
        assert_eq!(brought[paths::IMAGE], "{}");
        let guest: Guest = serde_json::from_str(&brought[paths::GUEST]).unwrap();
        assert_eq!((guest.version, guest.boot), (VERSION, boot));
        assert!(!brought.keys().any(|path| path.contains("first-boot.service") || path.contains("machine-id")));
    }

    #[test]
    fn consoles_are_masked_where_nobody_announces_them() {
        let mask = "/etc/systemd/system/serial-getty@ttyS0.service";
        let with = |more: &[(&'static str, &'static str)]| {
            let names: Vec<_> = SYSTEMD.iter().chain(more).copied().collect();
            brought(&names, &Options::default()).1
        };
        assert_eq!(with(&[])[mask], "/dev/null");
        assert_eq!(with(&[])["/etc/machine-id"], "");
        let udev = ("usr/lib/systemd/systemd-udevd", "x");
        assert!(!with(&[udev]).contains_key(mask));
        assert!(!with(&[("lib/systemd/systemd-udevd", "../../bin/udevadm"), ("bin/udevadm", "x")]).contains_key(mask));
        assert!(with(&[udev, ("etc/systemd/system/systemd-udevd.service", "/dev/null")]).contains_key(mask));
        // An image without systemd has nothing that waits.
        assert!(!brought(&[], &Options::default()).1.contains_key(mask));
    }

    #[test]
    fn the_first_boot_has_something_to_do_where_there_is_an_ssh_server_or_shall_be() {
        let unit = super::SYSTEMD.files[2].0.to_owned();
        let ordered = super::SYSTEMD.before_sshd.0.to_owned();
        let sshd = Options { sshd: true, ..Options::default() };
        for (names, options, expected) in [
            (&[][..], Options::default(), [false, false]),
            (&[], sshd.clone(), [true, false]),
            (&[("usr/sbin/sshd", "x")], Options::default(), [true, true]),
            (&[("usr/sbin", "bin"), ("usr/bin/sshd", "x")], sshd, [true, true]),
        ] {
            let paths = paths(names, &options);
            assert_eq!([paths.contains(&unit), paths.contains(&ordered)], expected, "{names:?}");
        }
    }

    #[test]
    fn openrc_is_told_where_it_is() {
        let scripts = |names: &[(&str, &str)]| {
            let brought = brought(names, &Options::default()).1;
            brought.into_iter().filter(|(path, _)| path.contains("/runlevels/")).collect::<Vec<_>>()
        };
        assert_eq!(scripts(&[]), []);
        let links = ["network", "vsock-agent"]
            .map(|name| (format!("/etc/runlevels/default/banger-{name}"), format!("/etc/init.d/banger-{name}")));
        assert_eq!(scripts(&[("sbin/openrc-run", "x")]), links);
    }

    #[test]
    fn a_unit_that_needs_kmod_waits_for_it() {
        let names = |more: &[(&'static str, &'static str)]| SYSTEMD.iter().chain(more).copied().collect::<Vec<_>>();
        let drop_in = ONLY_WITH_KMOD.0.to_owned();
        assert!(paths(&names(&[]), &Options::default()).contains(&drop_in));
        assert!(!paths(&names(&[("bin", "usr/bin"), ("usr/bin/kmod", "x")]), &Options::default()).contains(&drop_in));
        assert!(!paths(&[], &Options::default()).contains(&drop_in));
    }

    #[test]
    fn a_unit_that_needs_libkmod_waits_for_it() {
        let program = ("usr/lib/systemd/systemd-modules-load", "x");
        let has_drop_in = |more: &[(&'static str, &'static str)]| {
            let names: Vec<_> = SYSTEMD.iter().chain(more).copied().collect();
            paths(&names, &Options::default()).contains(&ONLY_WITH_LIBKMOD.0.to_owned())
        };
        assert!(has_drop_in(&[program]));
        assert!(has_drop_in(&[program, ("usr/lib/systemd/libkmod.so.2", "-")]));
        for library in ["usr/lib/x86_64-linux-gnu/libkmod.so.2", "usr/lib64/libkmod.so.2", "lib/libkmod.so.2"] {
            assert!(!has_drop_in(&[program, (library, "-")]), "{library}");
        }
        assert!(!has_drop_in(&[]), "a distribution with places of its own");
    }
}
