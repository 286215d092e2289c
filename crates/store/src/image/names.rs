//! Names of images: listed, found, changed, given to files elsewhere, taken away.

use std::collections::BTreeSet;

use super::Row;
use super::staging::{Naming, check_id};
use crate::Reservation;
use crate::database::images;
use crate::error::{Error, Result, What};
use crate::limits::REMOVAL_TRIES;
use crate::lock::{self, Attempt, Held, Mode, pause};
use crate::name;
use crate::shared::Shared;
use crate::store::Store;

/// Ids that an error shows of those that begin alike.
const SHOWN_IDS: usize = 5;
/// Characters of an id that are shown.
const SHOWN_DIGITS: usize = 12;

impl Store {
    /// All images, by name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn images(&self) -> Result<Vec<Row>> {
        self.database().read(|connection| images::all(connection, self.images_area()))
    }

    /// The image with this name, or with an id that is this or begins like this (four digits at least). By its id it comes with
    /// the first of its names.
    ///
    /// # Errors
    /// There is none: [`Error::NotFound`]. Several ids begin like this: [`Error::Ambiguous`]. The database cannot be read.
    pub fn find(&self, text: &str) -> Result<Row> {
        let mut rows = self.lookup(text)?;
        // There is always one: otherwise it was an error.
        Ok(rows.swap_remove(0))
    }

    /// All rows that are meant by a text: one, if it is a name; those of all names, if it is an id or the beginning of one.
    ///
    /// # Errors
    /// As [`Store::find`].
    pub fn lookup(&self, text: &str) -> Result<Vec<Row>> {
        let area = self.images_area();
        self.database().read(|connection| {
            if let Some(row) = images::by_name(connection, area, text)? {
                return Ok(vec![row]);
            }
            let rows = if name::is_id_prefix(text) { images::by_prefix(connection, area, text)? } else { Vec::new() };
            let Some(first) = rows.first() else { return Err(images::not_found(connection, text)?.into()) };
            if rows.iter().any(|row| row.id != first.id) {
                return Err(Error::Ambiguous { text: text.to_owned(), candidates: candidates(&rows) }.into());
            }
            Ok(rows)
        })
    }

    /// All names of an image, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn names_of(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.rows_of(id)?.into_iter().map(|row| row.name).collect())
    }

    pub(crate) fn rows_of(&self, id: &str) -> Result<Vec<Row>> {
        let rows = self.database().read(|connection| images::by_prefix(connection, self.images_area(), id))?;
        Ok(rows.into_iter().filter(|row| row.id == id).collect())
    }

    /// The row of a name, if there is one.
    pub(crate) fn row_of(&self, name: &str) -> Result<Option<Row>> {
        self.database().read(|connection| images::by_name(connection, self.images_area(), name))
    }

    /// Gives a name to an image whose files are elsewhere, and stay there. The id is the caller's choice.
    ///
    /// # Errors
    /// The id is none, or that of a managed image; a path is not UTF-8; the database cannot be written.
    pub fn register(&self, reservation: Reservation, row: &Row) -> Result<Row> {
        check_id(&row.id)?;
        let row = Row { name: reservation.name().to_owned(), managed: false, ..row.clone() };
        self.database().write("record an image", |transaction| {
            if images::by_name(transaction, self.images_area(), &row.name)?.is_some() {
                return Err(Error::NameTaken { what: What::Image, name: row.name }.into());
            }
            if images::managed(transaction, &row.id)? == Some(true) {
                return Err(Error::ManagedId { id: row.id }.into());
            }
            images::put(transaction, self.images_area(), &row)?;
            images::put_name(transaction, &row)?;
            Ok(row)
        })
    }

    /// Gives an image that is there the name of an unmanaged one, in its place: as [`Staging::promote`](super::Staging::promote)
    /// where nothing had to be made.
    ///
    /// # Errors
    /// The unmanaged image is not there any more, or is managed by now; the database cannot be written.
    pub fn promote(&self, shared: &Shared, old: &Row, row: &Row) -> Result<Row> {
        self.name_shared(Naming::Instead(old), shared, row)
    }

    /// Gives an image the reserved name instead of the one that it has.
    ///
    /// # Errors
    /// There is no image of that name; the database cannot be written.
    pub fn rename(&self, name: &str, reservation: Reservation) -> Result<Row> {
        let area = self.images_area();
        self.database().write("rename an image", |transaction| {
            if !images::rename(transaction, name, reservation.name())? {
                return Err(images::not_found(transaction, name)?.into());
            }
            images::existing(transaction, area, reservation.name())
        })
    }

    /// Takes names away: all of them, or none. The files of a managed image go with its last name. What becomes free, in bytes.
    ///
    /// # Errors
    /// There is no image of such a name. Somebody uses files that would go: [`Error::InUse`]. The database cannot be written.
    pub fn remove(&self, names: &[&str]) -> Result<u64> {
        let mut tries = 1_u32;
        let gone = loop {
            match self.remove_rows(names) {
                Err(Error::InUse { .. }) if tries < REMOVAL_TRIES => tries = tries.saturating_add(1),
                removed => break removed?,
            }
            pause();
        };
        // They are not listed any more; what cannot be removed now is a leftover.
        let area = self.images_area();
        let freed = gone.into_iter().map(|(id, held)| area.retire(held, &id).unwrap_or(0));
        Ok(freed.fold(0, u64::saturating_add))
    }

    /// Deletes the rows. The files that nothing names any more are locked, so that nobody begins to use them.
    fn remove_rows(&self, names: &[&str]) -> Result<Vec<(String, Held)>> {
        let area = self.images_area();
        self.database().write("remove an image", |transaction| {
            let mut touched = BTreeSet::new();
            for name in names {
                let row = images::existing(transaction, area, name)?;
                images::delete_name(transaction, name)?;
                touched.insert((row.id, row.managed, row.name));
            }
            let mut gone = Vec::new();
            for (id, managed, name) in touched {
                if images::delete_nameless(transaction, &id)? && managed {
                    match lock::directory(&area.place(&id), Mode::Exclusive)? {
                        Attempt::Held(held) => gone.push((id, held)),
                        Attempt::Busy => return Err(Error::InUse { what: What::Image, name }.into()),
                        // Somebody has removed it by other means: the row is what is left.
                        Attempt::Missing => {}
                    }
                }
            }
            Ok(gone)
        })
    }
}

/// Ids and names, as an error shows them.
fn candidates(rows: &[Row]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut last = None;
    for row in rows.iter().filter(|row| last.replace(&row.id) != Some(&row.id)) {
        let id = row.id.get(..SHOWN_DIGITS).unwrap_or(&row.id);
        shown.push(format!("{id} ({})", row.name));
    }
    if shown.len() > SHOWN_IDS {
        shown.truncate(SHOWN_IDS);
        shown.push("...".to_owned());
    }
    shown
}
