//! How results are printed: options that several commands have.

use std::path::PathBuf;

/// Of commands that list what has a name: a table, the names alone, or JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct ListOutput {
    /// Print the names and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Cut nothing off to make lines fit the terminal
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

/// Of commands that remove what is named: sentences, the names alone, or JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveOutput {
    /// Print the names that are gone, and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Of commands that make a file for a catalog: a sentence, its path alone, or JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct ArchiveOutput {
    /// Directory for the archive; created if it is missing
    #[arg(short = 'o', long = "output", value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// Print the path of the archive on standard output and nothing else
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
