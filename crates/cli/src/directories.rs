//! Where things are kept for a user, by the XDG base directory specification.

use std::path::PathBuf;

use crate::args::CacheOption;
use crate::exit::Exit;
use crate::failure::Failure;

/// The cache of images: the one that is named, or else `$XDG_CACHE_HOME/banger/oci`, or else `~/.cache/banger/oci`.
pub(crate) fn cache(named: &CacheOption) -> Result<PathBuf, Failure> {
    if let Some(directory) = &named.directory {
        return Ok(directory.clone());
    }
    base("XDG_CACHE_HOME", ".cache").map(|base| base.join("banger/oci")).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no place for the cache: neither XDG_CACHE_HOME nor HOME is set")
            .hint("name one with --cache DIR")
    })
}

/// The file of settings: `$XDG_CONFIG_HOME/banger/config.toml`, or else `~/.config/banger/config.toml`. Nothing where there is no
/// home.
pub(crate) fn config() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|base| base.join("banger/config.toml"))
}

/// The directory of machines: `$XDG_STATE_HOME/banger/machines`, or else `~/.local/state/banger/machines`.
pub(crate) fn machines() -> Result<PathBuf, Failure> {
    base("XDG_STATE_HOME", ".local/state").map(|base| base.join("banger/machines")).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no place for machines: neither XDG_STATE_HOME nor HOME is set")
    })
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}
