//! An image that comes as a bundle: its root file system is made already.

use std::io::Read;
use std::sync::Arc;

use banger_api::event::{Event, File, Step};
use banger_api::image::{BuildOptions, PullImage};
use banger_api::{ErrorKind, Observer, Problem, Result, time};
use banger_catalog::bundle::{self, Manifest};
use banger_catalog::download::Downloads;
use banger_catalog::source::Offer;
use banger_ext4::read::Reader;
use banger_store::image::{self, ROOTFS, Row, Stage};

use super::naming::Naming;
use super::{CONFIG, kernel, share, stage};
use crate::engine::watching::{Watching, step};
use crate::engine::{Engine, catalogs, layers};
use crate::key::{self, Rootfs};
use crate::problem::{of_catalog, of_file};

/// Takes the bundle that a catalog offers.
pub(super) fn pull(
    engine: &Engine,
    request: &PullImage,
    offer: &Offer,
    naming: Naming,
    observer: &Arc<dyn Observer>,
) -> Result<Row> {
    check_options(request)?;
    let entry = &offer.entry;
    let content = offer.content().ok_or_else(|| {
        Problem::new(ErrorKind::Integrity, format!("{} of {} has no file", entry.name, offer.catalog))
    })?;
    let kernel = kernel::choose(engine, &request.kernel, entry.kernel_ref.as_deref(), &entry.arch, observer)?;
    let sha256 = content.sha256.hex();
    let id = key::id(Rootfs::Bundle { sha256: &sha256 }, kernel.as_ref().map(|kernel| kernel.digest.as_str()));
    let source = offer.place.to_string();
    let staging = match stage(engine, &id, observer)? {
        Stage::Ready(shared) => return share(engine, naming, &shared, &source, observer),
        Stage::New(staging) => staging,
    };
    if let Some(kernel) = &kernel {
        kernel.verify(observer)?;
    }
    let downloads = Downloads::new(&engine.cache()?);
    let fetch = catalogs::fetch(engine, &request.registry, observer)?;
    let digest = content.sha256.to_string();
    let file = File { digest: digest.clone(), size: content.size, cached: false };
    observer.event(Event::Downloads { files: vec![file] });
    let watching = Watching::download(observer, digest.clone(), content.size);
    let file = downloads.obtain(&offer.place, content, &*fetch, &watching).map_err(|error| of_catalog(&error))?;
    observer.event(Event::Complete { digest });
    let manifest = extract(file.file(), staging.path(), &entry.name, observer)?;
    let architecture = manifest.architecture();
    if architecture != entry.arch {
        let what = format!("the bundle {source} is for {architecture}, and the catalog says {}", entry.arch);
        return Err(Problem::new(ErrorKind::Integrity, what));
    }
    let kernel = kernel.map(|kernel| kernel::put(&kernel, staging.path(), observer)).transpose()?;
    step(observer, Step::Publish, naming.name());
    naming.publish(staging, row(manifest, id, source, kernel))
}

/// A bundle is as it is.
pub(super) fn check_options(request: &PullImage) -> Result<()> {
    if request.build == BuildOptions::default() {
        return Ok(());
    }
    let what =
        format!("{} is a finished image: nothing can be set for it that is set when an image is built", request.source);
    Err(Problem::new(ErrorKind::Usage, what)
        .hint("name an image in a registry, or leave out --size, --label, --guest and what is set for the guest"))
}

/// Unpacks a bundle into the directory of an image.
pub(super) fn extract(
    file: impl Read + Send,
    directory: &std::path::Path,
    name: &str,
    observer: &Arc<dyn Observer>,
) -> Result<Manifest> {
    step(observer, Step::Extract, name);
    let extracted = bundle::read(file, directory, &Watching::new(observer, 0)).map_err(|error| of_catalog(&error))?;
    let rootfs = directory.join(ROOTFS);
    let opened = std::fs::File::open(&rootfs).map_err(|error| of_file("open", &rootfs, &error))?;
    // Its bytes are those that somebody published. That they are a file system is another matter.
    Reader::open(opened).map_err(|error| {
        Problem::new(ErrorKind::Integrity, format!("what the bundle of {name} has as {ROOTFS} is not an ext4 image"))
            .because(&error)
    })?;
    if let Some(config) = &extracted.manifest.config {
        let path = directory.join(CONFIG);
        std::fs::write(&path, config.to_string()).map_err(|error| of_file("write", &path, &error))?;
    }
    layers::write(directory, &extracted.manifest.layers)?;
    Ok(extracted.manifest)
}

/// What is recorded of an image that came in a bundle.
pub(super) fn row(manifest: Manifest, id: String, source: String, kernel: Option<image::Kernel>) -> Row {
    Row {
        id,
        name: String::new(),
        source,
        digest: manifest.digest,
        platform: Some(manifest.platform),
        boot: manifest.boot.map(|boot| image::Boot { mode: boot.mode, why: boot.why }),
        kernel,
        content_id: manifest.content_id,
        size: manifest.rootfs.size,
        allocated: 0,
        created: time::now(),
        request: None,
        managed: true,
        rootfs: ROOTFS.into(),
    }
}
