//! `banger pull`, which is `banger image pull`

use std::ffi::OsString;
use std::path::PathBuf;

use banger_oci::Platform;
use clap_complete::engine::ArgValueCandidates;

use super::{GuestSettings, RegistryOptions};
use crate::completion;
use crate::values;

const PULL_EXAMPLES: &str = "\
Sources, looked for in this order:
  NAME                        an image of a catalog: `banger catalog ls` lists them
  REF                         an image in a registry: debian:bookworm, ghcr.io/owner/image
  oci:DIR[:REF]               and every other kind that `banger build` takes
  demo:                       a small image that is a part of banger: it greets

The image is kept under a name, ready to be started: its root file system with an agent and a
kernel's modules in it, the kernel, an initial RAM disk. Without --name it is called after the
source: debian-bookworm for debian:bookworm. A name that is taken is refused before anything is
downloaded, unless --replace moves it: when the new image is complete, in one step. The old image
stays under its id, for machines that run from it, until `banger image rm` or `banger prune`.

`banger pull --all --replace` pulls every image again that came from a registry, a catalog or
demo:, with the options that it came with. One that fails does not stop the others.

The kernel is the one that --kernel-ref names; or else the one that a bundle was made for; or else
the one of --kernel; or else the one that the settings name; or else the newest that `banger
kernel ls` has for the image's architecture.

Examples:
  banger pull debian:bookworm
  banger pull debian:bookworm --name web --kernel-ref mine --hostname web --sshd
  banger pull ghcr.io/owner/image:1.2 --kernel ./vmlinuz --modules ./modules
  banger pull oci:images:bookworm --name mine --platform linux/arm64
  banger pull demo: && banger run demo
  banger pull debian:bookworm --replace
  banger pull --all --replace
  docker save my-app | banger pull docker-archive:- --name my-app";

#[derive(Debug, clap::Args)]
#[command(after_help = PULL_EXAMPLES)]
pub(crate) struct PullArgs {
    /// What the image is made from: a name in a catalog, a reference to a registry, or a file or directory (see below)
    #[arg(required_unless_present = "all")]
    pub(crate) source: Option<OsString>,

    /// Move the name, if an image has it, to what SOURCE stands for now
    #[arg(long)]
    pub(crate) replace: bool,

    /// With --replace: pull every image again from where it came, with the same options
    #[arg(long, requires = "replace",
        conflicts_with_all = ["source", "name", "platform", "size", "label", "KernelOptions", "GuestSettings"])]
    pub(crate) all: bool,

    /// What to call it [default: made from the source]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Platform to choose from an index, as os/arch[/variant] [default: this machine's]
    #[arg(long, value_parser = values::platform)]
    pub(crate) platform: Option<Platform>,

    /// Size of the root file system, with K, M, G or T in powers of 1024 [default: content x 1.25, at least 1G]
    #[arg(long, value_parser = values::size)]
    pub(crate) size: Option<u64>,

    /// Volume label, at most 16 bytes
    #[arg(long, value_parser = values::label)]
    pub(crate) label: Option<String>,

    /// Print the image's name on standard output and nothing else; with --all the names that were moved
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output; with --all one a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,

    #[command(flatten)]
    pub(crate) guest: GuestSettings,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// Which kernel an image gets.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct KernelOptions {
    /// Use the kernel of this name: one that is kept here, or that a catalog has
    #[arg(long, value_name = "NAME", conflicts_with = "no_kernel", add = ArgValueCandidates::new(completion::kernels))]
    pub(crate) kernel_ref: Option<String>,

    /// Use this kernel: a file, or a name as for --kernel-ref
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "no_kernel")]
    pub(crate) kernel: Option<PathBuf>,

    /// Initial RAM disk for it [default: one that banger makes]
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub(crate) initrd: Option<PathBuf>,

    /// Its modules, as in /lib/modules/VERSION
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Option<PathBuf>,

    /// Take no kernel at all; `banger run` then finds one by itself
    #[arg(long)]
    pub(crate) no_kernel: bool,
}
