//! What was killed left behind: directories that have no row and that nobody holds.

use std::path::PathBuf;

use crate::area::{Area, Entry, remove_held};
use crate::error::{Result, What};
use crate::files::{freed_bytes, look, names};
use crate::lock::{self, Attempt, Held, Mode};
use crate::store::Store;

/// Something that was left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it was to become, or has been.
    pub what: What,
    /// Its directory.
    pub path: PathBuf,
    /// Bytes on the disk that become free when it is removed.
    pub bytes: u64,
}

/// What is in the place of something published.
#[derive(Debug)]
enum Place {
    /// Nothing.
    Free,
    /// Something that has a row, or that somebody holds.
    Taken,
    /// A leftover, which is locked.
    Left(Held),
}

impl Store {
    /// Looks for what was left behind, and removes nothing.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn leftovers(&self) -> Result<Vec<Leftover>> {
        self.each_leftover(|what, held, _| {
            Ok(Leftover { what, path: held.path().to_owned(), bytes: freed_bytes(held.path())? })
        })
    }

    /// Removes what was left behind, and says what that was.
    ///
    /// # Errors
    /// Something cannot be read or removed. Everything else has been removed all the same.
    pub fn sweep(&self) -> Result<Vec<Leftover>> {
        let reservations = self.sweep_reservations();
        let swept = self.each_leftover(|what, held, published| {
            let path = held.path().to_owned();
            let bytes = match published {
                Some(key) => self.area(what).retire(held, key)?,
                None => remove_held(&held)?,
            };
            Ok(Leftover { what, path, bytes })
        });
        reservations.and(swept)
    }

    /// Calls for each leftover, which is locked, with its key where it has the place of something published.
    fn each_leftover(
        &self,
        mut found: impl FnMut(What, Held, Option<&str>) -> Result<Leftover>,
    ) -> Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        let mut first_error = None;
        for area in [self.images_area(), self.kernels_area()] {
            for name in names(area.directory())? {
                let leftover = self.leftover(area, &name).and_then(|leftover| {
                    leftover.map(|(held, published)| found(area.what(), held, published)).transpose()
                });
                match leftover {
                    Ok(leftover) => leftovers.extend(leftover),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(leftovers),
        }
    }

    /// Locks a directory, if it is a leftover; with its key where it has the place of something published.
    fn leftover<'a>(&self, area: &Area, name: &'a str) -> Result<Option<(Held, Option<&'a str>)>> {
        if !look(&area.place(name))?.is_some_and(|metadata| metadata.is_dir()) {
            return Ok(None);
        }
        Ok(match area.entry(name) {
            Entry::Passing => match lock::directory(&area.place(name), Mode::Exclusive)? {
                Attempt::Held(held) => Some((held, None)),
                Attempt::Busy | Attempt::Missing => None,
            },
            // What has a row is not even locked for a moment: somebody might want it just then.
            Entry::Published(key) if !self.database().is_recorded(area.what(), key)? => {
                match self.look_at(area, key)? {
                    Place::Left(held) => Some((held, Some(key))),
                    Place::Free | Place::Taken => None,
                }
            }
            Entry::Published(_) | Entry::Foreign => None,
        })
    }

    /// What is in the place of something published.
    fn look_at(&self, area: &Area, key: &str) -> Result<Place> {
        match lock::directory(&area.place(key), Mode::Exclusive)? {
            Attempt::Missing => Ok(Place::Free),
            Attempt::Busy => Ok(Place::Taken),
            // Before it was locked somebody may have finished it.
            Attempt::Held(_) if self.database().settle(area.what(), key)? => Ok(Place::Taken),
            Attempt::Held(held) => Ok(Place::Left(held)),
        }
    }

    /// Frees the place of something that has no row. Whether it is free; if not, somebody has it.
    pub(crate) fn clear(&self, area: &Area, key: &str) -> Result<bool> {
        match self.look_at(area, key)? {
            Place::Free => Ok(true),
            Place::Taken => Ok(false),
            Place::Left(held) => {
                area.retire(held, key)?;
                Ok(true)
            }
        }
    }

    fn area(&self, what: What) -> &Area {
        match what {
            What::Image => self.images_area(),
            What::Kernel => self.kernels_area(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What somebody finished between the look into the database and the lock is not a leftover.
    #[test]
    fn what_has_a_row_is_not_taken_for_a_leftover() {
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(scratch.path()).unwrap();
        let area = store.kernels_area();
        let staging = store.stage_kernel(store.reserve_kernel("linux").unwrap()).unwrap();
        fs::write(staging.path().join("vmlinux"), "kernel").unwrap();
        let row = crate::kernel::Row {
            name: String::new(),
            version: None,
            architecture: "amd64".to_owned(),
            format: "vmlinux".to_owned(),
            digest: String::new(),
            size: 0,
            source: String::new(),
            created: String::new(),
            image: "vmlinux".into(),
            initrd: None,
            modules: None,
        };
        staging.publish(&row).unwrap();
        fs::create_dir(area.place("left")).unwrap();
        fs::create_dir(area.place("held")).unwrap();
        let _held = lock::directory(&area.place("held"), Mode::Shared).unwrap();
        for (key, place, is_free_then) in
            [("linux", "Taken", false), ("held", "Taken", false), ("none", "Free", true), ("left", "Left", true)]
        {
            let found = format!("{:?}", store.look_at(area, key).unwrap());
            assert!(found.starts_with(place), "{key}: {found}");
            assert_eq!(store.clear(area, key).unwrap(), is_free_then, "{key}");
        }
        assert_eq!(names(area.directory()).unwrap(), ["held", "linux"]);
    }
}
