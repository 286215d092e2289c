//! Kernels by name, each with its files. They come and go as images do, but have one name, and no id.

use std::path::{Path, PathBuf};

use crate::Reservation;
use crate::area::Staged;
use crate::database::kernels;
use crate::error::{Error, Result, What};
use crate::files::seal;
use crate::limits::REMOVAL_TRIES;
use crate::lock::{self, Attempt, Held, Mode, pause};
use crate::shared::{Expected, Shared, fault, inside};
use crate::store::Store;

/// What is known of a kernel.
///
/// Rows that are read have absolute paths. In one that is being recorded they are relative to its directory, or below the
/// directory that it was staged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name here.
    pub name: String,
    /// `uname -r` of it, where it says so.
    pub version: Option<String>,
    /// What it runs on, as image indexes name it: `amd64`, `arm64`.
    pub architecture: String,
    /// How the file is made: `bzimage`, `vmlinux`, `image`.
    pub format: String,
    /// Digest of the kernel and all that belongs to it.
    pub digest: String,
    /// Bytes of all its files. The store finds out itself.
    pub size: u64,
    /// Where it came from: a path, a URL, a catalog.
    pub source: String,
    /// When it came here (RFC 3339).
    pub created: String,
    /// The kernel itself.
    pub image: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its modules, as in `/lib/modules/VERSION`.
    pub modules: Option<PathBuf>,
}

fn files(row: &Row) -> Vec<(PathBuf, Expected)> {
    let mut files = vec![(row.image.clone(), Expected::File)];
    files.extend(row.initrd.clone().map(|initrd| (initrd, Expected::File)));
    files.extend(row.modules.clone().map(|modules| (modules, Expected::Directory)));
    files
}

/// A kernel that is being put together. What is in its directory is removed when this is dropped.
#[derive(Debug)]
pub struct Staging {
    store: Store,
    staged: Staged,
    reservation: Reservation,
}

/// A kernel that is being put together before it is known what it will be called. What is in its directory is removed when this
/// is dropped.
#[derive(Debug)]
pub struct Unnamed {
    store: Store,
    staged: Staged,
}

impl Store {
    /// All kernels, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn kernels(&self) -> Result<Vec<Row>> {
        self.database().read(|connection| kernels::all(connection, self.kernels_area()))
    }

    /// What is known of the kernel with this name.
    ///
    /// # Errors
    /// There is none: [`Error::NotFound`]. The database cannot be read.
    pub fn find_kernel(&self, name: &str) -> Result<Row> {
        self.database().read(|connection| kernels::existing(connection, self.kernels_area(), name))
    }

    pub(crate) fn kernel_row(&self, name: &str) -> Result<Option<Row>> {
        self.database().read(|connection| kernels::by_name(connection, self.kernels_area(), name))
    }

    /// The files of a kernel, with what is known of it. None if there is no such kernel.
    ///
    /// # Errors
    /// They are not what is recorded of them: [`Error::Damaged`]. Or they cannot be locked or looked at.
    pub fn kernel(&self, name: &str) -> Result<Option<(Row, Shared)>> {
        let Some(shared) = self.share(self.kernels_area(), name)? else { return Ok(None) };
        let Some(row) = self.kernel_row(name)? else { return Ok(None) };
        match fault(&files(&row))? {
            Some(reason) => Err(Error::Damaged { what: What::Kernel, name: row.name, reason }),
            None => Ok(Some((row, shared))),
        }
    }

    /// Prepares to put a kernel together.
    ///
    /// # Errors
    /// A directory cannot be made or locked.
    pub fn stage_kernel(&self, reservation: Reservation) -> Result<Staging> {
        let area = self.kernels_area();
        loop {
            if let Some(staged) = area.stage(reservation.name())? {
                return Ok(Staging { store: self.clone(), staged, reservation });
            }
            // Nobody else fills it: somebody removes what was left of it.
            pause();
        }
    }

    /// Prepares to put a kernel together whose name is known when it is there.
    ///
    /// # Errors
    /// A directory cannot be made or locked.
    pub fn stage_kernel_unnamed(&self) -> Result<Unnamed> {
        Ok(Unnamed { store: self.clone(), staged: self.kernels_area().stage_unnamed()? })
    }

    /// Removes a kernel. What becomes free, in bytes.
    ///
    /// # Errors
    /// There is no kernel of that name. Somebody uses its files: [`Error::InUse`]. The database cannot be written.
    pub fn remove_kernel(&self, name: &str) -> Result<u64> {
        let mut tries = 1_u32;
        let held = loop {
            match self.remove_kernel_row(name) {
                Err(Error::InUse { .. }) if tries < REMOVAL_TRIES => tries = tries.saturating_add(1),
                removed => break removed?,
            }
            pause();
        };
        // It is not listed any more; what cannot be removed now is a leftover.
        Ok(held.map_or(0, |held| self.kernels_area().retire(held, name).unwrap_or(0)))
    }

    fn remove_kernel_row(&self, name: &str) -> Result<Option<Held>> {
        self.database().write("remove a kernel", |transaction| {
            if !kernels::delete(transaction, name)? {
                return Err(kernels::not_found(transaction, name)?.into());
            }
            match lock::directory(&self.kernels_area().place(name), Mode::Exclusive)? {
                Attempt::Held(held) => Ok(Some(held)),
                Attempt::Busy => Err(Error::InUse { what: What::Kernel, name: name.to_owned() }.into()),
                Attempt::Missing => Ok(None),
            }
        })
    }
}

impl Unnamed {
    /// Where its files are to be put, as in [`Staging::path`].
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Gives it its name.
    pub fn named(self, reservation: Reservation) -> Staging {
        Staging { store: self.store, staged: self.staged, reservation }
    }
}

impl Staging {
    /// Where its files are to be put, regular files and directories alone.
    ///
    /// They become read-only. So none of them may be a hard link to a file that is not the store's own.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Publishes the kernel under its reserved name. What is recorded is given back.
    ///
    /// # Errors
    /// Files are missing. Or something cannot be made, synced, renamed or recorded; then nothing is left, but for what cannot
    /// be removed either: a leftover.
    pub fn publish(mut self, row: &Row) -> Result<Row> {
        let row = self.checked(row)?;
        let area = self.store.kernels_area().clone();
        let held = loop {
            match self.staged.rename(&area, &row.name)? {
                Some(held) => break held,
                None if self.store.clear(&area, &row.name)? => {}
                None if self.store.kernel_row(&row.name)?.is_some() => {
                    return Err(Error::NameTaken { what: What::Kernel, name: row.name });
                }
                None => pause(),
            }
        };
        let recorded = self.store.database().write("record a kernel", |transaction| {
            if kernels::by_name(transaction, &area, &row.name)?.is_some() {
                return Err(Error::NameTaken { what: What::Kernel, name: row.name.clone() }.into());
            }
            kernels::put(transaction, &area, &row)?;
            kernels::existing(transaction, &area, &row.name)
        });
        recorded.or_else(|error| {
            // As with an image: what may have a row after a kill stays.
            if let Ok(false) = self.store.database().settle(What::Kernel, &row.name) {
                let _ = area.retire(held, &row.name);
            }
            self.store.kernel_row(&row.name).ok().flatten().ok_or(error)
        })
    }

    fn checked(&self, row: &Row) -> Result<Row> {
        let staging = self.staged.path();
        let incomplete = |reason| Error::Incomplete { what: What::Kernel, reason };
        let inside = |path: &PathBuf| inside(What::Kernel, staging, path);
        let mut row = Row {
            name: self.reservation.name().to_owned(),
            image: inside(&row.image)?,
            initrd: row.initrd.as_ref().map(inside).transpose()?,
            modules: row.modules.as_ref().map(inside).transpose()?,
            ..row.clone()
        };
        let staged = files(&row).into_iter().map(|(path, expected)| (staging.join(path), expected));
        if let Some(reason) = fault(&staged.collect::<Vec<_>>())? {
            return Err(incomplete(reason));
        }
        let sealed = seal(staging)?
            .map_err(|path| incomplete(format!("{} is neither a file nor a directory", path.display())))?;
        row.size = sealed.length;
        Ok(row)
    }
}
