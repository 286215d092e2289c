//! What the cache does with files and directories: nothing is made that would not survive a power cut once it is
//! relied upon, and every error names the path.

use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes that are read and hashed at once.
const PIECE: usize = 1 << 20;
/// The unit of `st_blocks`, whatever the file system's blocks are (stat(3type)).
const STAT_BLOCK: u64 = 512;

/// A path in an error.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Makes a directory and those above it that are missing, each to stay.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_directory(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let not_directory = || Error::malformed(shown(path), "it is not a directory");
            if path.is_dir() { Ok(()) } else { Err(not_directory()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some() => {
            make_directory(parent(path))?;
            match fs::create_dir(path) {
                // Another process may do the same.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(Error::io("create", shown(path))(error))
                }
                _ => sync_directory(parent(path)),
            }
        }
        Err(error) => Err(Error::io("create", shown(path))(error)),
    }
}

/// The directory that a path stands in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Has the names in a directory survive a power cut.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some file systems have nothing to sync in a directory, and say so in this way.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(Error::io("sync", shown(path))),
    }
}

/// Puts a file in its place, where the old one stands until the new one is complete and on the disk. `temporary` is
/// where it is written; nobody else may do so at the same time.
pub(super) fn replace(path: &Path, temporary: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    let written = write().map_err(Error::io("write", shown(temporary)));
    let placed = written.and_then(|()| rename(temporary, path));
    if placed.is_err() {
        // The next who writes it begins with an empty one anyway.
        let _ = fs::remove_file(temporary);
    }
    placed
}

/// Gives a file another name, to stay.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io("create", shown(to)))?;
    sync_directory(parent(to))
}

/// Removes a file. Whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", shown(path))(error)),
    }
}

/// Opens a file for reading. `None` when it is not there.
pub(super) fn open(path: &Path) -> Result<Option<(File, Metadata)>> {
    // Otherwise opening a FIFO would wait for a writer.
    match OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path) {
        Ok(file) => {
            let metadata = regular(&file, path)?;
            Ok(Some((file, metadata)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", shown(path))(error)),
    }
}

/// What is known of an open file, which must be a regular one.
pub(super) fn regular(file: &File, path: &Path) -> Result<Metadata> {
    let metadata = file.metadata().map_err(Error::io("look at", shown(path)))?;
    if metadata.is_file() { Ok(metadata) } else { Err(Error::malformed(shown(path), "it is not a regular file")) }
}

/// What is known of a file that nobody opens. `None` when there is no regular file.
pub(super) fn metadata(path: &Path) -> Option<Metadata> {
    path.metadata().ok().filter(Metadata::is_file)
}

/// Bytes that a file takes up on the disk.
pub(super) fn disk_bytes(metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(STAT_BLOCK)
}

/// Bytes that become free when a file's name is removed: none, if it has others.
pub(super) fn freed_bytes(metadata: &Metadata) -> u64 {
    if metadata.nlink() > 1 { 0 } else { disk_bytes(metadata) }
}

/// Reads a file from its beginning to `end` or its own end, whichever comes first, and passes it on in pieces.
pub(super) fn read_pieces(file: &File, end: u64, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    while offset < end {
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(PIECE).min(PIECE);
        match file.read_at(buffer.get_mut(..length).unwrap_or_default(), offset) {
            Ok(0) => break,
            Ok(count) => {
                piece(buffer.get(..count).unwrap_or_default());
                offset = offset.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Computes the digest of a whole file, with the algorithm of `expected`; tells how many bytes were read meanwhile.
pub(super) fn digest_of(file: &File, expected: &Digest, mut progress: impl FnMut(u64)) -> io::Result<Digest> {
    let mut hasher = Hasher::new(expected.algorithm());
    read_pieces(file, u64::MAX, |piece| {
        hasher.update(piece);
        progress(piece.len() as u64);
    })?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_above_them() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("a/b/c");
        make_directory(&path).expect("made");
        make_directory(&path).expect("there");
        assert!(path.is_dir());

        let file = scratch.path().join("file");
        fs::write(&file, "").expect("written");
        for path in [file.clone(), file.join("below")] {
            let error = make_directory(&path).expect_err("a file is in the way");
            assert!(error.to_string().contains(&shown(&file)), "{error}");
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().expect("a directory");
        let (path, temporary) = (scratch.path().join("file"), scratch.path().join("temporary"));
        fs::write(&path, "old").expect("written");
        fs::create_dir(&temporary).expect("made");
        let error = replace(&path, &temporary, b"new").expect_err("a directory is in the way");
        assert!(error.to_string().contains(&shown(&temporary)), "{error}");
        assert_eq!(fs::read(&path).expect("read"), b"old");

        fs::remove_dir(&temporary).expect("removed");
        replace(&path, &temporary, b"new").expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert!(!temporary.exists());
    }

    #[test]
    fn what_has_another_name_does_not_become_free() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("file");
        fs::write(&path, vec![1; 100_000]).expect("written");
        File::open(&path).expect("opened").sync_all().expect("synced");
        let metadata = path.metadata().expect("there");
        assert!(disk_bytes(&metadata) >= 100_000);
        assert_eq!(freed_bytes(&metadata), disk_bytes(&metadata));
        fs::hard_link(&path, scratch.path().join("other")).expect("linked");
        assert_eq!(freed_bytes(&path.metadata().expect("there")), 0);
    }

    #[test]
    fn a_file_is_hashed_to_its_end() {
        let content = vec![7; PIECE + 1];
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&content, 0).expect("written");
        let expected = Digest::sha256(&content);
        let mut read = 0;
        assert_eq!(digest_of(&file, &expected, |bytes| read += bytes).expect("read"), expected);
        assert_eq!(read, content.len() as u64);
        let mut head = Vec::new();
        read_pieces(&file, 10, |piece| head.extend_from_slice(piece)).expect("read");
        assert_eq!(head, [7; 10]);
    }
}
