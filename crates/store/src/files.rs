//! What the store does with files and directories: nothing is relied upon that would not survive a power cut, and every
//! error names the path.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::limits::SINGLE_SYNCS;

/// What is published is shared, and changed by nobody.
const FILE_MODE: u32 = 0o444;
const DIRECTORY_MODE: u32 = 0o755;
/// The bits of a mode that are permissions.
const PERMISSIONS: u32 = 0o7777;
/// The unit of `st_blocks`, whatever the file system's blocks are (stat(3type)).
const STAT_BLOCK: u64 = 512;

/// Makes a directory and those above it that are missing, to stay. Only the last one gets the mode.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<()> {
    let make = || DirBuilder::new().mode(mode).create(path);
    let made = match (make(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(parent, 0o777)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => sync_directory(path.parent().unwrap_or(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(Error::io("create the directory", path)(error)),
    }
}

/// Has the names in a directory survive a power cut.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let opened = File::open(path).map_err(Error::io("open", path))?;
    sync(&opened, path)
}

fn sync(file: &File, path: &Path) -> Result<()> {
    match file.sync_all() {
        // Some file systems have nothing to sync in a directory, and say so in this way.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(Error::io("sync", path)),
    }
}

/// Names in a directory, in order. None where there is no directory.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::io("read", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // What is not UTF-8 was not made by a store.
        if let Ok(name) = entry.map_err(Error::io("read", path))?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What is known of a path itself, not of what it links to. None where there is nothing.
pub(crate) fn look(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => Ok(Some(looked.map_err(Error::io("look at", path))?)),
    }
}

/// All that is in a directory, itself first, each with its path. Nothing is followed anywhere.
fn walk(path: &Path) -> Result<Vec<(PathBuf, Metadata)>> {
    let metadata = path.symlink_metadata().map_err(Error::io("look at", path))?;
    let mut found = vec![(path.to_owned(), metadata)];
    let mut next = 0;
    while let Some((path, metadata)) = found.get(next) {
        next = next.saturating_add(1);
        if metadata.is_dir() {
            let path = path.clone();
            for entry in fs::read_dir(&path).map_err(Error::io("read", &path))? {
                let entry = entry.map_err(Error::io("read", &path))?;
                let metadata = entry.metadata().map_err(Error::io("look at", &entry.path()))?;
                found.push((entry.path(), metadata));
            }
        }
    }
    Ok(found)
}

/// What a directory that was sealed holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Bytes of all its files.
    pub(crate) length: u64,
    /// Bytes that it occupies on the disk.
    pub(crate) allocated: u64,
}

/// Makes everything in a directory read-only, and brings it to the disk.
///
/// Only files and directories may be there: `Err` with the path of what is neither.
pub(crate) fn seal(path: &Path) -> Result<Result<Sealed, PathBuf>> {
    let all = walk(path)?;
    for (path, metadata) in &all {
        let mode = match metadata.file_type() {
            kind if kind.is_dir() => DIRECTORY_MODE,
            kind if kind.is_file() => FILE_MODE,
            _ => return Ok(Err(path.clone())),
        };
        if metadata.mode() & PERMISSIONS != mode {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::io("change the mode of", path))?;
        }
    }
    if all.len() > SINGLE_SYNCS {
        let file = File::open(path).map_err(Error::io("open", path))?;
        rustix::fs::syncfs(&file).map_err(|error| Error::io("sync the file system of", path)(error.into()))?;
    } else {
        // The files first, so that no name is on the disk without what it names.
        for (path, _) in all.iter().rev() {
            sync(&File::open(path).map_err(Error::io("open", path))?, path)?;
        }
    }
    let files = all.iter().filter(|(_, metadata)| metadata.is_file());
    let length = files.fold(0_u64, |sum, (_, metadata)| sum.saturating_add(metadata.len()));
    // Only now is it known which blocks what was written has got.
    let allocated = Measure::default().tree(path)?;
    Ok(Ok(Sealed { length, allocated }))
}

/// Counts bytes on the disk, those of each file once however many names it has.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    seen: HashSet<(u64, u64)>,
}

impl Measure {
    /// Bytes of everything in a directory that has not been counted yet.
    pub(crate) fn tree(&mut self, path: &Path) -> Result<u64> {
        let all = walk(path)?;
        let new = all.iter().filter(|(_, metadata)| self.seen.insert((metadata.dev(), metadata.ino())));
        Ok(new.fold(0_u64, |sum, (_, metadata)| sum.saturating_add(disk_bytes(metadata))))
    }
}

/// Bytes that become free when a directory is removed: not those of files that have names elsewhere.
pub(crate) fn freed_bytes(path: &Path) -> Result<u64> {
    let all = walk(path)?;
    let mut names: HashMap<(u64, u64), u64> = HashMap::new();
    for (_, metadata) in &all {
        let count = names.entry((metadata.dev(), metadata.ino())).or_default();
        *count = count.saturating_add(1);
    }
    let mut freed = 0_u64;
    for (_, metadata) in &all {
        // Removed from the map, so that it counts once.
        let here = names.remove(&(metadata.dev(), metadata.ino()));
        if here.is_some_and(|here| metadata.is_dir() || metadata.nlink() <= here) {
            freed = freed.saturating_add(disk_bytes(metadata));
        }
    }
    Ok(freed)
}

fn disk_bytes(metadata: &Metadata) -> u64 {
    metadata.blocks().saturating_mul(STAT_BLOCK)
}

/// Removes a directory and all that is in it. It need not be there.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes all that is in a directory.
pub(crate) fn empty(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
        let entry = entry.map_err(Error::io("read", path))?;
        let kind = entry.file_type().map_err(Error::io("look at", &entry.path()))?;
        if kind.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_above_them_and_the_last_gets_the_mode() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b/c");
        make_directory(&path, 0o700).unwrap();
        make_directory(&path, 0o755).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & PERMISSIONS, 0o700, "one that is there stays as it is");
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = make_directory(&path, 0o700).unwrap_err();
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn what_is_sealed_is_read_only_and_counted() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tree");
        fs::create_dir_all(path.join("modules/kernel")).unwrap();
        fs::write(path.join("rootfs"), vec![1; 100_000]).unwrap();
        fs::write(path.join("modules/kernel/a.ko"), vec![2; 5]).unwrap();
        fs::set_permissions(path.join("modules"), Permissions::from_mode(0o700)).unwrap();
        let sealed = seal(&path).unwrap().unwrap();
        assert_eq!(sealed.length, 100_005);
        assert!((100_000..=200_000).contains(&sealed.allocated), "{sealed:?}");
        for (name, mode) in [("rootfs", FILE_MODE), ("modules", DIRECTORY_MODE), ("modules/kernel/a.ko", FILE_MODE)] {
            assert_eq!(path.join(name).metadata().unwrap().mode() & PERMISSIONS, mode, "{name}");
        }
        assert_eq!(seal(&path).unwrap().unwrap(), sealed, "again");

        std::os::unix::fs::symlink("rootfs", path.join("link")).unwrap();
        assert_eq!(seal(&path).unwrap().unwrap_err(), path.join("link"));
    }

    #[test]
    fn many_files_are_sealed_as_few_are() {
        let scratch = tempfile::tempdir().unwrap();
        for number in 0..=SINGLE_SYNCS {
            fs::write(scratch.path().join(number.to_string()), b"module").unwrap();
        }
        let sealed = seal(scratch.path()).unwrap().unwrap();
        assert_eq!(sealed.length, 6 * (SINGLE_SYNCS as u64 + 1));
        assert!(
            walk(scratch.path())
                .unwrap()
                .iter()
                .all(|(_, metadata)| metadata.mode() & 0o222 == 0o200 || metadata.is_file())
        );
    }

    #[test]
    fn what_has_several_names_is_counted_once_and_freed_with_the_last() {
        let scratch = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| scratch.path().join(name));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        fs::write(one.join("a"), vec![1; 1 << 20]).unwrap();
        File::open(one.join("a")).unwrap().sync_all().unwrap();
        fs::hard_link(one.join("a"), one.join("b")).unwrap();
        let mib = 1 << 20;
        let about = |bytes: u64| bytes / mib;
        assert_eq!(about(Measure::default().tree(&one).unwrap()), 1);
        assert_eq!(about(freed_bytes(&one).unwrap()), 1, "both names are in it");
        fs::hard_link(one.join("a"), two.join("a")).unwrap();
        assert_eq!(about(freed_bytes(&one).unwrap()), 0, "there is another name elsewhere");
        let mut measure = Measure::default();
        assert_eq!((about(measure.tree(&one).unwrap()), about(measure.tree(&two).unwrap())), (1, 0));
    }

    #[test]
    fn a_directory_is_emptied_and_stays() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        fs::write(scratch.path().join("a/b/c"), "").unwrap();
        fs::write(scratch.path().join("d"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", scratch.path().join("e")).unwrap();
        empty(scratch.path()).unwrap();
        assert_eq!(names(scratch.path()).unwrap(), Vec::<String>::new());
        remove_tree(scratch.path()).unwrap();
        remove_tree(scratch.path()).unwrap();
        assert_eq!(names(scratch.path()).unwrap(), Vec::<String>::new());
    }
}
