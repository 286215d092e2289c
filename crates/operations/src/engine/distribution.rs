//! Images leave: into files, bundles and registries.

use std::fs::File;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use banger_api::catalog::{Archive, MakeBundle, What};
use banger_api::event::{self, Event, Step};
use banger_api::image::{ExportImage, Exported, Form, Format, PushImage, Pushed};
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_catalog::bundle::{self, Manifest};
use banger_disk::tar::Holes;
use banger_distribution::{Facts, Package, artifact, containerdisk};
use banger_kernel::archive;
use banger_oci::{Descriptor, PlatformError};
use banger_store::Shared;
use banger_store::image::Row;

use super::pull::kernel;
use super::watching::{Watching, step};
use super::{Engine, images, layers};
use crate::access::Access;
use crate::hints::{self, Asked, Place};
use crate::problem::{of_catalog, of_disk, of_distribution, of_file, of_kernel, of_store};

/// The name of a kernel's archive in an artifact.
const KERNEL: &str = "kernel";

/// Writes an image's root file system into a file.
pub(super) fn export(engine: &Engine, request: &ExportImage, observer: &Arc<dyn Observer>) -> Result<Exported> {
    let (row, _shared) = held(engine, &request.image)?;
    step(observer, Step::Pack, request.output.display().to_string());
    let format = match request.format {
        Format::Raw => banger_disk::Format::Raw,
        Format::Qcow2 => banger_disk::Format::Qcow2,
        Format::Tar if request.sparse => banger_disk::Format::Tar(Holes::LeftOut),
        Format::Tar => banger_disk::Format::Tar(Holes::Zeros),
    };
    if request.sparse && request.format != Format::Tar {
        return Err(Problem::new(ErrorKind::Usage, "only an archive can be written without the holes of its files")
            .hint("leave out --sparse: holes stay holes in the other formats, or choose --format tar"));
    }
    let watching = Watching::new(observer, 0);
    let exported = banger_disk::export(&row.rootfs, format, &request.output, request.force, &watching);
    let exported = exported.map_err(|error| of_disk(&error))?;
    Ok(Exported { path: request.output.clone(), size: exported.size, allocated: exported.allocated })
}

/// Writes an image into a bundle.
pub(super) fn bundle(engine: &Engine, request: &MakeBundle, observer: &Arc<dyn Observer>) -> Result<Archive> {
    let (row, _shared) = held(engine, &request.image)?;
    step(observer, Step::Pack, &row.name);
    make_directory(&request.directory)?;
    let written = pack(&row, &request.directory, observer)?;
    Ok(Archive { path: written.path, what: What::Image, sha256: written.sha256.hex(), size: written.size })
}

/// Makes the directory that archives are written into, where it is missing: `-o new/` says what is meant.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| of_file("create the directory", path, &error))
}

/// An image, with what keeps its files.
fn held(engine: &Engine, text: &str) -> Result<(Row, Option<Shared>)> {
    let row = engine.store.find(text).map_err(|error| of_store(&error))?;
    let shared = if row.managed { engine.store.image(&row.id).map_err(|error| of_store(&error))? } else { None };
    Ok((row, shared))
}

/// The platform that an image is for; this machine's, where it does not say.
fn platform(row: &Row) -> String {
    row.platform.clone().unwrap_or_else(|| format!("linux/{}", banger_guest::agent::architecture()))
}

/// Writes the bundle of an image into a directory.
fn pack(row: &Row, directory: &Path, observer: &Arc<dyn Observer>) -> Result<bundle::Written> {
    let manifest = Manifest {
        source: Some(row.source.clone()),
        digest: row.digest.clone(),
        content_id: row.content_id.clone(),
        boot: row.boot.clone().map(|boot| bundle::Boot { mode: boot.mode, why: boot.why }),
        kernel_ref: row.kernel.as_ref().and_then(|kernel| kernel.name.clone()),
        kernel_version: row.kernel.as_ref().and_then(|kernel| kernel.version.clone()),
        config: images::config(row)?,
        layers: layers::read(row)?,
        ..Manifest::new(row.name.clone(), platform(row))
    };
    let rootfs = File::open(&row.rootfs).map_err(|error| of_file("open", &row.rootfs, &error))?;
    let threads = std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok());
    let threads = threads.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let watching = Watching::new(observer, 0);
    bundle::write(&manifest, &rootfs, &row.rootfs, directory, threads, &watching).map_err(|error| of_catalog(&error))
}

/// Puts an image into a registry.
pub(super) fn push(engine: &Engine, request: &PushImage, observer: &Arc<dyn Observer>) -> Result<Pushed> {
    let reference = hints::reference(request.reference.as_ref())?;
    let access = Access::requested(&request.registry, &engine.directories)?;
    let client = access.client(&[&reference], observer)?;
    let (row, _shared) = held(engine, &request.image)?;
    step(observer, Step::Pack, &row.name);
    // What is made on the way goes when this ends, however it does.
    let scratch = engine.store.stage_unnamed().map_err(|error| of_store(&error))?;
    let package = match request.form {
        Form::Artifact => artifact(&row, scratch.path(), observer)?,
        Form::Containerdisk => containerdisk(&row, scratch.path(), observer)?,
    };
    step(observer, Step::Upload, reference.to_string());
    let file = |layer: &Descriptor| event::File { digest: layer.digest.to_string(), size: layer.size, cached: false };
    observer.event(Event::Downloads { files: package.layers().map(file).collect() });
    let pushed = package.push(&client, &reference).map_err(|error| {
        let problem = of_distribution(&error);
        let asked = Asked { text: request.reference.as_ref(), place: Place::Registry(&reference), said: access.said };
        hints::for_push(&error, &asked).into_iter().fold(problem, Problem::hint)
    })?;
    Ok(Pushed {
        reference: reference.to_string(),
        digest: pushed.digest.to_string(),
        size: pushed.size,
        sent: pushed.sent,
    })
}

fn facts(row: &Row) -> Result<Facts> {
    let platform = platform(row).parse();
    let platform = platform.map_err(|error: PlatformError| Problem::of(ErrorKind::Integrity, &error))?;
    Ok(Facts { name: row.name.clone(), platform })
}

/// What `image.pull` takes as it is.
fn artifact(row: &Row, scratch: &Path, observer: &Arc<dyn Observer>) -> Result<Package> {
    let bundle = pack(row, scratch, observer)?;
    let kernel = match &row.kernel {
        Some(kernel) => {
            let chosen = kernel::again(kernel, observer)?;
            let written = archive::write(&chosen.triple, KERNEL, scratch, &Watching::new(observer, 0));
            Some(written.map_err(|error| of_kernel(&error))?)
        }
        None => None,
    };
    let kernel = kernel.as_ref().map(|kernel| kernel.path.as_path());
    let made = artifact::make(&facts(row)?, &bundle.path, kernel, &Watching::new(observer, 0));
    made.map_err(|error| of_distribution(&error))
}

/// What KubeVirt takes.
fn containerdisk(row: &Row, scratch: &Path, observer: &Arc<dyn Observer>) -> Result<Package> {
    let boot = match &row.kernel {
        Some(kernel) => {
            kernel::again(kernel, observer)?;
            Some(containerdisk::Boot { kernel: &kernel.image, initrd: kernel.initrd.as_deref() })
        }
        None => None,
    };
    let made = containerdisk::make(&facts(row)?, &row.rootfs, boot, scratch, &Watching::new(observer, 0));
    made.map_err(|error| of_distribution(&error))
}
