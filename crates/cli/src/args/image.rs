//! `banger image`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::{KernelOptions, ListOutput, PullArgs, RegistryOptions, RemoveOutput};
use crate::completion;

const IMAGE_HELP: &str = "\
An image is kept under a name: its root file system, its kernel, an initial RAM disk and modules,
in ~/.local/state/banger/images. Images that were made of the same things share their files.";

const LS_HELP: &str = "\
`size` is what an image takes up on the disk; what it shares with others is counted in each. A
registered image is somewhere else, and takes up its size there. An image whose name was moved to
another one (`banger pull --replace`) is listed by its id.

Examples:
  banger image ls
  banger image ls --quiet | xargs banger image rm
  banger image ls --json | jq -r 'select(.managed) | .name + \" \" + .rootfs'";

const SHOW_HELP: &str = "\
Examples:
  banger image show debian-bookworm
  banger image show debian-bookworm --json | jq -r .kernel.image
  cp --reflink=auto \"$(banger image show web --json | jq -r .rootfs)\" disk.ext4";

const RM_HELP: &str = "\
An image that a machine runs from is not removed, nor are the files of a registered one. Files go
with the last name that they have. Several images are removed all together, or none of them.

Examples:
  banger image rm debian-bookworm
  banger image rm web db cache
  banger image rm 3f1c0a9be2d4 --force";

const RENAME_HELP: &str = "\
Examples:
  banger image rename debian-bookworm base";

const HISTORY_HELP: &str = "\
The newest step comes first. `size` is that of the compressed layer, `unpacked` that of what is in
it, as they were when the image was pulled.

Examples:
  banger image history debian-bookworm
  banger image history debian-bookworm --json | jq -r .created_by";

const DIFF_HELP: &str = "\
A line has A for what is only in the second image, D for what is only in the first, C for what is
in both and differs, with what differs. Times are left out unless --times asks for them.

Examples:
  banger image diff debian-bookworm web
  banger image diff base base-rebuilt --exit-code && echo the same
  banger image diff base web --json | jq -r 'select(.change == \"added\") | .path'";

const REGISTER_HELP: &str = "\
The file stays where it is, and is not removed with the name. `banger image promote` takes it in.

Examples:
  banger build debian:bookworm -o disk.ext4 && banger image register mine disk.ext4
  banger image register mine disk.ext4 --kernel-ref mine";

const PROMOTE_HELP: &str = "\
The files are copied, or shared where the file system can do that. The image then has an id like
any other, and the files that it was registered with are no longer needed.

Examples:
  banger image promote mine";

const EXPORT_HELP: &str = "\
The file appears only when it is complete. -o - writes a tar archive to standard output.

Examples:
  banger image export web -o web.ext4
  banger image export web --format qcow2 -o web.qcow2
  banger image export web --format tar -o - | docker import - web";

const PUSH_HELP: &str = "\
An artifact is an image as banger keeps it, with its kernel: `banger pull REF` takes it as it is,
without building anything. A containerdisk is a container image with a disk in it, which KubeVirt
runs.

Examples:
  banger image push web registry.example/team/web:1.2
  banger image push web registry.example/team/web-disk:1.2 --as containerdisk";

#[derive(Debug, clap::Args)]
#[command(after_help = IMAGE_HELP, arg_required_else_help = false)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) command: ImageCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum ImageCommand {
    /// Make an image that is kept here
    Pull(Box<PullArgs>),
    /// List the images that are kept here
    #[command(alias = "list")]
    Ls(ImageLs),
    /// Show all that is known of an image
    #[command(alias = "inspect")]
    Show(ImageShow),
    /// Remove images
    #[command(alias = "remove")]
    Rm(ImageRm),
    /// Give an image another name
    Rename(ImageRename),
    /// Show how an image was made
    History(ImageHistory),
    /// Show in which files two images differ
    Diff(ImageDiff),
    /// Give a name to an ext4 image that stays where it is
    Register(ImageRegister),
    /// Take the files of a registered image in
    Promote(ImagePromote),
    /// Write an image's root file system into a file
    Export(ImageExport),
    /// Put an image into a registry
    Push(Box<ImagePush>),
}

#[derive(Debug, clap::Args)]
#[command(after_help = LS_HELP)]
pub(crate) struct ImageLs {
    #[command(flatten)]
    pub(crate) output: ListOutput,
}

#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_HELP)]
pub(crate) struct ImageShow {
    /// The image's name, or the beginning of its id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RM_HELP)]
pub(crate) struct ImageRm {
    /// Images to remove, by name or id
    #[arg(required = true, value_name = "IMAGE", add = ArgValueCandidates::new(completion::images))]
    pub(crate) images: Vec<String>,

    /// Remove all names of an image that is named by its id
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) output: RemoveOutput,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RENAME_HELP)]
pub(crate) struct ImageRename {
    /// The image's name or id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// Its new name
    pub(crate) name: String,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = HISTORY_HELP)]
pub(crate) struct ImageHistory {
    /// The image's name or id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Cut nothing off to make lines fit the terminal
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = DIFF_HELP)]
pub(crate) struct ImageDiff {
    /// An image's name or id
    #[arg(value_name = "IMAGE", add = ArgValueCandidates::new(completion::images))]
    pub(crate) first: String,

    /// The one to compare with it
    #[arg(value_name = "OTHER", add = ArgValueCandidates::new(completion::images))]
    pub(crate) second: String,

    /// Compare the times of files too
    #[arg(long)]
    pub(crate) times: bool,

    /// End with 1 where they differ, 0 where they do not
    #[arg(long)]
    pub(crate) exit_code: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = REGISTER_HELP)]
pub(crate) struct ImageRegister {
    /// The name
    pub(crate) name: String,

    /// The root file system: an ext4 image
    #[arg(value_name = "FILE")]
    pub(crate) rootfs: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PROMOTE_HELP)]
pub(crate) struct ImagePromote {
    /// The image's name
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// Show nothing but errors
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_HELP)]
pub(crate) struct ImageExport {
    /// The image's name or id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// What the file is to be [default: raw; tar for -o -]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormat>,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Leave holes out of a tar archive: GNU tar, bsdtar and Python read that, others do not
    #[arg(long)]
    pub(crate) sparse: bool,

    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,

    /// Show nothing but errors
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a root file system can be written as.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The ext4 file system as it is; holes stay holes
    Raw,
    /// A disk image of QEMU's
    Qcow2,
    /// An archive of the files in it
    Tar,
}

#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_HELP)]
pub(crate) struct ImagePush {
    /// The image's name or id
    #[arg(add = ArgValueCandidates::new(completion::images))]
    pub(crate) image: String,

    /// Where it goes, with a tag
    #[arg(value_name = "REF")]
    pub(crate) reference: std::ffi::OsString,

    /// What it is to be there
    #[arg(long = "as", value_enum, value_name = "FORM", default_value_t)]
    pub(crate) form: PushForm,

    /// Print the digest of the manifest on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
}

/// What an image can be in a registry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum PushForm {
    /// What `banger pull` takes as it is
    #[default]
    Artifact,
    /// A disk in a container image, for KubeVirt
    Containerdisk,
}
