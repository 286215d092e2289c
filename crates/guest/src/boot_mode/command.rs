//! What an image's command asks for: the application that the image is made for, the machine's init, or nothing.
//!
//! A container's command is its process 1, so an author who wants systemd names it, and one who wants an application names that. What an
//! image inherits says neither: base images have a shell as their command, for people who look into them.

use banger_layers::tree::Tree;
use banger_protocol::boot::BootMode;
use banger_protocol::paths;

use super::{INITS, mode_of};
use crate::follow::{Followed, follow, is_executable};

/// Where programs without a slash are looked for, if the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Shells that base images have as their command.
const SHELLS: [&str; 8] = ["sh", "bash", "ash", "dash", "zsh", "ksh", "mksh", "fish"];

/// Options with which a shell still has nothing to do by itself.
const SHELL_OPTIONS: [&str; 5] = ["-l", "--login", "-i", "-il", "-li"];

/// Options before a text that a shell executes.
const SHELL_TEXT: [&str; 3] = ["-c", "-ec", "-lc"];

/// Characters that mean more to a shell than the words between them.
const SHELL_SYNTAX: &str = "\"'\\$`|&;<>(){}*?#~=\n";

/// Programs that are an init by their name, when all links have been followed.
const INIT_NAMES: [&[u8]; 4] = [b"systemd", b"openrc-init", b"runit-init", b"finit"];

/// Programs of many names, which do what they are called.
const MULTI_CALL: [&str; 2] = ["busybox", "toybox"];

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing: there is none, or it is a shell alone.
    Nothing,
    /// The machine's init.
    Init(InitCommand),
    /// The application that it is.
    Application,
}

/// A command that is an init, or becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitCommand {
    /// What is executed: an absolute path.
    pub(super) program: String,
    pub(super) args: Vec<String>,
    /// The path of the init, when all links have been followed.
    pub(super) leads_to: Vec<u8>,
    pub(super) mode: BootMode,
    /// Whether `program` is another one, which executes the init that its arguments name.
    pub(super) is_entrypoint: bool,
}

/// Says what a command asks for. `path` is the image's `PATH`. A command that `is_explicit` was set by the user, who means even a shell.
pub(super) fn purpose(tree: &Tree, command: &[String], path: Option<&str>, is_explicit: bool) -> Purpose {
    let look = Look { tree, path: path.filter(|path| !path.is_empty()).unwrap_or(PATH) };
    let plain = plain_words(command);
    let words = plain.as_deref().unwrap_or(command);
    let Some((program, args)) = words.split_first() else { return Purpose::Nothing };
    if let Some(command) = look.init(program, args).or_else(|| look.entrypoint(command)) {
        return Purpose::Init(command);
    }
    if !is_explicit && is_idle_shell(program, args) {
        return Purpose::Nothing;
    }
    Purpose::Application
}

/// The words of `sh -c "exec /sbin/init"`, the shell form of a Dockerfile's CMD, where a shell does nothing else with them.
fn plain_words(command: &[String]) -> Option<Vec<String>> {
    let [shell, option, text] = command else { return None };
    if !is_shell(shell) || !SHELL_TEXT.contains(&&**option) || text.contains(|c| SHELL_SYNTAX.contains(c)) {
        return None;
    }
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.first().is_some_and(|word| word == "exec") {
        words.remove(0);
    }
    Some(words)
}

fn is_shell(program: &str) -> bool {
    SHELLS.contains(&file_name(program))
}

/// Whether a command is a shell that waits for somebody to type.
fn is_idle_shell(program: &str, args: &[String]) -> bool {
    let idle = |args: &[String]| args.iter().all(|arg| SHELL_OPTIONS.contains(&&**arg));
    match args {
        [applet, args @ ..] if is_multi_call(program) => is_shell(applet) && idle(args),
        args => is_shell(program) && idle(args),
    }
}

fn is_multi_call(path: &str) -> bool {
    MULTI_CALL.iter().any(|known| file_name(path).starts_with(known))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The image in which programs are looked for.
struct Look<'a> {
    tree: &'a Tree,
    path: &'a str,
}

impl Look<'_> {
    /// The program that a word means: its path, and where that leads.
    fn program(&self, word: &str) -> Option<(String, Followed)> {
        let executable = |path: String| {
            let found = follow(self.tree, path.as_bytes()).filter(|found| is_executable(self.tree, found.inode))?;
            Some((path, found))
        };
        if word.starts_with('/') {
            executable(word.to_owned())
        } else if word.contains('/') {
            // It depends on the directory: no init is named like that.
            None
        } else {
            let directories = self.path.split(':').filter(|directory| directory.starts_with('/'));
            directories.map(|directory| format!("{}/{word}", directory.trim_end_matches('/'))).find_map(executable)
        }
    }

    /// The command of these words, if it is an init.
    fn init(&self, word: &str, args: &[String]) -> Option<InitCommand> {
        let (program, found) = self.program(word)?;
        let leads_to = String::from_utf8_lossy(&found.path);
        let is_init = if is_multi_call(&leads_to) {
            let applet = if is_multi_call(word) { args.first().map(String::as_str) } else { Some(file_name(word)) };
            applet == Some("init")
        } else {
            self.is_init(&found)
        };
        let (mode, _) = mode_of(self.tree, &found.path);
        is_init.then(|| InitCommand { program, args: args.to_vec(), leads_to: found.path, mode, is_entrypoint: false })
    }

    /// Whether a program is an init: by its name, or because it is what the kernel would start.
    fn is_init(&self, found: &Followed) -> bool {
        let name = found.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let started = |path: &&str| follow(self.tree, path.as_bytes()).is_some_and(|init| init.path == found.path);
        found.path != paths::AGENT.as_bytes() && (INIT_NAMES.contains(&name) || INITS.iter().any(started))
    }

    /// A command that prepares something, and then executes an init that its arguments name.
    fn entrypoint(&self, command: &[String]) -> Option<InitCommand> {
        let (word, args) = command.split_first()?;
        let (program, _) = self.program(word)?;
        let executed: Vec<&str> = match args {
            [option, text, ..] if is_shell(word) && SHELL_TEXT.contains(&&**option) => {
                let words: Vec<&str> = text.split_whitespace().collect();
                words.windows(2).filter_map(|pair| if let ["exec", word] = pair { Some(*word) } else { None }).collect()
            }
            args => args.iter().map(String::as_str).collect(),
        };
        let init = executed.into_iter().filter(|word| word.starts_with('/')).find_map(|word| self.init(word, &[]))?;
        Some(InitCommand { program, args: args.to_vec(), is_entrypoint: true, ..init })
    }
}
