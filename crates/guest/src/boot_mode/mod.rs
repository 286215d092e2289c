//! How an image boots: decided from its command and from its merged tree, by names and modes, and the content of `/etc/inittab`.
//!
//! An image's command is what its author wants to run, so it comes first (`command`):
//! - an init (systemd, `/sbin/init`, busybox's `init` ...) boots the machine, with the arguments that the command has;
//! - any other program is the application that the image is made for. The agent is process 1 and runs it, though the base of the image may
//!   bring an init: distributions install systemd with packages that only want its libraries;
//! - a shell alone, as base images have it, and no command say nothing. Then the image's init boots it: what the kernel would start
//!   (`/sbin/init`, `/etc/init`, `/bin/init`, in this order: the first that leads to a program). Where there is none, the agent is process 1.
//!
//! What sort an init is, its name tells when all symbolic links have been followed, inside the tree.
//!
//! One init is there without being meant: base images bring busybox, whose names include `/sbin/init`, and an `/etc/inittab` for
//! programs that only their installer would bring. Where the command is a shell, and busybox has nothing to start, the shell runs.

mod command;

use std::fmt;
use std::io;

use banger_layers::tree::{Node, Tree};
use banger_protocol::boot::{Boot, BootMode, Init};
use banger_protocol::paths;

use self::command::{InitCommand, Purpose, purpose};
use crate::follow::{follow, is_executable, is_program};
use crate::inittab;

/// Where the kernel looks for an init when its command line names none (`kernel_init` in init/main.c). It would go on to `/bin/sh`,
/// which is none.
pub(crate) const INITS: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// Where systemd is, whether or not a link at one of [`INITS`] leads there.
pub(crate) const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// OpenRC's own init, its program, and one of the places that tell another init to start that.
const OPENRC_INIT: &str = "/sbin/openrc-init";
const OPENRC: &str = "/sbin/openrc";
const OPENRC_FILES: [&str; 2] = ["/etc/inittab", "/etc/init.d"];

/// Characters of a command that are shown.
const SHOWN: usize = 60;

/// Reads the beginning of a file's content: its layer, its number there, and how many bytes at most.
pub type Read<'a> = &'a dyn Fn(u32, u32, usize) -> io::Result<Vec<u8>>;

/// What an image is asked for.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// All its names.
    pub tree: &'a Tree,
    /// Reads its files.
    pub read: Read<'a>,
    /// Its command, its own or one that was set.
    pub command: &'a [String],
    /// Whether the user has set the command: then a shell is meant, too.
    pub is_explicit: bool,
    /// Its `PATH`.
    pub path: Option<&'a str>,
    /// The init that is wanted.
    pub init: &'a Init,
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("command", &self.command).field("init", &self.init).finish_non_exhaustive()
    }
}

/// Why it cannot be decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// The image has no such init.
    #[error("the image has no init {0}: {1}")]
    NoInit(Init, String),
    /// Its /etc/inittab cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Decides how an image boots.
///
/// # Errors
/// [`DecideError`]
pub fn decide(image: Image<'_>) -> Result<Boot, DecideError> {
    let tree = image.tree;
    match image.init {
        Init::Auto => Ok(decide_by_command(image)?),
        Init::None => Ok(Boot::workload(format!("--init none: {}", runs(image.command)))),
        Init::Systemd => {
            let is_systemd = |leads_to: &[u8]| mode_of(tree, leads_to).0 == BootMode::Systemd;
            wanted(tree, image.init, INITS.iter().chain(&SYSTEMD), &is_systemd)
        }
        Init::Openrc => {
            let is_openrc = |leads_to: &[u8]| mode_of(tree, leads_to).0 == BootMode::Openrc;
            wanted(tree, image.init, INITS.iter().chain([&OPENRC_INIT]), &is_openrc)
        }
        Init::Path(path) => wanted(tree, image.init, [&&**path].into_iter(), &|_| true),
    }
}

/// The first of these places that leads to an init as it is wanted.
fn wanted<'a>(
    tree: &Tree,
    init: &Init,
    places: impl Iterator<Item = &'a &'a str> + Clone,
    is_wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<Boot, DecideError> {
    let programs = places.clone().filter_map(|path| match look(tree, path) {
        Found::Program(leads_to) => Some((path, leads_to)),
        Found::Nothing(_) => None,
    });
    let found = programs.into_iter().find(|(_, leads_to)| is_wanted(leads_to));
    let (path, leads_to) = found.ok_or_else(|| {
        let places: Vec<&str> = places.copied().collect();
        let none = if places.len() == 1 { "it is no program" } else { "none of these leads to it" };
        DecideError::NoInit(init.clone(), format!("{none}: {}", places.join(", ")))
    })?;
    let boot = of_init(tree, path, &leads_to);
    Ok(Boot { why: format!("--init {init}: {}", boot.why), ..boot })
}

fn decide_by_command(image: Image<'_>) -> io::Result<Boot> {
    let tree = image.tree;
    let own = own_init(tree);
    match purpose(tree, image.command, image.path, image.is_explicit) {
        Purpose::Init(command) => Ok(of_command(image.command, command)),
        Purpose::Application => Ok(Boot::workload(match own {
            Ok((path, leads_to)) => {
                format!("{}; it is no init, so {} does not run", runs(image.command), named(path, &leads_to))
            }
            Err(none) => format!("{}; {none}", runs(image.command)),
        })),
        Purpose::Nothing => match own {
            Ok((path, leads_to)) => {
                if !image.command.is_empty()
                    && is_busybox(&leads_to)
                    && let Some(idle) = inittab::starts_nothing(tree, image.read)?
                {
                    let leads_to = leads_to.escape_ascii();
                    let why = format!("{path} leads to {leads_to}, which has nothing to start: {idle}");
                    return Ok(Boot::workload(format!("{}; {why}", runs(image.command))));
                }
                let boot = of_init(tree, path, &leads_to);
                let shell = match image.command.is_empty() {
                    true => String::new(),
                    false => format!(", and the command {} is a shell and nothing else", shown(image.command)),
                };
                Ok(Boot { why: boot.why + &shell, ..boot })
            }
            Err(none) => Ok(Boot::workload(format!("{}; {none}", runs(image.command)))),
        },
    }
}

/// What the kernel would start: where it is, and where that leads. Otherwise why there is nothing, in words.
fn own_init(tree: &Tree) -> Result<(&'static str, Vec<u8>), String> {
    let mut reasons = Vec::new();
    for path in INITS {
        match look(tree, path) {
            Found::Program(leads_to) => return Ok((path, leads_to)),
            Found::Nothing(reason) => reasons.extend(reason),
        }
    }
    Err(match reasons.is_empty() {
        true => format!("there is no init ({})", INITS.join(", ")),
        false => format!("there is no init: {}", reasons.join(", ")),
    })
}

/// What the agent does with a command, in words.
fn runs(command: &[String]) -> String {
    match command {
        [] => "there is no command to run".to_owned(),
        command => format!("runs {}", shown(command)),
    }
}

/// A command in one line, shortened.
fn shown(command: &[String]) -> String {
    let text: String = command.join(" ").escape_debug().collect();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// An init, by where it is and where that leads.
fn named(path: &str, leads_to: &[u8]) -> String {
    match leads_to == path.as_bytes() {
        true => path.to_owned(),
        false => format!("{path} ({})", leads_to.escape_ascii()),
    }
}

fn of_command(words: &[String], command: InitCommand) -> Boot {
    let InitCommand { program, args, leads_to, mode, is_entrypoint } = command;
    let relation = match (is_entrypoint, leads_to == program.as_bytes()) {
        (true, _) => format!("starts {}", leads_to.escape_ascii()),
        (false, true) => "is an init".to_owned(),
        (false, false) => format!("is an init: {program} leads to {}", leads_to.escape_ascii()),
    };
    let why = format!("the command {} {relation}", shown(words));
    Boot { mode, why, init: Some(program), args, entrypoint: is_entrypoint }
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
    let (parent, name) = path.rsplit_once('/').unwrap_or_default();
    let stands =
        tree.lookup(parent.as_bytes()).is_ok_and(|dir| tree.read_dir(dir).any(|dirent| dirent.name == name.as_bytes()));
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
    let (mode, file) = mode_of(tree, leads_to);
    if let Some(file) = file {
        why.push_str(&format!(", and there are {OPENRC} and {file}"));
    }
    Boot { mode, why, init: Some(path.to_owned()), args: Vec::new(), entrypoint: false }
}

/// What becomes of process 1 with the init at this path, all links followed; and the file that has it start OpenRC, if there is one.
fn mode_of(tree: &Tree, leads_to: &[u8]) -> (BootMode, Option<&'static str>) {
    let name = leads_to.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if name == b"systemd" {
        (BootMode::Systemd, None)
    } else if name == b"openrc-init" {
        (BootMode::Openrc, None)
    } else if let Some(file) = OPENRC_FILES.into_iter().find(|file| starts_openrc(tree, file)) {
        (BootMode::Openrc, Some(file))
    } else {
        (BootMode::Init, None)
    }
}

fn starts_openrc(tree: &Tree, file: &str) -> bool {
    let wanted = |inode| matches!(tree.inode(inode).node, Node::File { size: 1.., .. } | Node::Directory);
    is_program(tree, OPENRC.as_bytes()) && tree.lookup(file.as_bytes()).is_ok_and(wanted)
}

#[cfg(test)]
mod tests;
