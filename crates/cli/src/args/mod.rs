//! The command line: what can be asked for, and the help that says so.
//!
//! Only the shape is here. What a value must look like is in [`crate::values`], what a command does in its own module.

mod build;
mod cache;
mod fetch;
mod guest;
mod inspect;
mod login;
mod registry;
mod run;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::build::Build;
pub(crate) use self::cache::{Cache, CacheCommand, CacheLs, CachePrune, CacheRm, CacheVerify};
pub(crate) use self::fetch::{Fetch, Resolve};
pub(crate) use self::guest::{GuestLayer, GuestOptions};
pub(crate) use self::inspect::{Cat, Ls, Stat};
pub(crate) use self::login::{Login, Logout};
pub(crate) use self::registry::{CacheOption, HostOptions, Pull, RegistryOptions};
pub(crate) use self::run::{Accel, Run, Way};

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
    Build(Box<Build>),
    /// Boot an image in a machine of its own, and run a command in it
    Run(Box<Run>),
    /// Download images into the cache
    Fetch(Box<Fetch>),
    /// Show what a reference to a registry stands for
    Resolve(Box<Resolve>),
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
    /// Write the manual pages
    #[command(hide = true)]
    Man(Man),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Directory for one page a command; without it banger(1) goes to standard output
    pub(crate) directory: Option<PathBuf>,
}
