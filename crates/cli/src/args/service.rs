//! Who does what is asked, and where things are kept: said with every command.

use std::path::PathBuf;

/// Options of every command that has to do with what is kept.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ServiceOptions {
    /// Directory of images, kernels and machines [default: $BANGER_ROOT, else ~/.local/state/banger]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) root: Option<PathBuf>,

    /// Do everything in this process instead of asking the daemon; BANGER_NO_DAEMON=1 means the same
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_daemon: bool,
}
