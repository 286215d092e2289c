//! `banger catalog`, `banger bundle`

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;

use super::{ArchiveOutput, ListOutput};
use crate::completion;

const CATALOG_HELP: &str = "\
Catalogs are files or URLs that the settings name (banger-config(5)), and the one that is a part
of banger. They are looked through in that order; what the first one has is what a name means.";

const LS_HELP: &str = "\
Examples:
  banger catalog ls
  banger catalog ls --json | jq -r 'select(.what == \"kernel\") | .name'";

const ADD_HELP: &str = "\
What can be read from the archive is: what it is, its digest and size, its architecture, a
kernel's version. An entry of the same name and architecture is replaced. Without --url the entry
names the archive by its path from the catalog's directory, so that both can be copied to a server
together.

Examples:
  banger bundle make web -o /srv/images
  banger catalog add /srv/images/catalog.json /srv/images/web-*.tar.zst --description 'our server'
  banger catalog add catalog.json mine-*.tar.zst --name mine --distro debian
  minisign -Sm catalog.json";

const BUNDLE_HELP: &str = "\
A bundle is one file with an image in it, which a catalog can offer: whoever pulls it has it
without building anything. The same image gives the same bytes, and the file is called after them.";

const MAKE_HELP: &str = "\
Examples:
  banger bundle make web
  banger bundle make web -o /srv/images --quiet
  banger catalog add catalog.json \"$(banger bundle make web --quiet)\"";

#[derive(Debug, clap::Args)]
#[command(after_help = CATALOG_HELP, arg_required_else_help = false)]
pub(crate) struct Catalog {
    #[command(subcommand)]
    pub(crate) command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum CatalogCommand {
    /// List what catalogs have
    #[command(alias = "list")]
    Ls(CatalogLs),
    /// Put an archive into a catalog
    Add(CatalogAdd),
}

#[derive(Debug, clap::Args)]
#[command(after_help = LS_HELP)]
pub(crate) struct CatalogLs {
    #[command(flatten)]
    pub(crate) output: ListOutput,
}

#[derive(Debug, clap::Args)]
#[command(after_help = ADD_HELP)]
pub(crate) struct CatalogAdd {
    /// The catalog, a file: made where there is none
    #[arg(value_name = "CATALOG")]
    pub(crate) catalog: PathBuf,

    /// What is put into it: a bundle or a kernel's archive
    #[arg(value_name = "ARCHIVE")]
    pub(crate) archive: PathBuf,

    /// What it is called there [default: as the archive was made]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// The distribution that it is of
    #[arg(long)]
    pub(crate) distro: Option<String>,

    /// What it is, in words
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// The kernel that an image is meant for
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel_ref: Option<String>,

    /// Where the archive will be [default: its path from the catalog's directory]
    #[arg(long)]
    pub(crate) url: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = BUNDLE_HELP, arg_required_else_help = false)]
pub(crate) struct Bundle {
    #[command(subcommand)]
    pub(crate) command: BundleCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum BundleCommand {
    /// Write an image into a file that a catalog can offer
    Make(BundleMake),
}

#[derive(Debug, clap::Args)]
#[command(after_help = MAKE_HELP)]
pub(crate) struct BundleMake {
    /// The image's name or id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    #[command(flatten)]
    pub(crate) output: ArchiveOutput,
}
