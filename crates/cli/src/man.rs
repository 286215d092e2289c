//! The manual pages, made from the same text as `--help`.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, Man};
use crate::failure::Failure;

/// Writes `banger.1` to standard output, or all pages into a directory.
pub(crate) fn run(man: &Man) -> Result<(), Failure> {
    let command = Args::command();
    match &man.directory {
        Some(directory) => {
            clap_mangen::generate_to(command, directory).map_err(|error| Failure::file("write", directory, &error))
        }
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.and_then(|()| std::io::stdout().lock().write_all(&page)).map_err(Failure::stdout)
        }
    }
}
