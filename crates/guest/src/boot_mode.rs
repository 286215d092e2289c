//! How an image boots: decided from its merged tree, by names and modes, and the content of `/etc/inittab`.
//!
//! Where the image has an init, which is what the kernel would start (`/sbin/init`, `/etc/init`, `/bin/init`, in this order: the
//! first that leads to a program), that is what boots it. What sort it is, its name tells when all symbolic links have been followed,
//! inside the tree. Where there is none, the agent is process 1 and runs the image's command.
//!
//! One init is there without being meant: base images of distributions bring busybox, whose names include `/sbin/init`, and an
//! `/etc/inittab` for programs that only their installer would bring. An image with a command whose busybox has nothing to start is an
//! image that was made for its command.

use std::fmt;
use std::io;

use banger_layers::tree::{Node, Tree};
use banger_protocol::boot::{Boot, BootMode};
use banger_protocol::paths;

use crate::follow::{follow, is_executable, is_program};
use crate::inittab;

/// Where the kernel looks for an init when nobody tells it of one (`kernel_init` in init/main.c). It would go on to `/bin/sh`, which is none.
const INITS: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// OpenRC's program, and one of the places that tell an init to start it.
const OPENRC: &str = "/sbin/openrc";
const OPENRC_FILES: [&str; 2] = ["/etc/inittab", "/etc/init.d"];

/// Reads the beginning of a file's content: its layer, its number there, and how many bytes at most.
pub type Read<'a> = &'a dyn Fn(u32, u32, usize) -> io::Result<Vec<u8>>;

/// What an image is asked for.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// All its names.
    pub tree: &'a Tree,
    /// Reads its files.
    pub read: Read<'a>,
    /// Whether it has a command, its own or one that was set.
    pub has_command: bool,
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("has_command", &self.has_command).finish_non_exhaustive()
    }
}

/// Decides how an image boots.
///
/// # Errors
/// Its /etc/inittab cannot be read.
pub fn decide(image: Image<'_>) -> io::Result<Boot> {
    let workload = |why| Ok(Boot { mode: BootMode::Workload, why, init: None });
    let mut reasons = Vec::new();
    for path in INITS {
        match look(image.tree, path) {
            Found::Program(leads_to) if image.has_command && is_busybox(&leads_to) => {
                let Some(idle) = inittab::starts_nothing(image.tree, image.read)? else {
                    return Ok(of_init(image.tree, path, &leads_to));
                };
                return workload(format!(
                    "{path} leads to {}, which has nothing to start: {idle}",
                    leads_to.escape_ascii()
                ));
            }
            Found::Program(leads_to) => return Ok(of_init(image.tree, path, &leads_to)),
            Found::Nothing(reason) => reasons.extend(reason),
        }
    }
    workload(match reasons.is_empty() {
        true => format!("there is no init ({})", INITS.join(", ")),
        false => format!("there is no init: {}", reasons.join(", ")),
    })
}

fn is_busybox(path: &[u8]) -> bool {
    path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(b"busybox"))
}

/// What stands at the path of an init.
enum Found {
    /// A program, with its path when all links have been followed.
    Program(Vec<u8>),
    /// Nothing that can be started; why, unless there is nothing at all.
    Nothing(Option<String>),
}

fn look(tree: &Tree, path: &str) -> Found {
    let name = path.rsplit('/').next().unwrap_or_default().as_bytes();
    let parent = path.strip_suffix("/init").unwrap_or(path);
    let stands = tree.lookup(parent.as_bytes()).is_ok_and(|dir| tree.read_dir(dir).any(|dirent| dirent.name == name));
    match follow(tree, path.as_bytes()) {
        None if stands => Found::Nothing(Some(format!("{path} leads to nothing"))),
        None => Found::Nothing(None),
        // What an earlier guest layer has put there.
        Some(found) if found.path == paths::AGENT.as_bytes() => Found::Nothing(Some(format!("{path} is the agent"))),
        Some(found) if is_executable(tree, found.inode) => Found::Program(found.path),
        Some(_) => Found::Nothing(Some(format!("{path} is no program"))),
    }
}

fn of_init(tree: &Tree, path: &str, leads_to: &[u8]) -> Boot {
    let mut why = match leads_to == path.as_bytes() {
        true => format!("there is {path}"),
        false => format!("{path} leads to {}", leads_to.escape_ascii()),
    };
    let name = leads_to.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mode = if name == b"systemd" {
        BootMode::Systemd
    } else if name == b"openrc-init" {
        BootMode::Openrc
    } else if let Some(file) = OPENRC_FILES.into_iter().find(|file| starts_openrc(tree, file)) {
        why.push_str(&format!(", and there are {OPENRC} and {file}"));
        BootMode::Openrc
    } else {
        BootMode::Init
    };
    Boot { mode, why, init: Some(path.to_owned()) }
}

fn starts_openrc(tree: &Tree, file: &str) -> bool {
    let wanted = |inode| matches!(tree.inode(inode).node, Node::File { size: 1.., .. } | Node::Directory);
    is_program(tree, OPENRC.as_bytes()) && tree.lookup(file.as_bytes()).is_ok_and(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    /// A program at a path, and a file that is none.
    const PROGRAM: &str = "x";
    const FILE: &str = "-";

    /// Names with what they are (`x`, `-`, `/` for a directory, else a link's target), then mode, why, and init.
    type Case = (&'static [(&'static str, &'static str)], BootMode, &'static str, Option<&'static str>);

    const CASES: [Case; 16] = [
        (&[], BootMode::Workload, "there is no init (/sbin/init, /etc/init, /bin/init)", None),
        (
            &[("lib/systemd/systemd", PROGRAM), ("sbin/init", "/lib/systemd/systemd")],
            BootMode::Systemd,
            "/sbin/init leads to /lib/systemd/systemd",
            Some("/sbin/init"),
        ),
        (
            &[
                ("sbin", "usr/sbin"),
                ("lib", "usr/lib"),
                ("usr/lib/systemd/systemd", PROGRAM),
                ("usr/sbin/init", "../../lib/systemd/systemd"),
            ],
            BootMode::Systemd,
            "/sbin/init leads to /usr/lib/systemd/systemd",
            Some("/sbin/init"),
        ),
        // A link that would leave the image stays in it.
        (
            &[("systemd", PROGRAM), ("sbin/init", "../../../../systemd")],
            BootMode::Systemd,
            "/sbin/init leads to /systemd",
            Some("/sbin/init"),
        ),
        (
            &[("sbin/openrc-init", PROGRAM), ("sbin/init", "openrc-init")],
            BootMode::Openrc,
            "/sbin/init leads to /sbin/openrc-init",
            Some("/sbin/init"),
        ),
        (
            &[("bin/busybox", PROGRAM), ("sbin/init", "/bin/busybox"), ("sbin/openrc", PROGRAM), ("etc/inittab", FILE)],
            BootMode::Openrc,
            "/sbin/init leads to /bin/busybox, and there are /sbin/openrc and /etc/inittab",
            Some("/sbin/init"),
        ),
        (
            &[("sbin/init", PROGRAM), ("sbin/openrc", PROGRAM), ("etc/init.d", "/")],
            BootMode::Openrc,
            "there is /sbin/init, and there are /sbin/openrc and /etc/init.d",
            Some("/sbin/init"),
        ),
        (&[("sbin/init", PROGRAM)], BootMode::Init, "there is /sbin/init", Some("/sbin/init")),
        (&[("etc/init", PROGRAM)], BootMode::Init, "there is /etc/init", Some("/etc/init")),
        (&[("bin/init", PROGRAM), ("sbin/init", "gone")], BootMode::Init, "there is /bin/init", Some("/bin/init")),
        (&[("sbin/init", "gone")], BootMode::Workload, "there is no init: /sbin/init leads to nothing", None),
        (&[("sbin/init", "init")], BootMode::Workload, "there is no init: /sbin/init leads to nothing", None),
        (&[("sbin/init", FILE)], BootMode::Workload, "there is no init: /sbin/init is no program", None),
        (&[("sbin/init", "/")], BootMode::Workload, "there is no init: /sbin/init is no program", None),
        // `/bin/sh` is what the kernel would try last.
        (&[("bin/sh", PROGRAM)], BootMode::Workload, "there is no init (/sbin/init, /etc/init, /bin/init)", None),
        (
            &[("usr/local/bin/banger-vsock-agent", PROGRAM), ("sbin/init", "/usr/local/bin/banger-vsock-agent")],
            BootMode::Workload,
            "there is no init: /sbin/init is the agent",
            None,
        ),
    ];

    #[test]
    fn the_tree_decides() {
        for (names, mode, why, init) in CASES {
            let expected = Boot { mode, why: why.to_owned(), init: init.map(str::to_owned) };
            for has_command in [false, true] {
                let decided = decide(Image { tree: &tree(names), read: &|_, _, _| Ok(ALPINE.to_vec()), has_command });
                assert_eq!(decided.unwrap(), expected, "{names:?}");
            }
        }
    }

    /// The file of Alpine's base image: OpenRC is not in that image.
    const ALPINE: &[u8] = b"# /etc/inittab\n\n::sysinit:/sbin/openrc sysinit\n::wait:/sbin/openrc default\n\
        tty1::respawn:/sbin/getty 38400 tty1\n::ctrlaltdel:/sbin/reboot\n::shutdown:/sbin/openrc shutdown\n";

    #[test]
    fn an_image_with_a_command_and_a_busybox_that_starts_nothing_is_there_for_the_command() {
        let names = &[("bin/busybox", PROGRAM), ("sbin/init", "/bin/busybox"), ("sbin/getty", "/bin/busybox")][..];
        let with_file = [names, &[("etc/inittab", FILE)]].concat();
        let with_script = [names, &[("etc/init.d/rcS", PROGRAM)]].concat();
        let busybox = "/sbin/init leads to /bin/busybox";
        for (names, text, has_command, mode, why) in [
            (
                &with_file[..],
                ALPINE,
                true,
                BootMode::Workload,
                "/sbin/init leads to /bin/busybox, which has nothing to start: /etc/inittab wants /sbin/openrc, which is not there",
            ),
            (&with_file, ALPINE, false, BootMode::Init, busybox),
            (&with_file, b"::sysinit:/bin/busybox mount -a\n", true, BootMode::Init, busybox),
            (&with_file, b"::once:-busybox sh\n", true, BootMode::Init, busybox),
            (
                &with_file,
                b"#::sysinit:/bin/busybox\nrubbish\n",
                true,
                BootMode::Workload,
                "/sbin/init leads to /bin/busybox, which has nothing to start: /etc/inittab wants nothing",
            ),
            (
                names,
                b"",
                true,
                BootMode::Workload,
                "/sbin/init leads to /bin/busybox, which has nothing to start: there is neither /etc/inittab nor /etc/init.d/rcS",
            ),
            (&with_script, b"", true, BootMode::Init, busybox),
        ] {
            let decided =
                decide(Image { tree: &tree(names), read: &|_, _, _| Ok(text.to_vec()), has_command }).unwrap();
            assert_eq!((decided.mode, &*decided.why), (mode, why), "{names:?} {has_command}");
        }
    }
}
