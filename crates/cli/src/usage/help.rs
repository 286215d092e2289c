//! `banger help [COMMAND…]`, which is `banger COMMAND… --help`.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::args::Args;

/// The word that asks for help where a command is expected.
const HELP: &str = "help";

/// The arguments with `help` as an option, where it was typed as a command.
pub(crate) fn as_option(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let root = Args::command();
    let mut command = &root;
    let mut at = 1;
    while let Some(sub) = arguments.get(at).and_then(|word| command.find_subcommand(word)) {
        command = sub;
        at = at.saturating_add(1);
    }
    if command.has_subcommands() && arguments.get(at).is_some_and(|word| word == HELP) {
        arguments.remove(at);
        arguments.push("--help".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_a_command_where_a_command_is_expected() {
        for (typed, meant) in [
            ("banger help", "banger --help"),
            ("banger help run", "banger run --help"),
            ("banger help image ls", "banger image ls --help"),
            ("banger image help", "banger image --help"),
            ("banger image help ls", "banger image ls --help"),
            ("banger run help", "banger run help"),
            ("banger", "banger"),
            ("banger ls help", "banger ls help"),
        ] {
            let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(as_option(words(typed)), words(meant), "{typed}");
        }
    }
}
