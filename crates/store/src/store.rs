//! A store: a directory with a database. It is opened, made, and found to be ours.

use std::path::{Path, PathBuf};

use crate::area::Area;
use crate::database::Database;
use crate::error::{Error, Result, What};
use crate::files::{make_directory, names};
use crate::lock::{self, Mode};

/// The name of the database in a store's directory.
pub(crate) const DATABASE: &str = "banger.db";
const RESERVED: &str = "reserved";

/// A store that is open. Copies of it are the same, and can be used from any thread.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    database: Database,
    images: Area,
    kernels: Area,
}

impl Store {
    /// Opens the store in a directory, which is made if it is not there. What was left behind by somebody who was killed is
    /// removed; where it cannot be, it stays until the next time.
    ///
    /// # Errors
    /// The directory or the database cannot be made or read; the database is damaged, something else's, or has a newer schema;
    /// or it is not there, but there are files of images or kernels, or what looks like them.
    pub fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io("find", root))?;
        let [images, kernels] = [What::Image, What::Kernel].map(|what| Area::new(&root, what));
        // Whose images these are is nobody else's business.
        make_directory(&root, 0o700)?;
        let reserved = root.join(RESERVED);
        make_directory(&reserved, 0o700)?;
        let path = root.join(DATABASE);
        let database = {
            let _alone = lock::wait(&reserved, Mode::Exclusive)?;
            Database::open(&path, &|| refuse_unknown(&path, &[&images, &kernels]))?
        };
        for area in [&images, &kernels] {
            make_directory(area.directory(), 0o755)?;
        }
        let store = Self { root, database, images, kernels };
        let _ = store.sweep();
        Ok(store)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is wrong with the database itself, in SQLite's words. Nothing, if all is well.
    ///
    /// # Errors
    /// It cannot be read at all.
    pub fn check_database(&self) -> Result<Vec<String>> {
        self.database.check()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn images_area(&self) -> &Area {
        &self.images
    }

    pub(crate) fn kernels_area(&self) -> &Area {
        &self.kernels
    }

    pub(crate) fn reserved(&self) -> PathBuf {
        self.root.join(RESERVED)
    }
}

/// What has no row is removed when a store is opened. Where there is no database either, that would be everything: somebody's
/// directory of pictures, or all images of a store whose database was lost.
fn refuse_unknown(database: &Path, areas: &[&Area]) -> Result<()> {
    for area in areas {
        if !names(area.directory())?.iter().all(|name| name == "lost+found") {
            let directory = area.directory().to_owned();
            return Err(Error::Unknown { directory, database: database.to_owned() });
        }
    }
    Ok(())
}
