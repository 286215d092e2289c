//! Where things are kept for the user who calls.

use std::path::{Path, PathBuf};

use banger_config::{Directories, Settings};
use banger_operations::problem::of_config;

use crate::args::CacheOption;
use crate::failure::Failure;

/// The cache of images: the one that is named, or else the user's.
pub(crate) fn cache(named: &CacheOption) -> Result<PathBuf, Failure> {
    match &named.directory {
        Some(directory) => Ok(directory.clone()),
        None => Ok(Directories::of_process(None)?.layers()?),
    }
}

/// The settings: those of the file that is named, or else of the user's.
pub(crate) fn settings(named: Option<&Path>) -> Result<Settings, Failure> {
    Ok(Settings::load(named, Directories::of_process(None)?.config().as_deref())?)
}

impl From<banger_config::Error> for Failure {
    fn from(error: banger_config::Error) -> Self {
        of_config(&error).into()
    }
}
