//! The command line: what can be asked for, and the help that says so.
//!
//! Only the shape is here. What a value must look like is in [`crate::values`], what a command does in its own module.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use banger_oci::Platform;
use banger_rootfs::DEFAULT_LABEL;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::values::{self, Owner, Place};

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  2  the command line is wrong
  3  something that was named is not there
  4  not authorised (registries)
  5  the network failed (registries)
  6  the input is malformed, or not what its digest says
  7  the disk is full, or the size asked for is too small
  1  anything else";

const BUILD_EXAMPLES: &str = "\
Sources:
  oci:DIR[:REF]               an OCI image layout in a directory
  oci-archive:FILE[:REF]      the same in a tar file
  docker-archive:FILE[:REF]   what `docker save` writes; FILE can be -
  tar:FILE                    a flat root file system, as `docker export` writes it; FILE can be -

Examples:
  banger build oci:debian -o disk.ext4
  banger build oci:images:bookworm -o disk.ext4 --size 4G --platform linux/arm64
  docker save my-app | banger build docker-archive:- -o disk.ext4
  docker export my-container | banger build tar:- -o disk.ext4 --label my-app
  banger build oci:debian -o disk.ext4 --add ./authorized_keys:/root/.ssh/authorized_keys
  banger build oci:debian -o disk.ext4 --add ./app:/srv/app --add-owner 1000:1000
  banger build oci:debian -o disk.ext4 --json --checksum | jq .content_id

The same source and options give the same bytes on any machine: equal content ids mean equal files.";

const LS_EXAMPLES: &str = "\
A line has mode (+ where there are extended attributes), links, uid, gid, size or device number,
time in UTC, and name. What cannot be shown of a name is written as an escape (\\n, \\u{1b}, \\xff,
\\\\), in a pipe too. --json has names as they are, in `path_b64` and `link_b64` as base64 where
they are not UTF-8, and values of extended attributes as base64.

Examples:
  banger ls disk.ext4
  banger ls disk.ext4 /etc -R
  banger ls disk.ext4 -R --json --sha256 | jq -r 'select(.type == \"file\") | .sha256 + \"  \" + .path'";

const CAT_EXAMPLES: &str = "\
Symbolic links are followed inside the image.

Examples:
  banger cat disk.ext4 /etc/os-release
  banger cat disk.ext4 /usr/bin/busybox > busybox";

const STAT_EXAMPLES: &str = "\
Examples:
  banger stat disk.ext4 /usr/bin/ping
  banger stat disk.ext4 /bin --follow
  banger stat disk.ext4 /usr/bin/ping --json | jq .xattrs";

/// Turns any OCI image into a disk that boots
#[derive(Debug, Parser)]
#[command(name = "banger", version, max_term_width = 100, after_help = EXIT_CODES, disable_help_subcommand = true)]
#[command(long_about = "\
Turns any OCI image into a disk that boots: reads the image, merges its layers and writes a bootable ext4 root file \
system, in one pass, without root, mount, loop device, staging directory or any other program.")]
pub(crate) struct Args {
    /// When to use colour; the environment variable NO_COLOR turns `auto` off
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a bootable ext4 image from an OCI image
    Build(Build),
    /// List a directory of an ext4 image
    Ls(Ls),
    /// Write a file of an ext4 image to standard output
    Cat(Cat),
    /// Show everything about one file of an ext4 image
    Stat(Stat),
    /// Write the manual pages
    #[command(hide = true)]
    Man(Man),
}

#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(crate) struct Build {
    /// Image to build from, named as skopeo names it (see below)
    pub(crate) source: OsString,

    /// File to write; it appears only when it is complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Size of the image, with K, M, G or T in powers of 1024 [default: content x 1.25, at least 1G]
    #[arg(long, value_parser = values::size)]
    pub(crate) size: Option<u64>,

    /// Platform to choose from an index, as os/arch[/variant] [default: this machine's]
    #[arg(long, value_parser = values::platform)]
    pub(crate) platform: Option<Platform>,

    /// Volume label, at most 16 bytes
    #[arg(long, value_parser = values::label, default_value = DEFAULT_LABEL)]
    pub(crate) label: String,

    /// UUID of the file system [default: derived from the input]
    #[arg(long, value_parser = values::uuid)]
    pub(crate) uuid: Option<[u8; 16]>,

    /// Put a file or a directory tree of this machine into the image, on top of all layers; can be repeated
    ///
    /// DST is absolute and names the file itself; with a trailing slash it names the directory for it. A tree is merged
    /// into what is there, and symbolic links on the way to DST are followed inside the image. Modes, times and
    /// extended attributes are kept.
    #[arg(long, value_name = "SRC:DST", value_parser = values::place_parser(), action = ArgAction::Append)]
    pub(crate) add: Vec<Place>,

    /// Owner of everything that is added; UID alone stands for UID:UID
    #[arg(long, value_name = "UID[:GID]", value_parser = values::owner, default_value = "0:0", requires = "add")]
    pub(crate) add_owner: Owner,

    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,

    /// Do not wait until the image is on the disk
    #[arg(long)]
    pub(crate) no_sync: bool,

    /// How many threads work on the layers [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// Compute the sha256 of the finished file
    #[arg(long)]
    pub(crate) checksum: bool,

    /// Print the content id on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct Ls {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// Directory to list, or a single file
    #[arg(default_value = "/")]
    pub(crate) path: OsString,

    /// List PATH itself and everything below it, with full paths
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Add the sha256 of each file's content
    #[arg(long, requires = "json")]
    pub(crate) sha256: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct Cat {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// File to write out
    pub(crate) path: OsString,
}

#[derive(Debug, clap::Args)]
#[command(after_help = STAT_EXAMPLES)]
pub(crate) struct Stat {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// What to show
    #[arg(default_value = "/")]
    pub(crate) path: OsString,

    /// Show what a symbolic link leads to instead of the link
    #[arg(short = 'L', long)]
    pub(crate) follow: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Add the sha256 of the file's content
    #[arg(long, requires = "json")]
    pub(crate) sha256: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Directory for one page a command; without it banger(1) goes to standard output
    pub(crate) directory: Option<PathBuf>,
}
