//! A name that is taken before there is anything to give it to: so it is refused to others before anything is downloaded.
//!
//! A reservation is the lock of an empty file, `reserved/image-NAME`. It ends with its process; the file that a kill leaves is
//! used by the next, or goes when a store is opened. Those who look for such files hold the directory's lock alone while they
//! do, so that nobody takes their look for a reservation.

use std::fs;

use crate::error::{Error, Result, What};
use crate::files::names;
use crate::lock::{self, Attempt, Held, Mode};
use crate::name;
use crate::store::Store;

/// A name that nobody else can give to anything while this lives.
#[derive(Debug)]
#[must_use = "the name is free again when this is dropped"]
pub struct Reservation {
    what: What,
    name: String,
    /// The id that the name may be taken from.
    replaced: Option<String>,
    may_replace: bool,
    held: Held,
}

impl Reservation {
    /// What the name is for.
    pub fn what(&self) -> What {
        self.what
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the image that had the name when it was reserved, where the name may be moved.
    pub fn replaced(&self) -> Option<&str> {
        self.replaced.as_deref()
    }

    /// Whether the name may be taken from an image that has it.
    pub(crate) fn may_replace(&self) -> bool {
        self.may_replace
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // While it is locked. Where it cannot be removed, it is in nobody's way.
        let _ = fs::remove_file(self.held.path());
    }
}

impl Store {
    /// Reserves the name of an image.
    ///
    /// # Errors
    /// It cannot be a name; an image has it; somebody else makes an image that is to have it.
    pub fn reserve(&self, name: &str) -> Result<Reservation> {
        self.reserve_what(What::Image, name, false)
    }

    /// Reserves the name of an image, which an image may have: the name is moved when the new image is recorded, in one
    /// transaction. Until then it stays what it is.
    ///
    /// # Errors
    /// It cannot be a name; another process makes an image that is to have it.
    pub fn reserve_replacing(&self, name: &str) -> Result<Reservation> {
        let mut reservation = self.reserve_what(What::Image, name, true)?;
        reservation.replaced = self.row_of(name)?.map(|row| row.id);
        Ok(reservation)
    }

    /// Reserves the name of a kernel.
    ///
    /// # Errors
    /// It cannot be a name; a kernel has it; somebody else makes a kernel that is to have it.
    pub fn reserve_kernel(&self, name: &str) -> Result<Reservation> {
        self.reserve_what(What::Kernel, name, false)
    }

    fn reserve_what(&self, what: What, name: &str, may_replace: bool) -> Result<Reservation> {
        name::check(name).map_err(|source| Error::Name { what, name: name.to_owned(), source })?;
        // Before anything is locked: a name that is taken is not reserved by whoever asks.
        let refuse_taken = || if may_replace { Ok(()) } else { self.refuse_taken(what, name) };
        refuse_taken()?;
        let path = self.reserved().join(format!("{what}-{name}"));
        let held = {
            let _nobody_looks = lock::wait(&self.reserved(), Mode::Shared)?;
            lock::file(&path, true)?
        };
        let Attempt::Held(held) = held else {
            // Whoever held it may just have finished.
            refuse_taken()?;
            return Err(Error::BeingMade { what, name: name.to_owned() });
        };
        let reservation = Reservation { what, name: name.to_owned(), replaced: None, may_replace, held };
        // It may have been given since the first look, but cannot be any more.
        refuse_taken()?;
        Ok(reservation)
    }

    fn refuse_taken(&self, what: What, name: &str) -> Result<()> {
        let taken = match what {
            What::Image => self.row_of(name)?.is_some(),
            What::Kernel => self.kernel_row(name)?.is_some(),
        };
        if taken { Err(Error::NameTaken { what, name: name.to_owned() }) } else { Ok(()) }
    }

    /// Removes the files of reservations that ended with a kill.
    pub(crate) fn sweep_reservations(&self) -> Result<()> {
        let Attempt::Held(_alone) = lock::directory(&self.reserved(), Mode::Exclusive)? else { return Ok(()) };
        for name in names(&self.reserved())? {
            let path = self.reserved().join(name);
            if let Attempt::Held(held) = lock::file(&path, false)? {
                fs::remove_file(held.path()).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}
