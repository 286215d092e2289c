//! A directory of directories, `images` or `kernels`: where each thing is while it is made, while it is there, and while it goes.
//!
//! ```text
//! KEY.staging     being filled; locked by whoever fills it
//! KEY             published; locked until its row is written, then shared by whoever uses it
//! KEY.removed     on its way out; locked by whoever removes it
//! ```
//!
//! Each step is one rename, and the lock is the directory's own, so it goes along.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, What};
use crate::files::{self, freed_bytes, remove_tree, sync_directory};
use crate::lock::{self, Attempt, Held, Mode};
use crate::name::{self, REMOVED, STAGING};

/// Begins the name of what is staged before its id is known. No id and no kernel is called like that: the first character.
const UNNAMED: &str = "_";

/// `images` or `kernels`.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    what: What,
    directory: PathBuf,
}

/// What a directory in an area is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// It is being filled or removed, or nobody does so any more.
    Passing,
    /// It is published by this key, or is not yet.
    Published(&'a str),
    /// It was not made by a store.
    Foreign,
}

impl Area {
    pub(crate) fn new(root: &Path, what: What) -> Self {
        let name = match what {
            What::Image => "images",
            What::Kernel => "kernels",
        };
        Self { what, directory: root.join(name) }
    }

    pub(crate) fn what(&self) -> What {
        self.what
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn place(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    pub(crate) fn entry<'a>(&self, name: &'a str) -> Entry<'a> {
        let is_key = |key: &str| match self.what {
            What::Image => name::is_id(key),
            What::Kernel => name::check(key).is_ok(),
        };
        // Those that are removed may have a number behind their key.
        let is_removed = |stem: &str| {
            is_key(stem) || stem.rsplit_once('.').is_some_and(|(key, number)| is_key(key) && is_number(number))
        };
        if let Some(stem) = name.strip_suffix(STAGING) {
            let passing = is_key(stem) || stem.starts_with(UNNAMED);
            return if passing { Entry::Passing } else { Entry::Foreign };
        }
        match name.strip_suffix(REMOVED) {
            Some(stem) if is_removed(stem) => Entry::Passing,
            None if is_key(name) => Entry::Published(name),
            _ => Entry::Foreign,
        }
    }

    /// Begins to fill the directory of a key, unless somebody else does. What somebody left in it who was killed goes.
    pub(crate) fn stage(&self, key: &str) -> Result<Option<Staged>> {
        let path = self.directory.join(format!("{key}{STAGING}"));
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create the directory", &path)(error));
                }
                _ => {}
            }
            match lock::directory(&path, Mode::Exclusive)? {
                Attempt::Held(held) => {
                    let staged = Staged { held: Some(held) };
                    files::empty(&path)?;
                    return Ok(Some(staged));
                }
                Attempt::Busy => return Ok(None),
                // Whoever looks for leftovers may have found it before it was locked.
                Attempt::Missing => {}
            }
        }
    }

    /// Begins to fill a directory whose key is not known yet.
    pub(crate) fn stage_unnamed(&self) -> Result<Staged> {
        let mut number = 0_u64;
        loop {
            // The process's number makes a collision unlikely; that somebody holds the lock rules it out.
            if let Some(staged) = self.stage(&format!("{UNNAMED}{}-{number}", std::process::id()))? {
                return Ok(staged);
            }
            number = number.saturating_add(1);
        }
    }

    /// Takes a directory that has no row away from its name, and removes it. What becomes free, in bytes.
    ///
    /// Once it has lost its name, what cannot be removed is a leftover, and no error.
    pub(crate) fn retire(&self, mut held: Held, key: &str) -> Result<u64> {
        let from = held.path().to_owned();
        let mut number = 0_u64;
        loop {
            let to = match number {
                0 => self.directory.join(format!("{key}{REMOVED}")),
                _ => self.directory.join(format!("{key}.{number}{REMOVED}")),
            };
            match fs::rename(&from, &to) {
                Ok(()) => {
                    held.moved(to);
                    break;
                }
                // An earlier one is still being removed.
                Err(error) if is_occupied(&error) => number = number.saturating_add(1),
                Err(error) => return Err(Error::io("rename", &from)(error)),
            }
        }
        Ok(remove_held(&held).unwrap_or(0))
    }
}

/// Removes a directory that is locked. What becomes free, in bytes.
pub(crate) fn remove_held(held: &Held) -> Result<u64> {
    let freed = freed_bytes(held.path())?;
    remove_tree(held.path())?;
    Ok(freed)
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A directory that is being filled. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    /// None when it has become something else.
    held: Option<Held>,
}

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        self.held.as_ref().map_or(Path::new(""), Held::path)
    }

    /// Gives the directory its name, unless there is something by that name. Its lock is held on.
    pub(crate) fn rename(&mut self, area: &Area, key: &str) -> Result<Option<Held>> {
        let Some(mut held) = self.held.take() else { return Ok(None) };
        let to = area.place(key);
        match fs::rename(held.path(), &to) {
            Ok(()) => {
                held.moved(to);
                match sync_directory(area.directory()) {
                    Ok(()) => Ok(Some(held)),
                    Err(error) => {
                        self.held = Some(held);
                        Err(error)
                    }
                }
            }
            Err(error) => {
                let from = held.path().to_owned();
                self.held = Some(held);
                if is_occupied(&error) { Ok(None) } else { Err(Error::io("rename", &from)(error)) }
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            // Where it cannot be removed, it is a leftover as after a kill.
            let _ = remove_tree(held.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(what: What) -> (tempfile::TempDir, Area) {
        let scratch = tempfile::tempdir().unwrap();
        let area = Area::new(scratch.path(), what);
        fs::create_dir(area.directory()).unwrap();
        (scratch, area)
    }

    #[test]
    fn what_a_store_could_have_made_is_told_from_what_it_could_not() {
        let id = "ab".repeat(32);
        let (_scratch, images) = area(What::Image);
        let (_other, kernels) = area(What::Kernel);
        for (name, image, kernel) in [
            (id.as_str(), Entry::Published(&id), Entry::Foreign),
            (&format!("{id}.staging"), Entry::Passing, Entry::Foreign),
            (&format!("{id}.removed"), Entry::Passing, Entry::Foreign),
            (&format!("{id}.12.removed"), Entry::Passing, Entry::Passing),
            ("_12-0.staging", Entry::Passing, Entry::Passing),
            ("linux-6.1", Entry::Foreign, Entry::Published("linux-6.1")),
            ("linux-6.1.staging", Entry::Foreign, Entry::Passing),
            ("linux-6.1.removed", Entry::Foreign, Entry::Passing),
            ("lost+found", Entry::Foreign, Entry::Foreign),
            (".hidden", Entry::Foreign, Entry::Foreign),
            ("Pictures.staging", Entry::Foreign, Entry::Foreign),
            (".staging", Entry::Foreign, Entry::Foreign),
        ] {
            assert_eq!((images.entry(name), kernels.entry(name)), (image, kernel), "{name}");
        }
    }

    #[test]
    fn one_fills_a_directory_and_the_next_begins_with_an_empty_one() {
        let (_scratch, area) = area(What::Kernel);
        let one = area.stage("a").unwrap().unwrap();
        assert!(area.stage("a").unwrap().is_none(), "it is locked");
        let path = one.path().to_owned();
        fs::write(path.join("file"), "").unwrap();
        drop(one);
        assert!(!path.exists(), "what is not published is removed");

        // As a kill leaves it.
        fs::create_dir_all(path.join("directory")).unwrap();
        let two = area.stage("a").unwrap().unwrap();
        assert_eq!(files::names(two.path()).unwrap(), Vec::<String>::new());
        let [x, y] = [(); 2].map(|()| area.stage_unnamed().unwrap());
        assert_ne!(x.path(), y.path());
    }

    #[test]
    fn what_has_the_name_is_not_replaced() {
        let (_scratch, area) = area(What::Kernel);
        fs::create_dir(area.place("a")).unwrap();
        fs::write(area.place("a").join("file"), "first").unwrap();
        let mut staged = area.stage("a").unwrap().unwrap();
        fs::write(staged.path().join("file"), "second").unwrap();
        assert!(staged.rename(&area, "a").unwrap().is_none());
        let held = staged.rename(&area, "b").unwrap().unwrap();
        drop(staged);
        assert_eq!(fs::read(area.place("a").join("file")).unwrap(), b"first");
        assert_eq!(fs::read(held.path().join("file")).unwrap(), b"second");
        assert!(matches!(lock::directory(&area.place("b"), Mode::Shared), Ok(Attempt::Busy)), "the lock is held on");
    }

    #[test]
    fn several_may_be_on_their_way_out() {
        let (_scratch, area) = area(What::Kernel);
        for stuck in ["a.removed", "a.1.removed"] {
            fs::create_dir_all(area.place(stuck).join("stuck")).unwrap();
        }
        fs::create_dir(area.place("a")).unwrap();
        fs::write(area.place("a").join("file"), vec![1; 1 << 20]).unwrap();
        fs::File::open(area.place("a").join("file")).unwrap().sync_all().unwrap();
        let Attempt::Held(held) = lock::directory(&area.place("a"), Mode::Exclusive).unwrap() else { panic!("busy") };
        assert!(area.retire(held, "a").unwrap() >= 1 << 20);
        assert_eq!(files::names(area.directory()).unwrap(), ["a.1.removed", "a.removed"]);
    }
}
