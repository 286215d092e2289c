//! Images whose last name was moved to another image: they stay under their id until they are removed, by that id or, when
//! nothing uses them, all together.

use super::Row;
use crate::error::{Error, Result};
use crate::files::freed_bytes;
use crate::lock::{self, Attempt, Mode};
use crate::store::Store;

/// An image without a name that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unneeded {
    /// The image.
    pub row: Row,
    /// Bytes on the disk that become free with it.
    pub bytes: u64,
}

impl Store {
    /// Images without a name that nothing uses, by id.
    ///
    /// # Errors
    /// The database or a directory cannot be read.
    pub fn unneeded(&self) -> Result<Vec<Unneeded>> {
        let mut unneeded = Vec::new();
        for row in self.nameless()? {
            match lock::directory(&self.images_area().place(&row.id), Mode::Exclusive)? {
                Attempt::Held(held) => unneeded.push(Unneeded { bytes: freed_bytes(held.path())?, row }),
                Attempt::Missing => unneeded.push(Unneeded { bytes: 0, row }),
                Attempt::Busy => {}
            }
        }
        Ok(unneeded)
    }

    /// Removes images without a name that nothing uses. Those that were removed.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn remove_unneeded(&self) -> Result<Vec<Unneeded>> {
        let mut removed = Vec::new();
        for row in self.nameless()? {
            match self.remove(&[&row.id]) {
                Ok(bytes) => removed.push(Unneeded { row, bytes }),
                // A machine runs from it; or it was removed, or got a name, in the meantime.
                Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    fn nameless(&self) -> Result<Vec<Row>> {
        let mut rows = self.images()?;
        rows.retain(Row::is_nameless);
        Ok(rows)
    }
}
