//! Command lines that complete themselves: a shell asks this program, which knows its options and, from the store, the names
//! of images and kernels.
//!
//! The shell calls `banger` with `BANGER_COMPLETE` set to its name, as the script says that `banger completion` prints. Names
//! are read from the store's database alone: no daemon is started, nothing is made, and what cannot be read completes nothing.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;

use banger_config::Directories;
use banger_store::completion::{Names, names};
use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;

use crate::args::{Args, Completion, Shell};
use crate::exit::Exit;
use crate::failure::Failure;

/// Says that a shell asks, and which.
const VARIABLE: &str = "BANGER_COMPLETE";
/// What is completed, and who is asked.
const PROGRAM: &str = "banger";
/// What completes at once when zsh has loaded the script because it is to complete something, as a file `_banger` among its functions.
const ZSH_LOADED: &str = "\
if [[ \"${funcstack[1]}\" == _banger ]]; then
    _clap_dynamic_completer_banger \"$@\"
fi
";

/// Answers a shell, if it is one that asks. Says whether it was.
pub(crate) fn answer() -> Result<bool, Failure> {
    let asked = CompleteEnv::with_factory(Args::command).var(VARIABLE).bin(PROGRAM).completer(PROGRAM);
    let directory = std::env::current_dir().ok();
    asked.try_complete(std::env::args_os(), directory.as_deref()).map_err(|error| Failure::of(Exit::Other, &error))
}

/// Prints what makes a shell ask.
pub(crate) fn run(completion: &Completion) -> Result<(), Failure> {
    let name = match completion.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(name) {
        shell
            .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
            .map_err(|error| Failure::new(Exit::Other, "cannot write the script").because(&error))?;
    }
    if completion.shell == Shell::Zsh {
        script.extend_from_slice(ZSH_LOADED.as_bytes());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Failure::stdout)
}

/// Names of images.
pub(crate) fn images() -> Vec<CompletionCandidate> {
    candidates(known().images)
}

/// Names of kernels.
pub(crate) fn kernels() -> Vec<CompletionCandidate> {
    candidates(known().kernels)
}

/// Names of images, and files, as `banger run` takes both.
pub(crate) fn images_and_files(current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let named = known().images.into_iter().filter(|name| name.starts_with(&*begun));
    candidates(named).into_iter().chain(PathCompleter::any().complete(current)).collect()
}

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn known() -> Names {
    let root = root(std::env::args_os().map(|word| word.to_string_lossy().into_owned()));
    let directories = Directories::of_process(root.as_deref());
    directories.and_then(|directories| directories.root()).map(|root| names(&root)).unwrap_or_default()
}

/// The root that the command line names which is to be completed.
fn root(words: impl IntoIterator<Item = String>) -> Option<PathBuf> {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--root" {
            return words.next().map(PathBuf::from);
        }
        if let Some(root) = word.strip_prefix("--root=") {
            return Some(root.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_that_of_the_command_line() {
        for (line, expected) in [
            ("banger -- banger --root /r image show", Some("/r")),
            ("banger -- banger image rm --root=/r x", Some("/r")),
            ("banger -- banger image show", None),
            ("banger -- banger --root", None),
        ] {
            assert_eq!(root(line.split(' ').map(str::to_owned)), expected.map(PathBuf::from), "{line}");
        }
    }
}
