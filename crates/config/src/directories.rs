//! Where things are kept for a user, by the XDG base directory specification.
//!
//! | what | where |
//! |---|---|
//! | images, kernels, machines | `$XDG_STATE_HOME/banger`, or `~/.local/state/banger`; or the root that is named |
//! | downloads | `$XDG_CACHE_HOME/banger`, or `~/.cache/banger` |
//! | settings | `$XDG_CONFIG_HOME/banger/config.toml`, or `~/.config/banger/config.toml` |
//! | the daemon's socket | `$XDG_RUNTIME_DIR/banger`, or beside the images; with a root that is named, always there |

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Names the root, where no option does.
pub const ROOT_VARIABLE: &str = "BANGER_ROOT";

/// The name of the daemon's socket.
const SOCKET: &str = "bangerd.sock";

/// The places of a user.
#[derive(Clone, Debug)]
pub struct Directories {
    root: Option<PathBuf>,
    state: Option<PathBuf>,
    cache: Option<PathBuf>,
    config: Option<PathBuf>,
    runtime: Option<PathBuf>,
}

impl Directories {
    /// Those that the environment of this process says; `root` is the one that an option names.
    ///
    /// # Errors
    /// The root that is named cannot be made absolute.
    pub fn of_process(root: Option<&Path>) -> Result<Self, Error> {
        Self::of(root, &|variable| std::env::var_os(variable))
    }

    /// All below one directory, whatever the environment says.
    pub fn below(directory: &Path) -> Self {
        let place = |name: &str| Some(directory.join(name));
        Self {
            root: None,
            state: place("state"),
            cache: place("cache"),
            config: place("config"),
            runtime: place("run"),
        }
    }

    fn of(root: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        // The specification has relative paths ignored.
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = |name: &str, below_home: &str| absolute(name).or_else(|| Some(absolute("HOME")?.join(below_home)));
        let named = variable(ROOT_VARIABLE).filter(|root| !root.is_empty()).map(PathBuf::from);
        let root = root.map(Path::to_owned).or(named);
        let root =
            root.map(|root| std::path::absolute(&root).map_err(|error| Error::read(&root, error))).transpose()?;
        Ok(Self {
            root,
            state: base("XDG_STATE_HOME", ".local/state"),
            cache: base("XDG_CACHE_HOME", ".cache"),
            config: base("XDG_CONFIG_HOME", ".config"),
            runtime: absolute("XDG_RUNTIME_DIR"),
        })
    }

    /// The directory of images, kernels and machines.
    ///
    /// # Errors
    /// There is none.
    pub fn root(&self) -> Result<PathBuf, Error> {
        let usual = || self.state.as_ref().map(|base| base.join("banger"));
        self.root.clone().or_else(usual).ok_or(Error::NoPlace {
            what: "images",
            variable: "XDG_STATE_HOME",
            hint: "name one with --root DIR",
        })
    }

    /// Whether a root was named.
    pub fn is_root_named(&self) -> bool {
        self.root.is_some()
    }

    /// The directory of machines.
    ///
    /// # Errors
    /// There is none.
    pub fn machines(&self) -> Result<PathBuf, Error> {
        Ok(self.root()?.join("machines"))
    }

    /// The cache of layers, an OCI image layout.
    ///
    /// # Errors
    /// There is none.
    pub fn layers(&self) -> Result<PathBuf, Error> {
        Ok(self.below_cache("the cache", "name one with --cache DIR")?.join("oci"))
    }

    /// The directory of all that was downloaded.
    ///
    /// # Errors
    /// There is none.
    pub fn cache(&self) -> Result<PathBuf, Error> {
        self.below_cache("downloads", "set XDG_CACHE_HOME to a directory that you may write")
    }

    /// The file of settings. Nothing where there is no home.
    pub fn config(&self) -> Option<PathBuf> {
        self.config.as_ref().map(|base| base.join("banger/config.toml"))
    }

    /// The daemon's socket.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn socket(&self) -> Result<PathBuf, Error> {
        match &self.runtime {
            Some(runtime) if self.root.is_none() => Ok(runtime.join("banger").join(SOCKET)),
            _ => Ok(self.root()?.join(SOCKET)),
        }
    }

    fn below_cache(&self, what: &'static str, hint: &'static str) -> Result<PathBuf, Error> {
        let variable = "XDG_CACHE_HOME";
        let base = self.cache.as_ref().ok_or(Error::NoPlace { what, variable, hint })?;
        Ok(base.join("banger"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(root: Option<&str>, variables: &[(&str, &str)]) -> [String; 5] {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value));
        let found = Directories::of(root.map(Path::new), &variable).unwrap();
        let text = |path: Result<PathBuf, Error>| path.map_or("-".to_owned(), |path| path.display().to_string());
        let config = found.config().map_or("-".to_owned(), |path| path.display().to_string());
        [text(found.root()), text(found.layers()), text(found.cache()), config, text(found.socket())]
    }

    #[test]
    fn everything_has_its_place() {
        let home = ("HOME", "/h");
        assert_eq!(
            places(None, &[home]),
            [
                "/h/.local/state/banger",
                "/h/.cache/banger/oci",
                "/h/.cache/banger",
                "/h/.config/banger/config.toml",
                "/h/.local/state/banger/bangerd.sock",
            ]
        );
        let all = [
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CACHE_HOME", "/c"),
            ("XDG_CONFIG_HOME", "/f"),
            ("XDG_RUNTIME_DIR", "/r"),
            home,
        ];
        let (layers, cache, config) = ("/c/banger/oci", "/c/banger", "/f/banger/config.toml");
        assert_eq!(places(None, &all), ["/s/banger", layers, cache, config, "/r/banger/bangerd.sock"]);
        assert_eq!(places(Some("/x"), &all), ["/x", layers, cache, config, "/x/bangerd.sock"]);
        let named = [&all[..], &[(ROOT_VARIABLE, "/y")]].concat();
        assert_eq!(places(None, &named), ["/y", layers, cache, config, "/y/bangerd.sock"]);
        assert_eq!(places(Some("/x"), &named), ["/x", layers, cache, config, "/x/bangerd.sock"]);
    }

    #[test]
    fn what_is_not_absolute_is_ignored() {
        assert_eq!(places(None, &[("HOME", "h"), ("XDG_STATE_HOME", "s")]), ["-"; 5]);
    }
}
