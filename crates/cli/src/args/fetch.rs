//! `banger fetch`, `banger resolve`, `banger tags`

use std::ffi::OsString;
use std::path::PathBuf;

use banger_oci::Platform;

use super::{HostOptions, RegistryOptions};
use crate::values::{self, Target, User};

const FETCH_EXAMPLES: &str = "\
A reference is written as docker writes it: debian is docker.io/library/debian:latest. What is there
already is not downloaded again, and what an attempt that broke off has left is continued. What is
written is an OCI image layout, which other programs read (skopeo, umoci, podman).

Examples:
  banger fetch debian:bookworm
  banger fetch debian:bookworm alpine ghcr.io/owner/image:1.2 --quiet
  banger fetch debian:bookworm --to oci:mirror:bookworm --all-platforms
  banger fetch localhost:5000/my/image --creds me:secret
  banger fetch debian --json | jq .fetched.bytes";

const TAGS_EXAMPLES: &str = "\
Examples:
  banger tags debian
  banger tags localhost:5000/my/image --creds me:secret
  banger tags ghcr.io/owner/image --json | jq -r '.tags[]' | tail";

const RESOLVE_EXAMPLES: &str = "\
Examples:
  banger resolve debian:bookworm
  banger resolve debian --platform linux/arm64
  banger resolve debian --json | jq -r .digest";

#[derive(Debug, clap::Args)]
#[command(after_help = FETCH_EXAMPLES)]
pub(crate) struct Fetch {
    /// Images in registries
    #[arg(required = true, value_name = "REF")]
    pub(crate) references: Vec<OsString>,

    /// Put the image into another OCI image layout instead of the cache, named by its tag unless NAME is given
    #[arg(long, value_name = "oci:DIR[:NAME]", value_parser = values::target_parser(), conflicts_with = "directory")]
    pub(crate) to: Option<Target>,

    /// Platform to choose from an index, as os/arch[/variant] [default: this machine's]
    #[arg(long, value_parser = values::platform)]
    pub(crate) platform: Option<Platform>,

    /// Download the images for all platforms
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,

    /// Print the digest of each image on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object for each image on standard output
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RESOLVE_EXAMPLES)]
pub(crate) struct Resolve {
    /// Image in a registry
    #[arg(value_name = "REF")]
    pub(crate) reference: OsString,

    /// Platform whose layers are shown, as os/arch[/variant] [default: this machine's]
    #[arg(long, value_parser = values::platform)]
    pub(crate) platform: Option<Platform>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

#[derive(Debug, clap::Args)]
#[command(after_help = TAGS_EXAMPLES)]
pub(crate) struct Tags {
    /// Repository in a registry, without a tag
    #[arg(value_name = "REPO")]
    pub(crate) repository: OsString,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// User and password for the registry; the password is asked for where it is left out
    #[arg(long, value_name = "USER[:PASSWORD]", value_parser = values::user, help_heading = "Registry options")]
    pub(crate) creds: Option<User>,

    /// File with credentials, as `banger login`, docker and podman write it
    #[arg(long, value_name = "FILE", help_heading = "Registry options")]
    pub(crate) authfile: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) hosts: HostOptions,
}
