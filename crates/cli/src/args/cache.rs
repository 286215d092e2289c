//! `banger cache`

use clap::Subcommand;

use super::CacheOption;

const CACHE_HELP: &str = "\
The cache is an OCI image layout: `skopeo inspect oci:DIR:NAME` and `umoci ls --layout DIR` read it.";

const LS_HELP: &str = "\
`size` is what an image takes up on the disk, `unique` what becomes free when it is removed: layers
that several images share are in the first for each of them, in the second for none.

Examples:
  banger cache ls
  banger cache ls --json | jq -r 'select(.complete | not) | .name'";

const RM_HELP: &str = "\
Layers that other images need stay.

Examples:
  banger cache rm debian:bookworm --dry-run
  banger cache rm docker.io/library/debian:bookworm";

const PRUNE_HELP: &str = "\
What goes is what no image of the cache needs, and what downloads that broke off have left behind.
While something is being downloaded, it is waited for.

Examples:
  banger cache prune --dry-run
  banger cache prune --all";

const VERIFY_HELP: &str = "\
All is read and compared with its digest. What is damaged is removed, and downloaded anew when it is
needed; the exit code is 6 then.

Examples:
  banger cache verify
  banger cache verify --json | jq .damaged";

#[derive(Debug, clap::Args)]
#[command(after_help = CACHE_HELP, arg_required_else_help = false)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum CacheCommand {
    /// List the images that are in the cache
    Ls(CacheLs),
    /// Remove images from the cache
    Rm(CacheRm),
    /// Remove what no image needs
    Prune(CachePrune),
    /// Check all that is in the cache
    Verify(CacheVerify),
}

#[derive(Debug, clap::Args)]
#[command(after_help = LS_HELP)]
pub(crate) struct CacheLs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) cache: CacheOption,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RM_HELP)]
pub(crate) struct CacheRm {
    /// Images to remove, as `banger cache ls` names them or as they were fetched
    #[arg(required = true, value_name = "REF")]
    pub(crate) references: Vec<String>,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) cache: CacheOption,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PRUNE_HELP)]
pub(crate) struct CachePrune {
    /// Remove all images too
    #[arg(long)]
    pub(crate) all: bool,

    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) cache: CacheOption,
}

#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct CacheVerify {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) cache: CacheOption,
}
