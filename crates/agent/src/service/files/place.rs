//! A directory, and what is below it: a name from outside never leads out of it.
//!
//! Names are walked one component at a time from the directory's descriptor, and no component may be a symbolic link or `..`: what
//! others do in the directory meanwhile changes nothing either. What is put there is made under another name first, and gets
//! its own, in place of what had it, when it is complete.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown, futimens, mkdirat,
    openat, renameat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::header::{Member, Time};

/// How a directory is opened: by its own name alone.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why something cannot be reached, or is not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    /// The name would lead out.
    #[error("{0:?} may lead out of the directory: no name may begin with a slash or have `..` in it")]
    Outside(String),
    /// A part of the name is there, and is something else.
    #[error("{name:?}: {part:?} is a symbolic link or another thing that is no directory")]
    NotDirectory { name: String, part: String },
    /// The kernel did not do it.
    #[error("{name:?}: {error}")]
    Io { name: String, error: io::Error },
}

impl PlaceError {
    /// For `map_err`: something failed at this name.
    pub(super) fn at<E: Into<io::Error>>(name: &[u8]) -> impl Fn(E) -> Self {
        move |error| Self::Io { name: lossy(name), error: error.into() }
    }
}

/// A directory.
#[derive(Debug)]
pub(super) struct Place {
    root: OwnedFd,
}

/// Where something is, or is to be.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) parent: OwnedFd,
    pub(super) name: OsString,
}

impl Place {
    /// The directory at a path, whose own symbolic links are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = openat(CWD, path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?;
        Ok(Self { root })
    }

    /// A descriptor of the directory itself.
    pub(super) fn itself(&self) -> io::Result<OwnedFd> {
        self.root.try_clone()
    }

    /// Where `name` is; `None` where it means the directory itself. Its parents are made where they are missing, if that is
    /// wanted.
    pub(super) fn spot(&self, name: &[u8], make_parents: bool) -> Result<Option<Spot>, PlaceError> {
        let mut components = components(name)?;
        let Some(last) = components.pop() else { return Ok(None) };
        let mut parent = self.root.try_clone().map_err(PlaceError::at(name))?;
        for component in components {
            parent = match enter(&parent, component) {
                Err(Errno::NOENT) if make_parents => {
                    mkdirat(&parent, component, Mode::from_raw_mode(0o755)).map_err(PlaceError::at(name))?;
                    enter(&parent, component)
                }
                entered => entered,
            }
            .map_err(|error| match error {
                Errno::NOTDIR | Errno::LOOP => {
                    PlaceError::NotDirectory { name: lossy(name), part: lossy(component.as_bytes()) }
                }
                error => PlaceError::at(name)(error),
            })?;
        }
        Ok(Some(Spot { parent, name: last.to_owned() }))
    }
}

impl Spot {
    /// Opens the directory that is here, made where there is none.
    pub(super) fn directory(&self) -> rustix::io::Result<OwnedFd> {
        match mkdirat(&self.parent, &self.name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => enter(&self.parent, &self.name),
            Err(error) => Err(error),
        }
    }

    /// Puts here what `make` makes, which is given the directory and the name to make it under.
    pub(super) fn replace<E: From<Errno>>(
        &self,
        make: impl FnOnce(&OwnedFd, &OsStr) -> Result<(), E>,
    ) -> Result<(), E> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(format!(".banger-{}-{number}", std::process::id()));
        // A leftover of an agent that was killed.
        let _ = unlinkat(&self.parent, &name, AtFlags::empty());
        let made = make(&self.parent, &name);
        let made = made.and_then(|()| Ok(renameat(&self.parent, &name, &self.parent, &self.name)?));
        // It is still there after a failure; and after success, where both were names of one file already (rename(2)).
        let _ = unlinkat(&self.parent, &name, AtFlags::empty());
        made
    }
}

fn enter(parent: impl AsFd, component: &OsStr) -> rustix::io::Result<OwnedFd> {
    openat(parent, component, DIRECTORY, Mode::empty())
}

/// The components of a name. None of them leads anywhere but down.
fn components(name: &[u8]) -> Result<Vec<&OsStr>, PlaceError> {
    let mut components = Vec::new();
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(PlaceError::Outside(lossy(name))),
            component => components.push(OsStr::from_bytes(component)),
        }
    }
    if name.starts_with(b"/") { Err(PlaceError::Outside(lossy(name))) } else { Ok(components) }
}

/// Gives an open file or directory its owner, its permissions and its time.
pub(super) fn set_metadata(file: impl AsFd, member: &Member) -> rustix::io::Result<()> {
    // In this order: a change of owner takes set-user-id away, and the time is that of the last change.
    fchown(&file, Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)))?;
    fchmod(&file, Mode::from_raw_mode(member.mode))?;
    futimens(&file, &times(member.mtime))
}

/// Gives what cannot be opened, or must not be, its owner and its time.
pub(super) fn set_metadata_at(parent: &OwnedFd, name: &OsStr, member: &Member) -> rustix::io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    chownat(parent, name, Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)), flags)?;
    utimensat(parent, name, &times(member.mtime), flags)
}

fn times(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() },
    }
}

/// A new file under a name that nobody has.
pub(super) fn create(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

pub(super) fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn place() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("in/sub")).unwrap();
        std::fs::create_dir(directory.path().join("out")).unwrap();
        symlink("../out", directory.path().join("in/link")).unwrap();
        symlink("sub", directory.path().join("in/inner")).unwrap();
        let place = Place::open(&directory.path().join("in")).unwrap();
        (directory, place)
    }

    #[test]
    fn no_name_leads_out() {
        let (directory, place) = place();
        for name in ["..", "../out/x", "/etc/passwd", "sub/../../out/x", "sub/..", "//x"] {
            assert!(matches!(place.spot(name.as_bytes(), true), Err(PlaceError::Outside(_))), "{name}");
        }
        for name in ["link/x", "link/deeper/x", "inner/x", "./link/./x"] {
            let result = place.spot(name.as_bytes(), true);
            assert!(matches!(result, Err(PlaceError::NotDirectory { .. })), "{name}: {result:?}");
        }
        assert_eq!(std::fs::read_dir(directory.path().join("out")).unwrap().count(), 0);
    }

    #[test]
    fn parents_are_made_if_that_is_wanted() {
        let (directory, place) = place();
        assert!(matches!(place.spot(b"new/deep/x", false), Err(PlaceError::Io { .. })));
        assert_eq!(place.spot(b"new/deep/x", true).unwrap().unwrap().name, "x");
        assert!(directory.path().join("in/new/deep").is_dir());
        for name in ["", ".", "./", "././."] {
            assert!(place.spot(name.as_bytes(), true).unwrap().is_none(), "{name:?}");
        }
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let (directory, place) = place();
        std::fs::write(directory.path().join("in/file"), "old").unwrap();
        let spot = place.spot(b"file", true).unwrap().unwrap();
        let failed = spot.replace(|parent, name| {
            create(parent, name)?;
            Err(Errno::NOSPC)
        });
        assert_eq!(failed, Err(Errno::NOSPC));
        assert_eq!(std::fs::read(directory.path().join("in/file")).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path().join("in")).unwrap().count(), 4);
    }
}
