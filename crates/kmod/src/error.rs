//! What can be wrong with a kernel's modules.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a kernel's modules cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a directory could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is a directory of something else.
    #[error("there are no kernel modules in {}", directory.display())]
    NoModules {
        /// The directory.
        directory: PathBuf,
        /// Where in it there are some, if in one place only.
        below: Option<PathBuf>,
    },
    /// A module does not say which kernel it is for.
    #[error("{} does not say which kernel it is for", module.display())]
    NoVersion {
        /// The module.
        module: PathBuf,
    },
    /// A file called a module is none.
    #[error("{} is no kernel module: {reason}", module.display())]
    Module {
        /// The file.
        module: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A module could never be loaded.
    #[error("{} cannot be loaded: it needs {needed}", module.display())]
    Needs {
        /// The module.
        module: PathBuf,
        /// What it needs and cannot have.
        needed: String,
    },
    /// The kernel lacks what it is required to have.
    #[error("{} has no module {name}, nor is it built into the kernel", directory.display())]
    Missing {
        /// The directory of its modules.
        directory: PathBuf,
        /// The module.
        name: String,
    },
    /// It is more than any kernel has.
    #[error("{} has more than {limit} {unit}", path.display())]
    Limit {
        /// What is too large.
        path: PathBuf,
        /// How much is taken.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The host has no modules of that version.
    #[error("this machine has no modules of a kernel {version} in /lib/modules")]
    NoHostVersion {
        /// What was asked for.
        version: String,
    },
    /// The host has no modules at all.
    #[error("this machine has no kernel modules in /lib/modules")]
    NoHost,
}

impl Error {
    /// Says what was being done to which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn module(module: &Path, reason: impl Into<String>) -> Self {
        Self::Module { module: module.to_owned(), reason: reason.into() }
    }

    pub(crate) fn needs(module: &Path, needed: impl Into<String>) -> Self {
        Self::Needs { module: module.to_owned(), needed: needed.into() }
    }

    pub(crate) fn limit(path: &Path, limit: u64, unit: &'static str) -> Self {
        Self::Limit { path: path.to_owned(), limit, unit }
    }

    pub(crate) fn no_modules(directory: &Path) -> Self {
        Self::NoModules { directory: directory.to_owned(), below: crate::version::directory_below(directory) }
    }
}
