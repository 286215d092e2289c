//! What docker's commands and options are here, for who types them from habit.

use std::path::Path;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Args;

/// Options of a command, and what does the same here.
type Options = &'static [(&'static [&'static str], &'static str)];

const RUN: Options = &[
    (&["-p", "--publish"], "--port [ADDRESS:]HOST:GUEST forwards a port, as in --port 8080:80"),
    (
        &["-P", "--publish-all", "--expose"],
        "each port is named: --port HOST:GUEST; which ports the image exposes is shown when the machine is ready",
    ),
    (
        &["-d", "--detach", "--restart"],
        "a machine lives as long as its `banger run`: put `&` behind the command, or start it from a service manager",
    ),
    (
        &["-i", "-t", "--interactive", "--tty", "-a", "--attach"],
        "no option is needed: a shell or a command gets the terminal of banger, as in `banger run IMAGE -- sh`",
    ),
    (
        &["-v", "--volume", "--mount", "--tmpfs", "--volumes-from"],
        "directories of the host cannot be mounted yet: `banger build IMAGE --add SRC:DST -o disk.ext4` puts files into an image",
    ),
    (
        &["--name", "--label", "-l", "--cidfile"],
        "machines have no names of their own yet; --hostname NAME names the guest",
    ),
    (
        &["--network", "--net", "--dns", "--ip", "--link", "--add-host"],
        "every machine has a network of its own; --port forwards to it",
    ),
    (&["-m"], "--memory SIZE"),
    (&["-c", "--cpu-shares", "--cpuset-cpus"], "--cpus N"),
    (
        &[
            "--privileged",
            "--cap-add",
            "--cap-drop",
            "--security-opt",
            "--device",
            "--gpus",
            "--pid",
            "--ipc",
            "--userns",
            "--read-only",
        ],
        "a machine has a kernel of its own: what runs in it is not limited, and devices of the host are not in it",
    ),
    (&["--shm-size"], "--memory SIZE: half of the memory is for /dev/shm"),
    (&["--platform"], "machines are of this host's architecture; `banger build --platform` builds for another"),
];

const BUILD: Options = &[
    (
        &["-t", "--tag"],
        "-o FILE names the image file; `banger pull SOURCE --name NAME` keeps the image here under a name",
    ),
    (&["-f", "--file", "--target", "--build-arg", "--no-cache"], DOCKERFILE),
    (&["--load", "--push"], "`banger image push NAME REF` pushes an image that is kept here"),
];

const PULL: Options = &[(&["-a", "--all-tags"], "`banger pull` takes one image; name its tag, as in debian:bookworm")];

const IMAGES: Options = &[
    (&["-a", "--all", "--digests"], "all images are listed, and --json has their digests"),
    (&["-f", "--filter", "--format"], "--json has everything, for programs such as jq"),
];

/// Why there is no Dockerfile.
const DOCKERFILE: &str = "banger reads images, not Dockerfiles: `docker build -t app . && docker save app -o app.tar`, then `banger build docker-archive:app.tar -o disk.ext4`";
const ENDS: &str = "a machine lives as long as its `banger run`: Ctrl-C there ends it";
const INSIDE: &str = "there is no way into a running machine yet: `banger run IMAGE -- CMD` runs a command in a new one, --ssh-key lets you log in";

/// Commands, and what does the same here.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["ps", "container", "top", "stats"],
        "there is no list of machines yet: each one lives as long as its `banger run`, and has a directory in ~/.local/state/banger/machines",
    ),
    (&["stop", "kill", "start", "restart", "pause", "unpause", "wait", "create"], ENDS),
    (&["exec", "attach"], INSIDE),
    (&["rm"], "`banger image rm IMAGE` removes an image; a machine with --rm leaves nothing behind"),
    (&["rmi"], "`banger image rm IMAGE`"),
    (&["push"], "`banger image push IMAGE REF`"),
    (&["tag"], "`banger image rename IMAGE NAME`, or `banger pull REF --name NAME` for a second name"),
    (&["save", "export"], "`banger image export IMAGE -o FILE`"),
    (&["load", "import"], "`banger pull docker-archive:FILE --name NAME`, or oci-archive:FILE, or tar:FILE"),
    (&["inspect"], "`banger image show IMAGE`"),
    (&["history"], "`banger image history IMAGE`"),
    (&["search"], "`banger catalog ls` lists what can be had by name"),
    (&["logs"], "a machine's console is serial.log in its directory; `banger run --console` shows it"),
    (&["cp"], "`banger cat IMAGE PATH` reads a file of an image, `banger build --add SRC:DST` puts one into it"),
    (&["commit"], "`banger image promote` keeps an image that was built"),
    (&["version"], "`banger --version`"),
    (&["system"], "`banger df`, `banger prune` and `banger info`"),
    (&["buildx", "builder"], DOCKERFILE),
    (
        &["compose", "network", "volume", "swarm", "stack", "service", "context"],
        "banger runs single machines; there is nothing like this here",
    ),
];

/// What to type instead, where `error` is about something that docker has.
pub(super) fn hint(error: &clap::Error, arguments: &[String]) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => for_command(context(ContextKind::InvalidSubcommand)?).map(str::to_owned),
        ErrorKind::UnknownArgument => for_argument(context(ContextKind::InvalidArg)?, arguments),
        ErrorKind::MissingRequiredArgument if command(arguments) == Some("build") => {
            for_directory(arguments).map(str::to_owned)
        }
        _ => None,
    }
}

fn for_command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(names, _)| names.contains(&name)).map(|(_, hint)| *hint)
}

fn for_argument(argument: &str, arguments: &[String]) -> Option<String> {
    let command = command(arguments)?;
    if !argument.starts_with('-') {
        return (command == "run").then(|| dashes(arguments)).flatten();
    }
    let options = match command {
        "run" => RUN,
        "build" => BUILD,
        "pull" => PULL,
        "images" => IMAGES,
        _ => return None,
    };
    let name = argument.split('=').next().unwrap_or_default();
    options.iter().find(|(names, _)| names.contains(&name)).map(|(_, hint)| (*hint).to_owned())
}

/// A command after the image, which docker takes without dashes.
fn dashes(arguments: &[String]) -> Option<String> {
    // The command begins where the words up to there are wrong for the first time: it may have words of the options before it.
    let is_wrong = |at: &usize| {
        let words = arguments.iter().take(at.saturating_add(1));
        Args::command().try_get_matches_from(words).is_err_and(|error| error.kind() == ErrorKind::UnknownArgument)
    };
    let at = (0..arguments.len()).find(is_wrong)?;
    let (before, command) = arguments.split_at_checked(at)?;
    let before: Vec<&str> = before.iter().skip(1).map(String::as_str).collect();
    Some(format!("a command comes after two dashes: `banger {} -- {}`", before.join(" "), command.join(" ")))
}

/// Where the source of `banger build` is the directory of a Dockerfile.
fn for_directory(arguments: &[String]) -> Option<&'static str> {
    let is_context = |word: &String| {
        let path = Path::new(word);
        path.is_dir() && !path.join("oci-layout").exists()
    };
    arguments.iter().skip(2).any(is_context).then_some(DOCKERFILE)
}

/// The command that was typed.
fn command(arguments: &[String]) -> Option<&str> {
    arguments.iter().skip(1).find(|word| !word.starts_with('-')).map(String::as_str)
}
