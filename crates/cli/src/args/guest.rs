//! What an image gets on top of what is in it.

use std::ffi::OsString;
use std::path::PathBuf;

use banger_protocol::boot::Init;
use clap::{ArgAction, ValueEnum};

use crate::values::{self, Variable, Words};

/// Whether an image gets the guest layer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum GuestLayer {
    /// The agent, and what starts it
    #[default]
    Full,
    /// Nothing: the image as it is
    None,
}

/// Options that say what an image gets besides its layers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Guest")]
pub(crate) struct GuestOptions {
    #[command(flatten)]
    pub(crate) settings: GuestSettings,

    /// Put the modules of a kernel, as in /lib/modules/VERSION, into the image
    #[arg(long, value_name = "DIR", conflicts_with = "kernel_modules")]
    pub(crate) modules: Option<PathBuf>,

    /// The same with those of this machine: of its newest kernel, or of VERSION
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) kernel_modules: Option<OsString>,
}

/// What is set for the agent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Guest")]
pub(crate) struct GuestSettings {
    /// What makes the image boot and answer: the agent and what starts it, or nothing at all
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub(crate) guest: GuestLayer,

    /// Host name, for /etc/hostname and for the agent
    #[arg(long, value_name = "NAME", value_parser = values::hostname)]
    pub(crate) hostname: Option<String>,

    /// Let those log in as root whose public keys are in FILE; can be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) ssh_key: Vec<PathBuf>,

    /// Set a variable of the environment, on top of the image's; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::variable, action = ArgAction::Append)]
    pub(crate) env: Vec<Variable>,

    /// Set a kernel setting at boot, such as net.core.somaxconn=1024 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::sysctl, action = ArgAction::Append)]
    pub(crate) sysctl: Vec<Variable>,

    /// Limit what the image's command may use, such as nofile=1024:4096; -1 is no limit (repeatable)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = values::ulimit, action = ArgAction::Append)]
    pub(crate) ulimit: Vec<values::Limit>,

    /// Set variables that are in FILE, one NAME=VALUE a line; can be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) env_file: Vec<PathBuf>,

    /// Entrypoint instead of the image's, without the image's Cmd; "" for none
    ///
    /// WORDS are as those of --cmd, which come after them.
    #[arg(long, value_name = "WORDS", value_parser = values::entrypoint)]
    pub(crate) entrypoint: Option<Words>,

    /// Command instead of the image's Cmd; its Entrypoint stays
    ///
    /// Words between spaces, or a JSON array of strings where a word has a space in it. No shell reads it: --cmd '["sh", "-c",
    /// "echo $HOME"]' names one.
    #[arg(long, value_name = "WORDS", value_parser = values::command)]
    pub(crate) cmd: Option<Words>,

    /// User of the image's programs instead of the image's User: names, or numbers
    #[arg(long, value_name = "USER[:GROUP]", value_parser = values::guest_user)]
    pub(crate) user: Option<String>,

    /// Directory of the image's programs instead of the image's WorkingDir
    #[arg(long, value_name = "DIR", value_parser = values::workdir)]
    pub(crate) workdir: Option<String>,

    /// Init that the image boots with: auto, systemd, openrc, none, or an absolute path in the image [default: auto]
    ///
    /// With auto, an image whose command is an init boots with it, and one whose command is any other program runs that, even if there
    /// is an init besides. An image without a command, or with a shell alone, boots with the init that it has. none always runs the
    /// image's command.
    #[arg(long, value_name = "INIT", default_value_t, hide_default_value = true)]
    pub(crate) init: Init,

    /// Have an SSH server installed at first boot, with the image's package manager; an image that has one uses its own
    #[arg(long)]
    pub(crate) sshd: bool,
}
