//! `banger df`, `banger prune`, `banger purge`, `banger daemon`, `banger info`, `banger doctor`, `banger job`, `banger completion`, `banger man`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

const DF_HELP: &str = "\
`reclaimable` is what `banger prune --all` would free: the cache, machines that have ended, images
whose name was moved to another image. `banger prune` frees what of it nothing needs.

Examples:
  banger df
  banger df --json | jq -r 'select(.part == \"layers\") | .size'";

const PRUNE_HELP: &str = "\
What goes is what nothing needs: leftovers of what was killed, images whose name was moved to
another image and from which no machine runs, layers that no image in the cache needs, downloads
that broke off. With --all the whole cache goes too, and machines that have ended. Images and
kernels that have a name always stay.

On a terminal it is asked before anything but leftovers is removed. Where there is no terminal,
--all needs --yes.

Examples:
  banger prune --dry-run
  banger prune --all --yes";

const PURGE_HELP: &str = "\
Everything in ~/.local/state/banger and ~/.cache/banger: images, kernels, machines that have ended,
the cache. The daemon is ended first. It is refused while a machine runs, or while another process
uses an image. Settings in ~/.config/banger stay. It is listed first, and asked on a terminal; where
there is none, --yes is needed.

Examples:
  banger purge --dry-run
  banger purge --yes";

const DAEMON_HELP: &str = "\
The daemon is started by the first command that needs it, and ends by itself when it has had nothing
to do for five minutes. `banger info` shows whether it runs.

Examples:
  banger daemon stop";

const DOCTOR_HELP: &str = "\
Each line is one thing that banger needs, or can make use of: whether it is there, what it is for,
how to get it. The exit code is 1 where something is missing that images cannot be made or started
without.

Examples:
  banger doctor
  banger doctor --json | jq -r 'select(.state != \"ok\") | .name'";

const JOB_HELP: &str = "\
What the daemon does and takes long is a job: it goes on when whoever asked for it has gone, and
others can join it.";

const COMPLETION_HELP: &str = "\
Names of images and kernels are completed too.

Examples:
  echo 'source <(banger completion bash)' >> ~/.bashrc
  echo 'source <(banger completion zsh)' >> ~/.zshrc
  banger completion fish > ~/.config/fish/completions/banger.fish";

#[derive(Debug, clap::Args)]
#[command(after_help = DF_HELP)]
pub(crate) struct Df {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PRUNE_HELP)]
pub(crate) struct Prune {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Remove the whole cache and the machines that have ended too
    #[arg(long)]
    pub(crate) all: bool,

    /// Do not ask
    #[arg(short, long, visible_alias = "force", short_alias = 'f')]
    pub(crate) yes: bool,

    /// Print one JSON object; nothing is asked then, so --all needs --yes
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PURGE_HELP)]
pub(crate) struct Purge {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = DAEMON_HELP, arg_required_else_help = false)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    pub(crate) command: DaemonCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum DaemonCommand {
    /// End the daemon
    Stop(DaemonStop),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DaemonStop {
    /// Cancel its jobs; without this it is not ended while it has any
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct Doctor {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Settings to check [default: ~/.config/banger/config.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = JOB_HELP, arg_required_else_help = false)]
pub(crate) struct Job {
    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum JobCommand {
    /// List what the daemon does and has done
    #[command(alias = "list")]
    Ls(JobLs),
    /// Show all that is known of a job
    #[command(alias = "inspect")]
    Show(JobOne),
    /// Show how far a job is until it ends; its success is that of this command
    Watch(JobWatch),
    /// End a job early
    Cancel(JobOne),
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobLs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobOne {
    /// Its number
    pub(crate) id: u64,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobWatch {
    /// Its number
    pub(crate) id: u64,

    /// Print the job's events on standard output, one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETION_HELP)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Shell {
    /// bash 4.4 or later
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Directory for one page a command; without it banger(1) goes to standard output
    pub(crate) directory: Option<PathBuf>,
}
