//! Files of credentials on the disk: read whole, and changed so that nobody ever sees half of one.
//!
//! A change is written beside the file, with a mode that lets only its owner read it, synced, and renamed over it. Where
//! the file is a symbolic link (to where someone keeps their settings) the file behind it is replaced, not the link.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::file::AuthFile;
use crate::Error;
use crate::limits::CREDENTIALS_BYTES;

/// What the kernel follows, too (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// Reads a file; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<Option<AuthFile>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed("open", path, error)),
    };
    let mut content = Vec::new();
    file.take(CREDENTIALS_BYTES.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| failed("read", path, error))?;
    if content.len() as u64 > CREDENTIALS_BYTES {
        let reason =
            format!("it is larger than {} MiB, so it holds something else than credentials", CREDENTIALS_BYTES >> 20);
        return Err(Error::Settings { what: path.display().to_string(), reason });
    }
    AuthFile::parse(path, &content).map(Some)
}

/// Reads a file, or begins one, changes it, and puts it in its place. `change` says whether there is anything to write.
pub(super) fn update(path: &Path, change: impl FnOnce(&mut AuthFile) -> bool) -> Result<(), Error> {
    let target = followed(path)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| failed("make the directory", directory, error))?;
    // Two logins at once wait for each other, where the file system knows locks; else the later one wins.
    let lock = File::open(directory).map_err(|error| failed("open", directory, error))?;
    let _ = lock.lock();

    let mut file = match read(&target)? {
        Some(file) => file,
        None => AuthFile::parse(&target, b"")?,
    };
    if !change(&mut file) {
        return Ok(());
    }
    replace(&target, directory, &file.to_bytes()?)?;
    // The name, too, is on the disk then.
    lock.sync_all().map_err(|error| failed("sync", directory, error))
}

fn replace(target: &Path, directory: &Path, content: &[u8]) -> Result<(), Error> {
    let old = match fs::metadata(target) {
        Ok(old) if !old.is_file() => {
            let reason = "it is not a regular file, so nothing can be kept in it".to_owned();
            return Err(Error::Settings { what: target.display().to_string(), reason });
        }
        Ok(old) => Some(old),
        Err(_) => None,
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".banger-{}", std::process::id()));
    let beside = directory.join(name);
    // Left by a process that had this number before.
    let _ = fs::remove_file(&beside);

    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        if let Some(old) = &old {
            // Root that logs in for somebody must leave the file to them. Nobody else can, or needs to.
            let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, target)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed("write", target, error)
    })
}

/// The file that a path means when all symbolic links at its end are followed, also where that file is not there yet.
fn followed(path: &Path) -> Result<PathBuf, Error> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // A relative target is relative to where the link is; joining an absolute one replaces all.
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(failed("follow", &path, io::Error::other("too many symbolic links")))
}

/// Whether a path leads nowhere.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { doing, what: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::keys::Scope;

    fn set(path: &Path, host: &str) -> Result<(), Error> {
        update(path, |file| {
            file.set(&Scope::of_name(host, ""), host, "anna", "secret");
            true
        })
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_the_owner_can_read_what_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/config.json");
        set(&path, "q.io").unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(mode(&directory.path().join("a")), 0o700);

        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        set(&path, "r.io").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path).unwrap().unwrap().keys().collect::<Vec<_>>(), ["q.io", "r.io"]);
        assert_eq!(names(path.parent().unwrap()), ["config.json"]);
    }

    #[test]
    fn links_stay_links() {
        let directory = tempfile::tempdir().unwrap();
        let (link, middle, target) =
            (directory.path().join("link"), directory.path().join("middle"), directory.path().join("new/file"));
        std::os::unix::fs::symlink("middle", &link).unwrap();
        std::os::unix::fs::symlink(&target, &middle).unwrap();
        // The file behind them is not there at first.
        for host in ["q.io", "r.io"] {
            set(&link, host).unwrap();
        }
        assert!(link.is_symlink() && middle.is_symlink() && !target.is_symlink());
        assert_eq!(read(&target).unwrap().unwrap().keys().count(), 2);

        let turning = directory.path().join("turning");
        std::os::unix::fs::symlink("turning", &turning).unwrap();
        let error = set(&turning, "q.io").unwrap_err().to_string();
        assert!(error.contains("turning"), "{error}");
    }

    #[test]
    fn a_broken_file_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, "{\"auths\"").unwrap();
        assert!(matches!(set(&path, "q.io"), Err(Error::Settings { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"{\"auths\"");
        assert_eq!(names(directory.path()), ["config.json"]);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(&directory.path().join("nothing")).unwrap().is_none());
        assert!(matches!(read(directory.path()), Err(Error::Io { doing: "read", .. })));
        assert!(read(Path::new("/dev/null")).unwrap().is_some_and(|file| file.keys().count() == 0));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Error::Settings { .. })));
        let error = set(directory.path(), "q.io").unwrap_err().to_string();
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
    }

    #[test]
    fn logins_at_once_do_not_undo_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || set(path, &format!("r{number}.io")).unwrap());
            }
        });
        assert_eq!(read(&path).unwrap().unwrap().keys().count(), 8);
    }
}
