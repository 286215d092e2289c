//! An image that was pushed by somebody's banger: its bundle and the archive of its kernel, in a registry.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use banger_api::event::Step;
use banger_api::image::PullImage;
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_distribution::Artifact;
use banger_oci::cache::Cache;
use banger_oci::{BlobReader, Descriptor, Digest, Platform, Reference, Verified};
use banger_registry::{Platforms, Registry};
use banger_store::Reservation;
use banger_store::image::{Kernel, Row, Stage};

use super::bundle::{check_options, extract};
use super::{bundle, kernel, share, stage};
use crate::access::{Access, open_cache};
use crate::engine::Engine;
use crate::engine::watching::step;
use crate::hints::{self, Asked};
use crate::key::{self, Rootfs};
use crate::problem::{of_file, of_store};

/// The name of a kernel's archive while it is unpacked.
const ARCHIVE: &str = "kernel.tar.zst";

/// An artifact, and where it was found.
pub(super) struct Found<'a> {
    pub(super) artifact: &'a Artifact,
    pub(super) reference: &'a Reference,
    /// Digest of its manifest.
    pub(super) digest: Digest,
    pub(super) wanted: Option<&'a Platform>,
    pub(super) registry: &'a Registry,
    pub(super) access: &'a Access,
    pub(super) asked: &'a Asked<'a>,
}

/// What came of it.
pub(super) enum Taken {
    /// The image.
    Row(Box<Row>),
    /// The reference means something else by now; the name is free for that.
    Moved(Reservation),
}

/// Takes an artifact as it is.
pub(super) fn pull(
    engine: &Engine,
    request: &PullImage,
    found: &Found<'_>,
    architecture: &str,
    reservation: Reservation,
    observer: &Arc<dyn Observer>,
) -> Result<Taken> {
    check_options(request)?;
    let own = found.artifact.kernel.as_ref().filter(|_| request.kernel.name.is_none() && !request.kernel.none);
    let chosen = match own {
        Some(_) => None,
        None => kernel::choose(engine, &request.kernel, None, architecture, observer)?,
    };
    let of_chosen = chosen.as_ref().map(|chosen| chosen.digest.clone());
    let of_kernel = own.map(|own| own.digest.to_string()).or(of_chosen);
    let sha256 = found.artifact.bundle.digest.hex();
    let id = key::id(Rootfs::Bundle { sha256: &sha256 }, of_kernel.as_deref());
    let source = found.reference.to_string();
    let staging = match stage(engine, &id, observer)? {
        Stage::Ready(shared) => {
            let row = share(engine, reservation, &shared, &source, observer)?;
            return Ok(Taken::Row(Box::new(row)));
        }
        Stage::New(staging) => staging,
    };
    if let Some(chosen) = &chosen {
        chosen.verify(observer)?;
    }
    step(observer, Step::Download, &source);
    let platforms = Platforms::One(found.wanted.cloned());
    let fetched = found.registry.fetch(found.reference, &platforms, &source);
    let fetched = fetched.map_err(|error| hints::for_image(&error, found.asked))?;
    if fetched.manifest != Some(found.digest) {
        return Ok(Taken::Moved(reservation));
    }
    let cache = open_cache(&found.access.cache)?;
    let directory = staging.path();
    let mut blob = open(&cache, &found.artifact.bundle)?;
    let manifest = extract(&mut blob, directory, reservation.name(), observer)?;
    finish(blob, &found.artifact.bundle)?;
    if manifest.architecture() != architecture {
        let what =
            format!("the bundle in {source} is for {}, its manifest for {architecture}", manifest.architecture());
        return Err(Problem::new(ErrorKind::Integrity, what));
    }
    let put = match (own, &chosen) {
        (Some(own), _) => Some(unpack(&cache, own, directory, architecture, observer)?),
        (None, Some(chosen)) => Some(kernel::put(chosen, directory, observer)?),
        (None, None) => None,
    };
    step(observer, Step::Publish, reservation.name());
    let row = Row { digest: Some(found.digest.to_string()), ..bundle::row(manifest, id, source, put) };
    let row = staging.publish(reservation, &row).map_err(|error| of_store(&error))?;
    Ok(Taken::Row(Box::new(row)))
}

/// Opens a blob of the cache. Whatever it says, it is believed when it has been read to its end.
fn open(cache: &Cache, blob: &Descriptor) -> Result<Verified<BlobReader>> {
    let reader = cache.blob(blob).map_err(|error| Problem::of(error.kind(), &error))?;
    let gone = || Problem::new(ErrorKind::NotFound, format!("{} was removed from the cache", blob.digest));
    Ok(Verified::new(reader.ok_or_else(gone)?, blob.digest, blob.size))
}

/// Reads what is left of a blob, and says whether it is the right one.
fn finish(mut blob: Verified<BlobReader>, descriptor: &Descriptor) -> Result<()> {
    io::copy(&mut blob, &mut io::sink()).and_then(|_| blob.finish()).map_err(|error| {
        Problem::new(ErrorKind::Integrity, format!("{} in the cache is damaged", descriptor.digest))
            .because(&error)
            .hint("`banger cache verify` removes what is damaged; then pull again")
    })
}

/// Unpacks the kernel that came with the image.
fn unpack(
    cache: &Cache,
    blob: &Descriptor,
    directory: &Path,
    architecture: &str,
    observer: &Arc<dyn Observer>,
) -> Result<Kernel> {
    let path = directory.join(ARCHIVE);
    let mut reader = open(cache, blob)?;
    let copied = File::create_new(&path).and_then(|mut file| io::copy(&mut reader.by_ref(), &mut file));
    copied.map_err(|error| of_file("write", &path, &error))?;
    finish(reader, blob)?;
    let kernel = kernel::unpack(&path, directory, architecture, observer)?;
    std::fs::remove_file(&path).map_err(|error| of_file("remove", &path, &error))?;
    Ok(kernel)
}
