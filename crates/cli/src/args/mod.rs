//! The command line: what can be asked for, and the help that says so.
//!
//! Only the shape is here. What a value must look like is in [`crate::values`], what a command does in its own module.

mod build;
mod cache;
mod catalog;
mod fetch;
mod guest;
mod image;
mod inspect;
mod kernel;
mod login;
mod output;
mod pull;
mod registry;
mod run;
mod service;
mod system;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::build::Build;
pub(crate) use self::cache::{Cache, CacheCommand, CacheLs, CachePrune, CacheRm, CacheVerify};
pub(crate) use self::catalog::{Bundle, BundleCommand, Catalog, CatalogAdd, CatalogCommand, CatalogLs};
pub(crate) use self::fetch::{Fetch, Resolve, Tags};
pub(crate) use self::guest::{GuestLayer, GuestOptions, GuestSettings};
pub(crate) use self::image::{
    ExportFormat, Image, ImageCommand, ImageDiff, ImageExport, ImageHistory, ImageLs, ImagePromote, ImagePush,
    ImageRegister, ImageRename, ImageRm, ImageShow, PushForm,
};
pub(crate) use self::inspect::{Cat, Ls, Stat};
pub(crate) use self::kernel::{
    Kernel, KernelCommand, KernelExport, KernelImport, KernelLs, KernelOutput, KernelPull, KernelRm, KernelShow,
};
pub(crate) use self::login::{Login, Logout};
pub(crate) use self::output::{ArchiveOutput, ListOutput, RemoveOutput};
pub(crate) use self::pull::{KernelOptions, PullArgs};
pub(crate) use self::registry::{CacheOption, HostOptions, Pull, RegistryOptions};
pub(crate) use self::run::{Accel, Run, Way};
pub(crate) use self::service::ServiceOptions;
pub(crate) use self::system::{
    Completion, Daemon, DaemonCommand, DaemonStop, Df, Doctor, Info, Job, JobCommand, JobLs, JobOne, JobWatch, Man,
    Prune, Purge, Shell,
};

const AFTER_HELP: &str = "\
Digests:
  Pin an image in a registry by its digest: NAME@sha256:... Pin a file by its checksum:
  `banger build --checksum` prints it. Equal content ids mean equal bytes. An id names an image
  that is kept on this machine.

Exit codes:
  0  success
  2  the command line is wrong
  3  something that was named is not there
  4  not authorised (registries)
  5  the network failed (registries)
  6  the input is malformed, or not what its digest says
  7  the disk is full, or the size asked for is too small
  1  anything else
128  and the number of a signal that has ended it: 130 after Ctrl-C";

/// Turns any OCI image into a disk that boots
#[derive(Debug, Parser)]
#[command(name = "banger", version, max_term_width = 100, after_help = AFTER_HELP, disable_help_subcommand = true)]
#[command(long_about = "\
Turns any OCI image into a disk that boots: reads the image, merges its layers and writes a bootable ext4 root file \
system, in one pass, without root, mount, loop device, staging directory or any other program. Keeps such images with \
their kernels under names, starts machines from them, and hands them on.")]
pub(crate) struct Args {
    /// When to use colour; the environment variable NO_COLOR turns `auto` off
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, help_heading = "Global options")]
    pub(crate) color: Color,

    /// How to show progress: `auto` means bars on a terminal and lines elsewhere, `json` one event a line
    #[arg(long, global = true, value_enum, value_name = "HOW", default_value_t, help_heading = "Global options")]
    pub(crate) progress: Progress,

    #[command(flatten)]
    pub(crate) service: ServiceOptions,

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

/// How progress is shown. The values have no help of their own: it would make that of each command twice as long.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Progress {
    // Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    // Lines, also on a terminal.
    Plain,
    // Events.
    Json,
    None,
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
    /// Make an image that is kept here, ready to be started
    Pull(Box<PullArgs>),
    /// Boot an image in a machine of its own, and run a command in it
    Run(Box<Run>),
    /// See to the images that are kept here
    Image(Image),
    /// See to the kernels that are kept here
    Kernel(Kernel),
    /// See what can be had by name, and offer something
    Catalog(Catalog),
    /// Write images into files that a catalog can offer
    Bundle(Bundle),
    /// Build a bootable ext4 image from an OCI image
    Build(Box<Build>),
    /// Download images into the cache
    Fetch(Box<Fetch>),
    /// Show what a reference to a registry stands for
    Resolve(Box<Resolve>),
    /// List the tags of a repository
    Tags(Box<Tags>),
    /// Log in to a registry
    Login(Login),
    /// Forget what was given to log in to a registry
    Logout(Logout),
    /// See to what has been downloaded
    Cache(Cache),
    /// List a directory of an ext4 image
    Ls(Ls),
    /// Write a file of an ext4 image to standard output
    Cat(Cat),
    /// Show everything about one file of an ext4 image
    Stat(Stat),
    /// Show what takes up how much of the disk
    Df(Df),
    /// Remove what nothing needs
    Prune(Prune),
    /// Remove all that is kept for this user: images, kernels, machines, the cache
    Purge(Purge),
    /// Show who does the work, and where things are kept
    Info(Info),
    /// See to what the daemon does
    Job(Job),
    /// End the daemon
    Daemon(Daemon),
    /// See what is missing on this machine, and how to get it
    Doctor(Doctor),
    /// Print what makes a shell complete command lines
    Completion(Completion),
    /// List the images that are kept here: the same as `image ls`
    #[command(hide = true)]
    Images(ImageLs),
    /// Write the manual pages
    #[command(hide = true)]
    Man(Man),
}
