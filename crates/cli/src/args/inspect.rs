//! `banger ls`, `banger cat`, `banger stat`

use std::ffi::OsString;
use std::path::PathBuf;

const LS_EXAMPLES: &str = "\
A line has mode (+ where there are extended attributes), links, uid, gid, size or device number,
time in UTC, and name. What cannot be shown of a name is written as an escape (\\n, \\u{1b}, \\xff,
\\\\), in a pipe too. --json has names as they are, in `path_b64` and `link_b64` as base64 where
they are not UTF-8, and values of extended attributes as base64.

Examples:
  banger ls disk.ext4
  banger ls disk.ext4 /etc -R
  banger ls disk.ext4 -R --json --sha256 | jq -r 'select(.type == \"file\") | .sha256 + \"  \" + .path'";

const CAT_EXAMPLES: &str = "\
Symbolic links are followed inside the image.

Examples:
  banger cat disk.ext4 /etc/os-release
  banger cat disk.ext4 /usr/bin/busybox > busybox";

const STAT_EXAMPLES: &str = "\
Examples:
  banger stat disk.ext4 /usr/bin/ping
  banger stat disk.ext4 /bin --follow
  banger stat disk.ext4 /usr/bin/ping --json | jq .xattrs";

#[derive(Debug, clap::Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct Ls {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// Directory to list, or a single file
    #[arg(default_value = "/")]
    pub(crate) path: OsString,

    /// List PATH itself and everything below it, with full paths
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Add the sha256 of each file's content
    #[arg(long, requires = "json")]
    pub(crate) sha256: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct Cat {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// File to write out
    pub(crate) path: OsString,
}

#[derive(Debug, clap::Args)]
#[command(after_help = STAT_EXAMPLES)]
pub(crate) struct Stat {
    /// The ext4 image
    pub(crate) image: PathBuf,

    /// What to show
    #[arg(default_value = "/")]
    pub(crate) path: OsString,

    /// Show what a symbolic link leads to instead of the link
    #[arg(short = 'L', long)]
    pub(crate) follow: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Add the sha256 of the file's content
    #[arg(long, requires = "json")]
    pub(crate) sha256: bool,
}
