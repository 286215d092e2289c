//! An image while it is made, until it is there.
//!
//! Publishing goes in this order: everything is made read-only and synced; the directory gets its name; `images` is synced; the
//! row is written. The directory is locked all the while, so nobody sees it as left behind, and a kill in between leaves
//! nothing but what is: a directory without a row.

use std::path::Path;

use super::{ROOTFS, Row, files};
use crate::Reservation;
use crate::area::Staged;
use crate::database::images;
use crate::error::{Error, Result, What};
use crate::files::{look, seal};
use crate::lock::{Held, pause};
use crate::name;
use crate::shared::{Expected, Shared, fault, inside};
use crate::store::Store;

/// What there is to do for who wants an image.
#[derive(Debug)]
pub enum Stage {
    /// It is to be made, by nobody else meanwhile.
    New(Staging),
    /// Nothing: it is there.
    Ready(Shared),
}

/// An image that is being made. What is in its directory is removed when this is dropped.
#[derive(Debug)]
pub struct Staging {
    store: Store,
    staged: Staged,
}

/// What an image gets when it is recorded.
#[derive(Debug)]
pub(super) enum Naming<'a> {
    /// A new name, or one that may be moved.
    New(Reservation),
    /// The name of an unmanaged image, in its place.
    Instead(&'a Row),
}

impl Naming<'_> {
    fn name(&self) -> &str {
        match self {
            Self::New(reservation) => reservation.name(),
            Self::Instead(old) => &old.name,
        }
    }
}

impl Store {
    /// The files of a managed image. None if there is no such image.
    ///
    /// # Errors
    /// They are not what is recorded of them: [`Error::Damaged`]. Or they cannot be locked or looked at.
    pub fn image(&self, id: &str) -> Result<Option<Shared>> {
        let Some(shared) = self.share(self.images_area(), id)? else { return Ok(None) };
        let rows = self.rows_of(id)?;
        let fault = rows.first().map(|row| fault(&files(row))).transpose()?.flatten();
        match (fault, rows.into_iter().next()) {
            (Some(reason), Some(row)) => Err(Error::Damaged { what: What::Image, name: row.name, reason }),
            _ => Ok(Some(shared)),
        }
    }

    /// Prepares to make an image, unless it is there. Where somebody else makes the same one, they are waited for as long as
    /// `go_on`, which is called each time before it is looked again, says so: then it is there, or, if they failed, to be made
    /// after all.
    ///
    /// # Errors
    /// `go_on` said no: [`Error::Cancelled`]. The image is there and damaged. Directories cannot be made or locked.
    pub fn stage(&self, id: &str, go_on: &dyn Fn() -> bool) -> Result<Stage> {
        check_id(id)?;
        let area = self.images_area();
        loop {
            match self.image(id) {
                Ok(Some(shared)) => return Ok(Stage::Ready(shared)),
                Ok(None) => {}
                // What is gone altogether can be made again; what is there, and wrong, somebody has to look at.
                Err(Error::Damaged { .. }) if look(&area.place(id))?.is_none() => {}
                Err(error) => return Err(error),
            }
            if let Some(staged) = area.stage(id)? {
                // Somebody may have published it since, or be about to, or remove it.
                if self.clear(area, id)? {
                    return Ok(Stage::New(Staging { store: self.clone(), staged }));
                }
            }
            if !go_on() {
                return Err(Error::Cancelled);
            }
            pause();
        }
    }

    /// Prepares to make an image whose id is known when it is made.
    ///
    /// # Errors
    /// A directory cannot be made or locked.
    pub fn stage_unnamed(&self) -> Result<Staging> {
        Ok(Staging { store: self.clone(), staged: self.images_area().stage_unnamed()? })
    }

    /// Gives an image that is there another name. Of the row, what belongs to the name is recorded: the source, the digest, the
    /// platform, the name of the kernel, the time, the request.
    ///
    /// # Errors
    /// The image is not managed, or not there. The database cannot be written.
    pub fn add_name(&self, reservation: Reservation, shared: &Shared, row: &Row) -> Result<Row> {
        self.name_shared(Naming::New(reservation), shared, row)
    }

    pub(super) fn name_shared(&self, naming: Naming<'_>, shared: &Shared, row: &Row) -> Result<Row> {
        let mut row = row.clone();
        shared.key().clone_into(&mut row.id);
        self.record(naming, row, false)
    }

    /// Writes the row, and with `files` that of its files. What was written, as it is read.
    fn record(&self, naming: Naming<'_>, mut row: Row, with_files: bool) -> Result<Row> {
        let area = self.images_area();
        self.database().write("record an image", |transaction| {
            let old = match &naming {
                Naming::New(reservation) => {
                    reservation.name().clone_into(&mut row.name);
                    match images::by_name(transaction, area, &row.name)? {
                        Some(_) if !reservation.may_replace() => {
                            return Err(Error::NameTaken { what: What::Image, name: row.name.clone() }.into());
                        }
                        now => now,
                    }
                }
                Naming::Instead(old) => {
                    row.name.clone_from(&old.name);
                    match images::by_name(transaction, area, &old.name)? {
                        Some(now) if now.managed => return Err(Error::Managed { name: now.name }.into()),
                        Some(now) if now.id == old.id => Some(now),
                        // It was removed meanwhile, or is another one by now.
                        _ => return Err(images::not_found(transaction, &old.name)?.into()),
                    }
                }
            };
            if let Some(old) = old {
                images::delete_name(transaction, &row.name)?;
                if old.id == row.id {
                    row.created = old.created;
                } else if old.managed {
                    images::put_nameless(transaction, &old)?;
                } else {
                    images::delete_nameless(transaction, &old.id)?;
                }
            }
            match images::managed(transaction, &row.id)? {
                // The same id for files elsewhere: they would be mistaken for each other.
                Some(false) => {
                    return Err(Error::Damaged {
                        what: What::Image,
                        name: row.id.clone(),
                        reason: "its id is that of an unmanaged image".to_owned(),
                    }
                    .into());
                }
                None if !with_files => return Err(images::not_found(transaction, &row.id)?.into()),
                _ => {}
            }
            if with_files {
                images::put(transaction, area, &row)?;
            }
            images::put_name(transaction, &row)?;
            images::existing(transaction, area, &row.name)
        })
    }
}

impl Staging {
    /// Where its files are to be put: [`ROOTFS`] and whatever else belongs to it, regular files and directories alone.
    ///
    /// They become read-only. So none of them may be a hard link to a file that is not the store's own.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Publishes the image under the reserved name, by the id that the row has. If it is there by now, what was made goes, and
    /// what is there gets the name. What is recorded is given back.
    ///
    /// # Errors
    /// Files are missing or of another size than the row says. Or something cannot be made, synced, renamed or recorded; then
    /// nothing is left, but for what cannot be removed either: a leftover.
    pub fn publish(self, reservation: Reservation, row: &Row) -> Result<Row> {
        self.finish(Naming::New(reservation), row)
    }

    /// Publishes the image in the place of an unmanaged one, whose name it gets.
    ///
    /// # Errors
    /// Those of [`Staging::publish`]; the unmanaged image is not there any more, or is managed by now.
    pub fn promote(self, old: &Row, row: &Row) -> Result<Row> {
        self.finish(Naming::Instead(old), row)
    }

    fn finish(mut self, naming: Naming<'_>, row: &Row) -> Result<Row> {
        check_id(&row.id)?;
        let row = self.checked(row)?;
        let area = self.store.images_area().clone();
        let held = loop {
            match self.store.image(&row.id) {
                Ok(Some(shared)) => return self.store.name_shared(naming, &shared, &row),
                Ok(None) => {}
                Err(Error::Damaged { .. }) if look(&area.place(&row.id))?.is_none() => {}
                Err(error) => return Err(error),
            }
            match self.staged.rename(&area, &row.id)? {
                Some(held) => break held,
                None if self.store.clear(&area, &row.id)? => {}
                None => pause(),
            }
        };
        let id = row.id.clone();
        let name = naming.name().to_owned();
        self.store.record(naming, row, true).or_else(|error| {
            self.store.take_back(held, &id);
            // What failed may have come to be all the same, if somebody else had to read the log anew.
            self.store.row_of(&name).ok().flatten().filter(|row| row.managed && row.id == id).ok_or(error)
        })
    }

    /// The row as it is recorded, if its files are there. They are read-only and on the disk then.
    fn checked(&self, row: &Row) -> Result<Row> {
        let staging = self.staged.path();
        let incomplete = |reason| Error::Incomplete { what: What::Image, reason };
        let mut row = row.clone();
        row.managed = true;
        row.rootfs = ROOTFS.into();
        let mut files = vec![(staging.join(ROOTFS), Expected::Length(row.size))];
        if let Some(kernel) = &mut row.kernel {
            let mut file = |path: &mut std::path::PathBuf, expected| {
                *path = inside(What::Image, staging, path)?;
                files.push((staging.join(&path), expected));
                Ok::<_, Error>(())
            };
            file(&mut kernel.image, Expected::File)?;
            kernel.initrd.as_mut().map(|initrd| file(initrd, Expected::File)).transpose()?;
            kernel.modules.as_mut().map(|modules| file(modules, Expected::Directory)).transpose()?;
        }
        if let Some(reason) = fault(&files)? {
            return Err(incomplete(reason));
        }
        let sealed = seal(staging)?
            .map_err(|path| incomplete(format!("{} is neither a file nor a directory", path.display())))?;
        row.allocated = sealed.allocated;
        Ok(row)
    }
}

impl Store {
    /// Removes what has its name already, but could not be recorded.
    fn take_back(&self, held: Held, id: &str) {
        // Where even that cannot be found out, it stays: there is no telling what the database will say after a kill. If it has
        // no row then, it is a leftover.
        if let Ok(false) = self.database().settle(What::Image, id) {
            let _ = self.images_area().retire(held, id);
        }
    }
}

pub(super) fn check_id(id: &str) -> Result<()> {
    if name::is_id(id) { Ok(()) } else { Err(Error::Id { id: id.to_owned() }) }
}
