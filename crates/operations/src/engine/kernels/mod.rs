//! Kernels: fetched, imported, exported, listed and removed.

mod debian;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::catalog::{Archive, What};
use banger_api::event::{Event, File, Step};
use banger_api::image::Removed;
use banger_api::kernel::{DEBIAN, ExportKernel, ImportKernel, Kernel, PullKernel, RemoveKernel};
use banger_api::registry::RegistryAccess;
use banger_api::{ErrorKind, Observer, Problem, Result, time};
use banger_catalog::document;
use banger_catalog::download::Downloads;
use banger_catalog::embedded;
use banger_catalog::source::Offer;
use banger_kernel::{Imported, Triple, archive, import as importer};
use banger_store::Reservation;
use banger_store::kernel::{Row, Staging, Unnamed};

use super::distribution::make_directory;
use super::watching::{Watching, step, warn};
use super::{Engine, catalogs, rows};
use crate::problem::{of_catalog, of_file, of_kernel, of_store};

/// All kernels that are kept here.
pub(super) fn list(engine: &Engine) -> Result<Vec<Kernel>> {
    let found = engine.store.kernels().map_err(|error| of_store(&error))?;
    Ok(found.into_iter().map(rows::kernel).collect())
}

/// Finds a kernel in the catalogs.
pub(super) fn look_up(engine: &Engine, name: &str, architecture: &str, observer: &Arc<dyn Observer>) -> Result<Offer> {
    let access = RegistryAccess::default();
    let what = document::What::Kernel;
    catalogs::look_up(engine, what, name, architecture, &access, observer).map_err(|error| match error {
        banger_catalog::error::Error::NotFound(_) => {
            let problem =
                Problem::new(ErrorKind::NotFound, format!("there is no kernel {name:?} here, and no catalog has it"));
            problem.because(&error).hint("`banger kernel ls --available` shows all that there are")
        }
        error => of_catalog(&error),
    })
}

/// Fetches a kernel from a catalog; or Debian's, by apt.
pub(super) fn pull(engine: &Engine, request: &PullKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
    let architecture = request.architecture.as_deref().unwrap_or(banger_guest::agent::architecture());
    let is_debian = request.name == DEBIAN;
    // Debian's is named after its version, unless a catalog of the settings has another kernel of that name.
    let name = request.rename.as_ref().or(Some(&request.name).filter(|_| !is_debian));
    let reserve = |name: &String| engine.store.reserve_kernel(name).map_err(|error| of_store(&error));
    let mut reservation = name.map(reserve).transpose()?;
    step(observer, Step::Resolve, &request.name);
    let offer = look_up(engine, &request.name, architecture, observer);
    let is_ours = offer
        .as_ref()
        .map_or_else(|problem| problem.kind == ErrorKind::NotFound, |offer| offer.catalog == embedded::NAME);
    if is_debian && is_ours {
        if let Some(kernel) = debian::pull(engine, request, architecture, &mut reservation, observer)? {
            return Ok(kernel);
        }
    } else if is_debian && reservation.is_none() {
        reservation = Some(reserve(&request.name)?);
    }
    let offer = offer?;
    if is_ours && reservation.is_none() {
        let version = offer.entry.version.as_deref().unwrap_or_default();
        reservation = match of_version(engine, version)? {
            Some(known) => return Ok(known),
            None => Some(reserve(&importer::name(version))?),
        };
    }
    let content = offer.content().ok_or_else(|| {
        Problem::new(ErrorKind::Integrity, format!("{} of {} has no file", offer.entry.name, offer.catalog))
    })?;
    let digest = content.sha256.to_string();
    let file = File { digest: digest.clone(), size: content.size, cached: false };
    observer.event(Event::Downloads { files: vec![file] });
    let fetch = catalogs::fetch(engine, &RegistryAccess::default(), observer)?;
    let watching = Watching::download(observer, digest.clone(), content.size);
    let downloads = Downloads::new(&engine.cache()?);
    let file = downloads.obtain(&offer.place, content, &*fetch, &watching).map_err(|error| of_catalog(&error))?;
    observer.event(Event::Complete { digest });
    let files = [file.path().to_owned()];
    let source = offer.place.to_string();
    let from = Input { files: &files, scratch: None, source: &source, architecture: Some(architecture) };
    let unnamed = engine.store.stage_kernel_unnamed().map_err(|error| of_store(&error))?;
    keep(engine, unnamed, reservation, &from, observer)
}

/// The kernel of that version, if it is kept here under the name that it gets by itself.
fn of_version(engine: &Engine, version: &str) -> Result<Option<Kernel>> {
    let rows = engine.store.kernels().map_err(|error| of_store(&error))?;
    let name = importer::name(version);
    let known = rows.into_iter().find(|row| row.name == name && row.version.as_deref() == Some(version));
    Ok(known.map(rows::kernel))
}

/// Takes a kernel from files of this machine.
pub(super) fn import(engine: &Engine, request: &ImportKernel, observer: &Arc<dyn Observer>) -> Result<Kernel> {
    let files: Vec<PathBuf> = [&request.from].into_iter().chain(&request.more).cloned().collect();
    let source = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    let from = Input { files: &files, scratch: None, source: &source, architecture: None };
    let reserve = |name: &String| engine.store.reserve_kernel(name).map_err(|error| of_store(&error));
    let reservation = request.name.as_ref().map(reserve).transpose()?;
    let unnamed = engine.store.stage_kernel_unnamed().map_err(|error| of_store(&error))?;
    keep(engine, unnamed, reservation, &from, observer)
}

/// What a kernel is taken from.
struct Input<'a> {
    /// A directory, an archive, or packages.
    files: &'a [PathBuf],
    /// A directory that they are in, which is removed when they have been read.
    scratch: Option<&'a Path>,
    /// What is recorded of where it came from.
    source: &'a str,
    /// What it must be for.
    architecture: Option<&'a str>,
}

/// Unpacks a kernel and puts it where it is kept, under a name that is reserved, or that of its version.
fn keep(
    engine: &Engine,
    unnamed: Unnamed,
    reservation: Option<Reservation>,
    from: &Input<'_>,
    observer: &Arc<dyn Observer>,
) -> Result<Kernel> {
    let Input { files, scratch, source, architecture } = from;
    step(observer, Step::Extract, *source);
    let imported = importer::import(files, unnamed.path(), &Watching::new(observer, 0));
    let Imported { triple, name, notes } = imported.map_err(|error| of_kernel(&error))?;
    notes.iter().for_each(|note| warn(observer, note));
    if let Some(wanted) = architecture.filter(|wanted| *wanted != triple.architecture) {
        let what = format!("the kernel of {source} is for {}, not for {wanted}", triple.architecture);
        return Err(Problem::new(ErrorKind::Integrity, what));
    }
    if let Some(scratch) = scratch {
        std::fs::remove_dir_all(scratch).map_err(|error| of_file("remove", scratch, &error))?;
    }
    let reservation = match reservation {
        Some(reservation) => reservation,
        None => {
            let name = name.ok_or_else(|| {
                Problem::new(ErrorKind::Usage, format!("the kernel in {source} does not say its version"))
                    .hint("name it with --name")
            })?;
            engine.store.reserve_kernel(&name).map_err(|error| of_store(&error))?
        }
    };
    step(observer, Step::Publish, reservation.name());
    publish(unnamed.named(reservation), triple, (*source).to_owned(), observer)
}

fn publish(staging: Staging, triple: Triple, source: String, observer: &Arc<dyn Observer>) -> Result<Kernel> {
    let digest = triple.digest(&Watching::new(observer, 0)).map_err(|error| of_kernel(&error))?;
    let row = Row {
        name: String::new(),
        version: triple.version,
        architecture: triple.architecture.to_owned(),
        format: triple.format.to_string(),
        digest,
        size: 0,
        source,
        created: time::now(),
        image: triple.image,
        initrd: triple.initrd,
        modules: triple.modules,
    };
    staging.publish(&row).map(rows::kernel).map_err(|error| of_store(&error))
}

/// Writes a kernel archive.
pub(super) fn export(engine: &Engine, request: &ExportKernel, observer: &Arc<dyn Observer>) -> Result<Archive> {
    let (triple, _kept) = kept(engine, &request.name)?;
    step(observer, Step::Pack, &request.name);
    let total = triple.size().map_err(|error| of_kernel(&error))?;
    let watching = Watching::new(observer, total);
    make_directory(&request.directory)?;
    let written = archive::write(&triple, &request.name, &request.directory, &watching);
    let written = written.map_err(|error| of_kernel(&error))?;
    Ok(Archive { path: written.path, what: What::Kernel, sha256: written.sha256, size: written.size })
}

/// The files of a kernel that is kept here, checked, and what keeps them.
fn kept(engine: &Engine, name: &str) -> Result<(Triple, banger_store::Shared)> {
    let found = engine.store.kernel(name).map_err(|error| of_store(&error))?;
    let Some((row, shared)) = found else {
        return Err(of_store(&match engine.store.find_kernel(name) {
            Err(error) => error,
            Ok(row) => {
                banger_store::Error::NotFound { what: banger_store::What::Kernel, name: row.name, nearest: Vec::new() }
            }
        }));
    };
    let triple = banger_kernel::check(&row.image, row.initrd.as_deref(), row.modules.as_deref(), None);
    let triple = triple.map_err(|error| of_kernel(&error))?;
    triple.verify(&row.digest, &()).map_err(|error| of_kernel(&error))?;
    Ok((triple, shared))
}

/// Removes a kernel. Images that were made with it have their own names for its files.
pub(super) fn remove(engine: &Engine, request: &RemoveKernel) -> Result<Removed> {
    let freed = engine.store.remove_kernel(&request.name).map_err(|error| of_store(&error))?;
    Ok(Removed { names: vec![request.name.clone()], freed })
}
