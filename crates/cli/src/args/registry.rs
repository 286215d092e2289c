//! What is said about registries, by every command that asks one.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, ValueEnum};

use crate::values::{self, User};

/// How to get at registries, and where to keep what comes from them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryOptions {
    /// When to ask the registry instead of the cache [default: missing for build and run, else always]
    ///
    /// What is in the cache by digest is never downloaded again, whatever is said here.
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<Pull>,

    /// Make no request at all: the same as --pull never
    #[arg(long, conflicts_with = "pull")]
    pub(crate) offline: bool,

    /// Threads that work, and connections to a registry [default: one for each processor, 4 connections]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) cache: CacheOption,

    /// User and password for the registry; the password is asked for where it is left out
    #[arg(long, value_name = "USER[:PASSWORD]", value_parser = values::user)]
    pub(crate) creds: Option<User>,

    /// File with credentials, as `banger login`, docker and podman write it
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) hosts: HostOptions,
}

/// What is set for hosts, wherever they are spoken to.
#[derive(Debug, clap::Args)]
pub(crate) struct HostOptions {
    /// Trust the certificate authorities in FILE (PEM) too; can be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) ca: Vec<PathBuf>,

    /// Speak to HOST without certificates, or without encryption; can be repeated
    #[arg(long, value_name = "HOST[:PORT]", value_parser = values::host, action = ArgAction::Append)]
    pub(crate) insecure: Vec<String>,

    /// Settings of registries [default: ~/.config/banger/config.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Where what was downloaded is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct CacheOption {
    /// Directory of the cache, an OCI image layout [default: ~/.cache/banger/oci]
    #[arg(long = "cache", value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// When a registry is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Pull {
    /// Ask which image it is by now
    Always,
    /// Only where the image is not in the cache
    Missing,
    /// Use what is in the cache, or fail
    Never,
}
