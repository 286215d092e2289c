//! An image that a banger pushed: its bundle and the archive of its kernel, in a registry or in a copy on this machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use banger_api::event::Step;
use banger_api::image::PullImage;
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_distribution::Artifact;
use banger_oci::cache::Cache;
use banger_oci::{BlobReader, Descriptor, Digest, Image, Layer, Platform, Reference, Verified};
use banger_registry::{Platforms, Registry};
use banger_store::image::{Kernel, Row, Stage};

use super::bundle::{check_options, extract};
use super::naming::Naming;
use super::{bundle, kernel, share, stage};
use crate::access::{Access, open_cache};
use crate::engine::Engine;
use crate::engine::watching::step;
use crate::hints::{self, Asked};
use crate::key::{self, Rootfs};
use crate::problem::of_file;

/// The name of a kernel's archive while it is unpacked.
const ARCHIVE: &str = "kernel.tar.zst";

/// An artifact, and where it was found.
pub(super) struct Found<'a> {
    pub(super) artifact: &'a Artifact,
    /// Where, in full.
    pub(super) source: String,
    /// Digest of its manifest.
    pub(super) digest: Digest,
    pub(super) place: Place<'a>,
}

/// Where the blobs of an artifact are.
pub(super) enum Place<'a> {
    /// In a registry: they are fetched into the cache.
    Registry {
        reference: &'a Reference,
        wanted: Option<&'a Platform>,
        registry: &'a Registry,
        access: &'a Access,
        asked: &'a Asked<'a>,
    },
    /// On this machine, as the layers of this image.
    Local(&'a Image),
}

/// Where the blobs of an artifact are read.
enum Blobs<'a> {
    Cache(Cache),
    Local(&'a Image),
}

/// What came of it.
pub(super) enum Taken {
    /// The image.
    Row(Box<Row>),
    /// The reference means something else by now; the name is free for that.
    Moved(Naming),
}

/// Takes an artifact as it is.
pub(super) fn pull(
    engine: &Engine,
    request: &PullImage,
    found: &Found<'_>,
    architecture: &str,
    naming: Naming,
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
    let source = found.source.clone();
    let staging = match stage(engine, &id, observer)? {
        Stage::Ready(shared) => {
            let row = share(engine, naming, &shared, &source, observer)?;
            return Ok(Taken::Row(Box::new(row)));
        }
        Stage::New(staging) => staging,
    };
    if let Some(chosen) = &chosen {
        chosen.verify(observer)?;
    }
    let Some(blobs) = found.blobs(observer)? else { return Ok(Taken::Moved(naming)) };
    let directory = staging.path();
    let mut blob = blobs.open(&found.artifact.bundle)?;
    let manifest = extract(&mut blob, directory, naming.name(), observer)?;
    blobs.finish(blob, &found.artifact.bundle)?;
    if manifest.architecture() != architecture {
        let what =
            format!("the bundle in {source} is for {}, its manifest for {architecture}", manifest.architecture());
        return Err(Problem::new(ErrorKind::Integrity, what));
    }
    let put = match (own, &chosen) {
        (Some(own), _) => Some(unpack(&blobs, own, directory, naming.name(), architecture, observer)?),
        (None, Some(chosen)) => Some(kernel::put(chosen, directory, observer)?),
        (None, None) => None,
    };
    step(observer, Step::Publish, naming.name());
    let row = Row { digest: Some(found.digest.to_string()), ..bundle::row(manifest, id, source, put) };
    Ok(Taken::Row(Box::new(naming.publish(staging, row)?)))
}

impl<'a> Found<'a> {
    /// Has all blobs come to this machine. `None` where the reference means something else by now.
    fn blobs(&self, observer: &Arc<dyn Observer>) -> Result<Option<Blobs<'a>>> {
        match &self.place {
            Place::Local(image) => Ok(Some(Blobs::Local(image))),
            Place::Registry { reference, wanted, registry, access, asked } => {
                step(observer, Step::Download, &self.source);
                let fetched = registry.fetch(reference, &Platforms::One(wanted.cloned()), &self.source);
                let fetched = fetched.map_err(|error| hints::for_image(&error, asked))?;
                if fetched.manifest != Some(self.digest) {
                    return Ok(None);
                }
                Ok(Some(Blobs::Cache(open_cache(&access.cache)?)))
            }
        }
    }
}

impl Blobs<'_> {
    /// Opens a blob. Whatever it says, it is believed when it has been read to its end.
    fn open(&self, blob: &Descriptor) -> Result<Verified<BlobReader>> {
        let failed = |error: banger_oci::Error| Problem::of(error.kind(), &error);
        let reader = match self {
            Self::Cache(cache) => cache.blob(blob).map_err(failed)?,
            Self::Local(image) => {
                let layer = image.layers().iter().find(|layer| layer.digest() == Some(&blob.digest));
                layer.map(Layer::open).transpose().map_err(failed)?
            }
        };
        let gone = || Problem::new(ErrorKind::NotFound, format!("{} is not in {} any more", blob.digest, self.name()));
        Ok(Verified::new(reader.ok_or_else(gone)?, blob.digest, blob.size))
    }

    /// Reads what is left of a blob, and says whether it is the right one.
    fn finish(&self, mut blob: Verified<BlobReader>, descriptor: &Descriptor) -> Result<()> {
        io::copy(&mut blob, &mut io::sink()).and_then(|_| blob.finish()).map_err(|error| {
            let what = format!("{} in {} is damaged", descriptor.digest, self.name());
            Problem::new(ErrorKind::Integrity, what).because(&error).hint(match self {
                Self::Cache(_) => "`banger cache verify` removes what is damaged; then pull again",
                Self::Local(_) => hints::DAMAGED,
            })
        })
    }

    /// The place, in messages.
    fn name(&self) -> &str {
        match self {
            Self::Cache(_) => "the cache",
            Self::Local(image) => image.source(),
        }
    }
}

/// Unpacks the kernel that came with the image.
fn unpack(
    blobs: &Blobs<'_>,
    blob: &Descriptor,
    directory: &Path,
    name: &str,
    architecture: &str,
    observer: &Arc<dyn Observer>,
) -> Result<Kernel> {
    let path = directory.join(ARCHIVE);
    let mut reader = blobs.open(blob)?;
    let copied = File::create_new(&path).and_then(|mut file| io::copy(&mut reader.by_ref(), &mut file));
    copied.map_err(|error| of_file("write", &path, &error))?;
    blobs.finish(reader, blob)?;
    let kernel = kernel::unpack(&path, directory, name, architecture, observer)?;
    std::fs::remove_file(&path).map_err(|error| of_file("remove", &path, &error))?;
    Ok(kernel)
}
