//! `banger run`

use std::ffi::OsString;
use std::path::PathBuf;

use banger_protocol::boot::Init;
use banger_vm::Forward;
use clap::{ArgAction, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::RegistryOptions;
use crate::completion;
use crate::run::amounts::{self, Growth};
use crate::values::{self, Passed, Variable, Words};

const RUN_EXAMPLES: &str = "\
With CMD, that is run in the machine, and its exit status is that of banger: 127 where it is not found, 126 where it \
cannot be run, 128 and the number of a signal that ended it. The image's Entrypoint and Cmd are not started then; \
--entrypoint names another program, with CMD as its arguments. Without CMD, an image that boots without an init runs \
its own command, and its status is that of banger; any other gives a shell. What goes wrong before has the exit codes \
of every command (`banger --help`).

Whatever runs is the image's User, in its WorkingDir, with its Env, as in a container, unless --user, --workdir and \
--env say otherwise. That holds for images with an init, too; with `-u root -w /` root administers the machine.

When CMD or the command ends, the machine is switched off. Its directory stays, with its disk \
(overlay.qcow2) and its console (serial.log), below ~/.local/state/banger/machines; --rm removes it.

What SOURCE names is, in this order: a file that is an ext4 image, an image that is kept here (`banger image ls`), by \
its name or the beginning of its id, an image to build one from. An image that is kept here is never written to: what the machine writes is in its own directory.

Examples:
  banger pull nginx && banger run nginx-latest --port 8080:80
  banger run demo:
  banger run debian:bookworm -- sh -c 'cat /etc/os-release'
  banger run debian:bookworm -u root -w / -- id
  banger run --rm disk.ext4
  banger run --rm nginx --port 8080:80 -e NGINX_PORT=80
  banger run --rm disk.ext4 --kernel ./vmlinuz --modules ./modules --cpus 4 --memory 2G --disk-size +8G";

#[derive(Debug, clap::Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    /// What to boot: an ext4 image, or the name of one that is kept here, or an image to build one from, as for `banger build`
    #[arg(add = ArgValueCompleter::new(completion::images_and_files))]
    pub(crate) source: OsString,

    /// Command to run in the machine, and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Linux kernel to boot: a file, or the name of one that is kept here [default: the image's own, or that of the settings, or the newest that is kept here, or the newest in /boot that can be read]
    #[arg(long, value_name = "FILE|NAME", help_heading = "Machine")]
    pub(crate) kernel: Option<PathBuf>,

    /// Initial RAM disk for it [default: the one that the kernel came with, or one that banger makes]
    #[arg(long, value_name = "FILE", help_heading = "Machine")]
    pub(crate) initrd: Option<PathBuf>,

    /// The kernel's modules, of which the initial RAM disk takes what it needs [default: beside the kernel, or in /lib/modules]
    #[arg(long, value_name = "DIR", conflicts_with = "initrd", help_heading = "Machine")]
    pub(crate) modules: Option<PathBuf>,

    /// More words for the kernel's command line
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true, help_heading = "Machine")]
    pub(crate) append: String,

    /// Processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255), help_heading = "Machine")]
    pub(crate) cpus: u32,

    /// Memory, with M or G
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = amounts::memory, help_heading = "Machine")]
    pub(crate) memory: u64,

    /// Size of its disk, or with + how much larger than the image it is; the file system grows with it
    #[arg(long, value_name = "[+]SIZE", value_parser = amounts::growth, help_heading = "Machine")]
    pub(crate) disk_size: Option<Growth>,

    /// Lead a port of this machine to one of the guest; can be repeated
    ///
    /// ADDRESS is 127.0.0.1 unless it is named; with /udp it is a UDP port.
    #[arg(long, value_name = "[ADDRESS:]HOST:GUEST", action = ArgAction::Append, help_heading = "Machine")]
    pub(crate) port: Vec<Forward>,

    /// What executes the guest: KVM where it works, unless it is named
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, help_heading = "Machine")]
    pub(crate) accel: Accel,

    /// How the agent is reached: by the first of these that is there, unless it is named
    #[arg(long, value_enum, value_name = "WAY", default_value_t, help_heading = "Machine")]
    pub(crate) channel: Way,

    /// How long the machine may take until its agent answers
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Machine")]
    pub(crate) boot_timeout: u64,

    /// Remove all that the machine has left when it ends
    #[arg(long)]
    pub(crate) rm: bool,

    /// Show the machine's serial console on standard error
    #[arg(long)]
    pub(crate) console: bool,

    /// Write how long each stage of the start took to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) timings: Option<PathBuf>,

    /// Show nothing but what comes from the machine, and errors
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Host name
    #[arg(long, value_name = "NAME", value_parser = values::hostname, help_heading = "Guest")]
    pub(crate) hostname: Option<String>,

    /// Let those log in as root whose public keys are in FILE; can be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append, help_heading = "Guest")]
    pub(crate) ssh_key: Vec<PathBuf>,

    /// Set a variable of the environment, on top of the image's, or pass the one of this name; can be repeated
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::passed_variable, action = ArgAction::Append, help_heading = "Guest")]
    pub(crate) env: Vec<Passed>,

    /// Set variables that are in FILE, one NAME=VALUE or NAME a line; can be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append, help_heading = "Guest")]
    pub(crate) env_file: Vec<PathBuf>,

    /// User to run as instead of the image's User: names, or numbers
    #[arg(short, long, value_name = "USER[:GROUP]", value_parser = values::guest_user, help_heading = "Guest")]
    pub(crate) user: Option<String>,

    /// Directory to run in instead of the image's WorkingDir; made where it is missing
    #[arg(short, long, value_name = "DIR", value_parser = values::workdir, help_heading = "Guest")]
    pub(crate) workdir: Option<String>,

    /// Program to run in the machine, with CMD as its arguments; "" for CMD alone
    ///
    /// Words between spaces, or a JSON array of strings.
    #[arg(long, value_name = "WORDS", value_parser = values::entrypoint, help_heading = "Guest")]
    pub(crate) entrypoint: Option<Words>,

    /// Arguments for the image's Entrypoint instead of its Cmd, where the machine runs that
    #[arg(long, value_name = "WORDS", value_parser = values::command, conflicts_with_all = ["command", "entrypoint"], help_heading = "Guest")]
    pub(crate) cmd: Option<Words>,

    /// Init to boot with: auto, systemd, openrc, none, or an absolute path in the image [default: auto]
    ///
    /// An image that was built before boots as it was built for, with auto; `banger build --help` has the rules.
    #[arg(long, value_name = "INIT", default_value_t, hide_default_value = true, help_heading = "Guest")]
    pub(crate) init: Init,

    /// Set a kernel setting at boot, such as net.core.somaxconn=1024 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::sysctl, action = ArgAction::Append, help_heading = "Guest")]
    pub(crate) sysctl: Vec<Variable>,

    /// Limit what the image's command and CMD may use, such as nofile=1024:4096; -1 is no limit (repeatable)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = values::ulimit, action = ArgAction::Append, help_heading = "Guest")]
    pub(crate) ulimit: Vec<values::Limit>,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Accel {
    /// KVM where a guest really runs with it, else emulation
    #[default]
    Auto,
    /// The processor
    Kvm,
    /// Emulation, on any machine
    Tcg,
}

/// How the agent is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// The first that is there
    #[default]
    Auto,
    /// vsock, by this machine's kernel
    Vsock,
    /// vsock, by the program vhost-device-vsock
    VhostUser,
    /// Serial ports
    Serial,
}
