//! What is here, what it takes up, and what can go.

use banger_api::system::{Info, Part, PruneRequest, Pruned, PrunedItem, Usage, UsagePart};
use banger_api::{ErrorKind, Problem, Result, time};
use banger_catalog::download::Downloads;
use banger_oci::cache::Share;
use banger_store::image::Unneeded;
use banger_store::leftovers::Leftover;
use banger_vm::directory;

use super::Engine;
use crate::access::open_cache;
use crate::problem::{of_catalog, of_config, of_store};

/// The version of the API.
const API: u32 = 1;

/// Who answers, and with what.
pub(super) fn info(engine: &Engine) -> Result<Info> {
    let usage = engine.store.usage().map_err(|error| of_store(&error))?;
    Ok(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: API,
        root: engine.store.root().to_owned(),
        cache: engine.cache()?,
        architecture: banger_guest::agent::architecture().to_owned(),
        pid: None,
        images: usage.images.count,
        kernels: usage.kernels.count,
        jobs: 0,
    })
}

/// What takes up how much, and what of it `prune` with `all` would free.
pub(super) fn df(engine: &Engine) -> Result<Usage> {
    let usage = engine.store.usage().map_err(|error| of_store(&error))?;
    let everything = PruneRequest { dry_run: true, all: true };
    let sum = |items: &[PrunedItem]| items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.size));
    let part = |part, count, size, reclaimable| UsagePart { part, count, size, reclaimable };
    let unneeded = sum(&images(engine, &everything)?);
    let kept = downloads_here(engine)?;
    let cache = layers(engine, &everything)?;
    let ended = machines(engine, &everything)?;
    let count = |items: &[PrunedItem]| items.len() as u64;
    let mut parts = vec![
        part(Part::Images, usage.images.count, usage.images.bytes, unneeded),
        part(Part::Kernels, usage.kernels.count, usage.kernels.bytes, 0),
        part(Part::Layers, count(&cache), sum(&cache), sum(&cache)),
        part(Part::Downloads, kept.count, kept.size, sum(&downloads(engine, &everything)?)),
        part(Part::Machines, count(&ended), sum(&ended), sum(&ended)),
        part(Part::Leftovers, usage.leftovers.count, usage.leftovers.bytes, usage.leftovers.bytes),
    ];
    parts.sort_by_key(|part| part.part);
    Ok(Usage { parts })
}

/// Removes what nothing needs.
pub(super) fn prune(engine: &Engine, request: &PruneRequest) -> Result<Pruned> {
    let mut items = Vec::new();
    for find in [leftovers, images, layers, downloads, machines] {
        items.extend(find(engine, request)?);
    }
    items.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let freed = items.iter().fold(0, |sum: u64, item| sum.saturating_add(item.size));
    Ok(Pruned { items, freed })
}

/// What a kill has left in the store.
fn leftovers(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let found = if request.dry_run { engine.store.leftovers() } else { engine.store.sweep() };
    let item = |leftover: Leftover| PrunedItem {
        part: Part::Leftovers,
        name: leftover.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        image: None,
        date: None,
        size: leftover.bytes,
    };
    Ok(found.map_err(|error| of_store(&error))?.into_iter().map(item).collect())
}

/// Images whose last name was moved to another image, and from which no machine runs.
fn images(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let found = if request.dry_run { engine.store.unneeded() } else { engine.store.remove_unneeded() };
    let item = |unneeded: Unneeded| PrunedItem {
        part: Part::Images,
        name: unneeded.row.id,
        image: Some(unneeded.row.source),
        date: Some(unneeded.row.created),
        size: unneeded.bytes,
    };
    Ok(found.map_err(|error| of_store(&error))?.into_iter().map(item).collect())
}

/// The cache of layers, or what of it no image in it needs.
fn layers(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let path = engine.directories.layers().map_err(|error| of_config(&error))?;
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let cache = open_cache(&path)?;
    let of_cache = |error: banger_oci::Error| Problem::of(error.kind(), &error);
    let shares = if request.all { cache.shares().map_err(of_cache)? } else { Vec::new() };
    let removed = cache.prune(request.all, request.dry_run, &mut || ()).map_err(of_cache)?;
    let item = |share: Share| PrunedItem {
        part: Part::Layers,
        name: share.image.clone(),
        image: Some(share.image),
        date: share.modified.map(time::of),
        size: share.bytes,
    };
    let named = shares.iter().fold(0_u64, |sum, share| sum.saturating_add(share.bytes));
    let mut items: Vec<PrunedItem> = shares.into_iter().map(item).collect();
    let rest = removed.bytes.saturating_sub(named);
    if rest > 0 || (items.is_empty() && removed.blobs.saturating_add(removed.partials) > 0) {
        let name = path.display().to_string();
        items.push(PrunedItem { part: Part::Layers, name, image: None, date: None, size: rest });
    }
    Ok(items)
}

/// Files from catalogs: those that are not complete, or all of them.
fn downloads(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let downloads = Downloads::new(&engine.cache()?);
    let mut items = Vec::new();
    for kept in downloads.kept().map_err(|error| of_catalog(&error))? {
        let goes = !kept.in_use && (request.all || !kept.complete);
        if goes && (request.dry_run || downloads.remove(&kept).map_err(|error| of_catalog(&error))?) {
            items.push(PrunedItem {
                part: Part::Downloads,
                name: kept.sha256.to_string(),
                image: None,
                date: kept.modified.map(time::of),
                size: kept.size,
            });
        }
    }
    Ok(items)
}

/// What is kept of files from catalogs.
struct Amount {
    count: u64,
    size: u64,
}

fn downloads_here(engine: &Engine) -> Result<Amount> {
    let kept = Downloads::new(&engine.cache()?).kept().map_err(|error| of_catalog(&error))?;
    let size = kept.iter().fold(0_u64, |sum, kept| sum.saturating_add(kept.size));
    Ok(Amount { count: kept.len() as u64, size })
}

/// Machines that have ended, where everything is to go.
fn machines(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    if !request.all {
        return Ok(Vec::new());
    }
    let path = engine.directories.machines().map_err(|error| of_config(&error))?;
    let ended = directory::ended(&path, !request.dry_run).map_err(|error| Problem::of(ErrorKind::Other, &error))?;
    let item = |ended: directory::Ended| PrunedItem {
        part: Part::Machines,
        name: ended.id,
        image: ended.image,
        date: ended.started.map(time::of),
        size: ended.size,
    };
    Ok(ended.into_iter().map(item).collect())
}
