//! A wrong command line, told as every other error is.

mod docker;
mod help;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory};

use crate::args::{Args, Color};
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) use self::help::as_option as with_help;

/// Help and version are data for standard output; what is wrong with a command line becomes a [`Failure`].
pub(crate) fn answer(error: &clap::Error, arguments: &[OsString]) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.print().map_err(Failure::stdout),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::new(Exit::Usage, "no command is given").hint("`banger --help` lists them"))
        }
        _ => {
            let arguments: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            Err(failure(&error.render().to_string(), docker::hint(error, &arguments)))
        }
    }
}

/// Whether the command is asked for JSON.
pub(crate) fn is_json(matches: &ArgMatches) -> bool {
    // Not every command has the option.
    let own = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json);
    own || matches.subcommand().is_some_and(|(_, matches)| is_json(matches))
}

/// Whether a command line that is not right otherwise asks for JSON; what follows `--` is for another program.
pub(crate) fn asks_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

/// The colour choice of a command line that is not right otherwise.
pub(crate) fn color(arguments: &[OsString]) -> Color {
    let matches = Args::command().ignore_errors(true).try_get_matches_from(arguments).ok();
    matches.and_then(|matches| matches.get_one("color").copied()).unwrap_or_default()
}

/// Turns clap's text into ours: its paragraphs are the error, tips, the usage and the way to the help. A hint of our own stands for the tips, which
/// know less.
fn failure(text: &str, hint: Option<String>) -> Failure {
    let mut paragraphs = text.split("\n\n");
    let error = paragraphs.next().unwrap_or_default();
    let error = error.strip_prefix("error: ").unwrap_or(error);
    let mut failure = Failure::new(Exit::Usage, on_one_line(error));
    let has_hint = hint.is_some();
    failure = hint.into_iter().fold(failure, Failure::hint);
    for paragraph in paragraphs {
        let paragraph = on_one_line(paragraph);
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            failure = if has_hint { failure } else { failure.hint(tip) };
        } else if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            let command = usage.split(['[', '<', '-']).next().unwrap_or_default().trim();
            failure = failure.hint(format!("usage: {usage}")).hint(format!("`{command} --help` explains it"));
        } else if paragraph.starts_with("For more information") && failure.hints().is_empty() {
            failure = failure.hint("`--help` after the command explains its options");
        }
    }
    failure
}

fn on_one_line(paragraph: &str) -> String {
    paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
