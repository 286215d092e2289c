//! `banger build`

use std::ffi::OsString;
use std::path::PathBuf;

use banger_oci::Platform;
use banger_rootfs::DEFAULT_LABEL;
use clap::ArgAction;

use super::{GuestOptions, RegistryOptions};
use crate::values::{self, Owner, Place};

const BUILD_EXAMPLES: &str = "\
Sources:
  REF                         an image in a registry: debian:bookworm, ghcr.io/owner/image
  oci:DIR[:REF]               an OCI image layout in a directory
  oci-archive:FILE[:REF]      the same in a tar file
  docker-archive:FILE[:REF]   what `docker save` writes; FILE can be -
  tar:FILE                    a flat root file system, as `docker export` writes it; FILE can be -
  demo:                       a small image that is a part of banger: it greets

Examples:
  banger build debian:bookworm -o disk.ext4
  banger build debian:bookworm -o disk.ext4 --offline
  banger build oci:debian -o disk.ext4
  banger build oci:images:bookworm -o disk.ext4 --size 4G --platform linux/arm64
  docker save my-app | banger build docker-archive:- -o disk.ext4
  docker export my-container | banger build tar:- -o disk.ext4 --label my-app
  banger build oci:debian -o disk.ext4 --add ./authorized_keys:/root/.ssh/authorized_keys
  banger build oci:debian -o disk.ext4 --add ./app:/srv/app --add-owner 1000:1000
  banger build oci:debian -o disk.ext4 --guest none
  banger build oci:debian -o disk.ext4 --hostname web --ssh-key ~/.ssh/id_ed25519.pub --sshd
  banger build oci:my-app -o disk.ext4 --env PORT=80 --cmd 'serve --verbose'
  banger build oci:debian -o disk.ext4 --json --checksum | jq .content_id

The same source and options give the same bytes on any machine: equal content ids mean equal files.";

#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(crate) struct Build {
    /// Image to build from: a reference to a registry, or a file or directory of this machine (see below)
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

    /// Compute the sha256 of the finished file
    #[arg(long)]
    pub(crate) checksum: bool,

    /// Print the content id on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) guest: GuestOptions,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}
