//! The manual pages: those of commands are made from the same text as `--help`.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, Man};
use crate::failure::Failure;

/// Pages about other things than commands.
const OTHERS: [(&str, &str); 2] =
    [("banger-config.5", include_str!("../man/banger-config.5")), ("bangerd.8", include_str!("../man/bangerd.8"))];

/// Writes `banger.1` to standard output, or all pages into a directory.
pub(crate) fn run(man: &Man) -> Result<(), Failure> {
    let command = Args::command();
    match &man.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).map_err(|error| Failure::file("create", directory, &error))?;
            clap_mangen::generate_to(command, directory).map_err(|error| Failure::file("write", directory, &error))?;
            OTHERS.iter().try_for_each(|(name, page)| {
                let path = directory.join(name);
                std::fs::write(&path, page).map_err(|error| Failure::file("write", &path, &error))
            })
        }
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.and_then(|()| std::io::stdout().lock().write_all(&page)).map_err(Failure::stdout)
        }
    }
}
