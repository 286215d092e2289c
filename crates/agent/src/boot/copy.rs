//! A small directory tree copied into memory: what an image has in /run.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

/// Bytes of a file's content that are copied: what is larger is no runtime data, and would take the memory of it.
const FILE_BYTES: u64 = 4 << 20;

/// Directories within each other.
const DEPTH: u32 = 32;

/// Copies what is in a directory: directories, files and links with their owners and modes. Sockets, pipes and devices are left out, as are
/// files of more than 4 MiB.
///
/// # Errors
/// Something cannot be read or made. What was copied before stays.
pub(super) fn tree(from: &File, to: &Path) -> io::Result<()> {
    let metadata = from.metadata()?;
    let from = format!("/proc/self/fd/{}", from.as_raw_fd());
    entries(Path::new(&from), to, DEPTH)?;
    owner_and_mode(to, &metadata)
}

fn entries(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if metadata.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            lchown(&target, Some(metadata.uid()), Some(metadata.gid()))?;
        } else if metadata.is_dir() {
            // What is mounted below is not the image's; there is none at a boot, but a tree without an end.
            let Some(depth) = depth.checked_sub(1) else { return Err(io::ErrorKind::QuotaExceeded.into()) };
            DirBuilder::new().create(&target)?;
            entries(&source, &target, depth)?;
            owner_and_mode(&target, &metadata)?;
        } else if metadata.is_file() && metadata.len() <= FILE_BYTES {
            fs::copy(&source, &target)?;
            owner_and_mode(&target, &metadata)?;
        }
    }
    Ok(())
}

/// The owner first: to change it takes away bits of the mode.
fn owner_and_mode(path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    chown(path, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(path, Permissions::from_mode(metadata.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_modes_and_links() {
        let top = tempfile::tempdir().unwrap();
        let (from, to) = (top.path().join("from"), top.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/file"), "content").unwrap();
        fs::write(from.join("large"), vec![0; FILE_BYTES as usize + 1]).unwrap();
        symlink("a/b", from.join("link")).unwrap();
        for (name, mode) in [("a", 0o2770), ("a/b", 0o1777), ("a/b/file", 0o640), ("", 0o711)] {
            fs::set_permissions(from.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(&to).unwrap();
        tree(&File::open(&from).unwrap(), &to).unwrap();
        let mode = |name| fs::metadata(to.join(name)).unwrap().mode() & 0o7777;
        assert_eq!([mode("a"), mode("a/b"), mode("a/b/file"), mode("")], [0o2770, 0o1777, 0o640, 0o711]);
        assert_eq!(fs::read_to_string(to.join("link/file")).unwrap(), "content");
        assert!(!to.join("large").exists());
    }
}
