//! What takes up how much of the disk.

use crate::error::Result;
use crate::files::{Measure, names};
use crate::store::Store;

/// What takes up how much. A file with several names is counted once, with the first part that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Kernels.
    pub kernels: Part,
    /// Managed images, however many names each has.
    pub images: Part,
    /// What was left behind.
    pub leftovers: Part,
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub count: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Store {
    /// Looks at every file.
    ///
    /// # Errors
    /// A directory or the database cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let mut measure = Measure::default();
        let mut usage = Usage::default();
        for (area, part) in [(self.kernels_area(), &mut usage.kernels), (self.images_area(), &mut usage.images)] {
            for name in names(area.directory())? {
                if self.database().is_recorded(area.what(), &name)? {
                    part.count = part.count.saturating_add(1);
                    // It may be removed in this moment, and then takes up nothing.
                    part.bytes = part.bytes.saturating_add(measure.tree(&area.place(&name)).unwrap_or(0));
                }
            }
        }
        for leftover in self.leftovers()? {
            usage.leftovers.count = usage.leftovers.count.saturating_add(1);
            usage.leftovers.bytes = usage.leftovers.bytes.saturating_add(leftover.bytes);
        }
        Ok(usage)
    }
}
