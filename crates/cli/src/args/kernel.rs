//! `banger kernel`

use std::path::PathBuf;

use clap::{ArgAction, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use super::{ArchiveOutput, ListOutput, RemoveOutput};
use crate::completion;

const KERNEL_HELP: &str = "\
Kernels are kept under a name in ~/.local/state/banger/kernels, and checked whenever one is used.";

const LS_HELP: &str = "\
Examples:
  banger kernel ls
  banger kernel ls --available
  banger kernel ls --json | jq -r .version";

const PULL_HELP: &str = "\
`debian` is Debian's newest kernel for virtual machines. apt downloads and checks it, where there is
apt; it need not run as root, and nothing is installed. Elsewhere it is a kernel that banger's own
catalog names. It is called after its version, unless --name says otherwise.

Examples:
  banger kernel pull debian
  banger kernel ls --available
  banger kernel pull mine --name stable --arch arm64";

const IMPORT_HELP: &str = "\
FROM is a Debian package (linux-image-VERSION_*.deb), an archive that `banger kernel export`
wrote, or a directory: with vmlinux, bzImage or Image, and perhaps initrd.img and modules/; or
with boot/ and lib/modules/, as a package unpacks.

A kernel may come in several packages: linux-image-VERSION, linux-binary-VERSION,
linux-modules-VERSION and linux-base-VERSION. Name any of them, and the others are found beside it;
or name each. `banger kernel pull debian` gets all packages of Debian's kernel.

Examples:
  banger kernel import --from linux-image-*.deb
  banger kernel import --from a/linux-binary-*.deb --from b/linux-modules-*.deb
  banger kernel import --from /boot --name host
  banger kernel import --from ./build --name mine";

const EXPORT_HELP: &str = "\
The file is called NAME-DIGEST.tar.zst; `banger catalog add` puts it into a catalog.

Examples:
  banger kernel export mine -o /srv/images";

const RM_HELP: &str = "\
Images that were made with a kernel keep theirs.

Examples:
  banger kernel rm mine";

#[derive(Debug, clap::Args)]
#[command(after_help = KERNEL_HELP, arg_required_else_help = false)]
pub(crate) struct Kernel {
    #[command(subcommand)]
    pub(crate) command: KernelCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum KernelCommand {
    /// List the kernels that are kept here, or that catalogs have
    #[command(alias = "list")]
    Ls(KernelLs),
    /// Show all that is known of a kernel
    #[command(alias = "inspect")]
    Show(KernelShow),
    /// Fetch Debian's kernel, or one from a catalog
    Pull(KernelPull),
    /// Take a kernel from files of this machine
    Import(KernelImport),
    /// Write a kernel into an archive, which a catalog can offer
    Export(KernelExport),
    /// Remove kernels
    #[command(alias = "remove")]
    Rm(KernelRm),
}

#[derive(Debug, clap::Args)]
#[command(after_help = LS_HELP)]
pub(crate) struct KernelLs {
    /// List what catalogs have
    #[arg(long)]
    pub(crate) available: bool,

    #[command(flatten)]
    pub(crate) output: ListOutput,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KernelShow {
    /// Its name
    #[arg(add = ArgValueCandidates::new(completion::kernels))]
    pub(crate) name: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PULL_HELP)]
pub(crate) struct KernelPull {
    /// `debian`, or its name in a catalog
    #[arg(value_name = "NAME")]
    pub(crate) kernel: String,

    /// What to call it here [default: as in the catalog; `debian` is called after its version]
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) rename: Option<String>,

    /// What it is to run on, as image indexes name it [default: this machine's architecture]
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<String>,

    #[command(flatten)]
    pub(crate) output: KernelOutput,
}

#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct KernelImport {
    /// Where it is taken from (see below); can be repeated for several packages
    #[arg(long, value_name = "FROM", required = true, num_args = 1.., action = ArgAction::Append)]
    pub(crate) from: Vec<PathBuf>,

    /// What to call it here [default: its version]
    #[arg(long)]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) output: KernelOutput,
}

/// A kernel that came here: in a sentence, its name alone, or as JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct KernelOutput {
    /// Print the kernel's name on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_HELP)]
pub(crate) struct KernelExport {
    /// Its name
    #[arg(add = ArgValueCandidates::new(completion::kernels))]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) output: ArchiveOutput,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RM_HELP)]
pub(crate) struct KernelRm {
    /// Kernels to remove
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::kernels))]
    pub(crate) names: Vec<String>,

    #[command(flatten)]
    pub(crate) output: RemoveOutput,
}
