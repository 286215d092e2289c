//! File systems for tests alone.

use std::path::PathBuf;

use crate::judge;

/// A file system of its own, as long as this lives.
pub(crate) struct Mounted {
    directory: tempfile::TempDir,
}

impl Mounted {
    /// Mounts something there, by these arguments of `mount`.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        judge::run("mount", &[arguments, &[directory.path().to_str().unwrap()]].concat());
        Self { directory }
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        judge::run("umount", &[self.directory.path()]);
    }
}
