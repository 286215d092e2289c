//! Mounts of the kernel, undone when they go out of scope.

use std::path::{Path, PathBuf};

use super::judge::ask;
use crate::args;

/// A mount in a directory of its own.
pub(crate) struct Mount {
    directory: PathBuf,
}

impl Mount {
    /// Mounts an image through a loop device.
    #[track_caller]
    pub(crate) fn image(image: &Path, options: &str) -> Self {
        let directory = image.with_extension("mount");
        std::fs::create_dir_all(&directory).unwrap();
        ask("mount", args!["-t", "ext4", "-o", format!("loop,{options}"), image, directory]).ok();
        Self { directory }
    }

    /// A file system in memory with room for `size` bytes.
    #[track_caller]
    pub(crate) fn tmpfs(directory: &Path, size: u64) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        ask("mount", args!["-t", "tmpfs", "-o", format!("size={size}"), "tmpfs", directory]).ok();
        Self { directory: directory.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Unmounts, and fails when that fails.
    #[track_caller]
    pub(crate) fn unmount(self) {
        ask("umount", [&self.directory]).ok();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // After `unmount` there is nothing left to undo; after a failed assertion it must not hide that one.
        if std::fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| {
            self.directory.to_str().is_some_and(|directory| mounts.contains(&format!(" {directory} ")))
        }) {
            let _ = ask("umount", [Path::new("-l"), &self.directory]);
        }
    }
}
