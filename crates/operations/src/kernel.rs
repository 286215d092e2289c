//! Which of the kernels that are kept here is taken where none is named: the same for an image that is pulled and for a machine.

use banger_api::{ErrorKind, Result};
use banger_kernel::{Triple, Watch};
use banger_kmod::version::compare;
use banger_store::kernel::Row;
use banger_store::{Shared, Store};

use crate::problem::{of_kernel, of_store};

/// A kernel that is kept here, and checked to be one.
#[derive(Debug)]
pub struct Kept {
    /// What is recorded of it.
    pub row: Row,
    /// Its files.
    pub triple: Triple,
    /// Keeps it from being removed.
    pub shared: Shared,
}

/// The name of the newest kernel that is kept here for an architecture.
///
/// # Errors
/// The store cannot be read.
pub fn newest(store: &Store, architecture: &str) -> Result<Option<String>> {
    let mut rows = store.kernels().map_err(|error| of_store(&error))?;
    rows.retain(|row| row.architecture == architecture);
    let version = |row: &Row| row.version.clone().unwrap_or_default();
    rows.sort_by(|a, b| compare(&version(a), &version(b)).then_with(|| b.name.cmp(&a.name)));
    Ok(rows.pop().map(|row| row.name))
}

/// The kernel that is kept here by this name. None if there is none.
///
/// # Errors
/// Its files are not a kernel for the architecture, or cannot be read.
pub fn kept(store: &Store, name: &str, architecture: &str) -> Result<Option<Kept>> {
    let Some((row, shared)) = store.kernel(name).map_err(|error| of_store(&error))? else { return Ok(None) };
    let (initrd, modules) = (row.initrd.as_deref(), row.modules.as_deref());
    let triple = banger_kernel::check(&row.image, initrd, modules, Some(architecture));
    Ok(Some(Kept { triple: triple.map_err(|error| of_kernel(&error))?, row, shared }))
}

/// Checks that the files of a kernel that is kept here by this name are still those that came here. All of them are read.
///
/// # Errors
/// They are not, or cannot be read.
pub fn verify(name: &str, triple: &Triple, digest: &str, watch: &dyn Watch) -> Result<()> {
    triple.verify(digest, watch).map_err(|error| {
        let problem = of_kernel(&error);
        match problem.kind {
            ErrorKind::Integrity | ErrorKind::NotFound => {
                problem.hint(format!("remove it, and get it again: banger kernel rm {name}"))
            }
            _ => problem,
        }
    })
}
