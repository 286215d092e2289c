//! What is here, what it takes up, and what can go.

use std::path::Path;

use banger_api::system::{Info, Part, PruneRequest, Pruned, PrunedItem, Usage, UsagePart};
use banger_api::{ErrorKind, Problem, Result};
use banger_catalog::download::Downloads;
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

/// What takes up how much.
pub(super) fn df(engine: &Engine) -> Result<Usage> {
    let usage = engine.store.usage().map_err(|error| of_store(&error))?;
    let part = |part, count, size, reclaimable| UsagePart { part, count, size, reclaimable };
    let kept = |kind: Part, part_of: banger_store::usage::Part| part(kind, part_of.count, part_of.bytes, 0);
    let mut parts = vec![
        kept(Part::Images, usage.images),
        kept(Part::Kernels, usage.kernels),
        part(Part::Leftovers, usage.leftovers.count, usage.leftovers.bytes, usage.leftovers.bytes),
    ];
    let everything = PruneRequest { dry_run: true, all: true };
    let safe = PruneRequest { dry_run: true, all: false };
    for (kind, find) in [
        (Part::Layers, layers as fn(&Engine, &PruneRequest) -> Result<Vec<PrunedItem>>),
        (Part::Downloads, downloads),
        (Part::Machines, machines),
    ] {
        let sum = |items: &[PrunedItem]| items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.size));
        let all = find(engine, &everything)?;
        parts.push(part(kind, all.len() as u64, sum(&all), sum(&find(engine, &safe)?)));
    }
    parts.sort_by_key(|part| part.part);
    Ok(Usage { parts })
}

/// Removes what nothing needs.
pub(super) fn prune(engine: &Engine, request: &PruneRequest) -> Result<Pruned> {
    let found = if request.dry_run { engine.store.leftovers() } else { engine.store.sweep() };
    let leftovers = found.map_err(|error| of_store(&error))?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut items: Vec<PrunedItem> = leftovers
        .iter()
        .map(|leftover| PrunedItem { part: Part::Leftovers, name: name(&leftover.path), size: leftover.bytes })
        .collect();
    items.extend(layers(engine, request)?);
    items.extend(downloads(engine, request)?);
    items.extend(machines(engine, request)?);
    items.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let freed = items.iter().fold(0, |sum: u64, item| sum.saturating_add(item.size));
    Ok(Pruned { items, freed })
}

/// The cache of layers, or what of it no image in it needs.
fn layers(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let path = engine.directories.layers().map_err(|error| of_config(&error))?;
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let removed = open_cache(&path)?.prune(request.all, request.dry_run, &mut || ());
    let removed = removed.map_err(|error| Problem::of(error.kind(), &error))?;
    let is_something = removed.blobs > 0 || removed.partials > 0 || !removed.images.is_empty();
    let item = || PrunedItem { part: Part::Layers, name: path.display().to_string(), size: removed.bytes };
    Ok(is_something.then(item).into_iter().collect())
}

/// Files from catalogs: those that are not complete, or all of them.
fn downloads(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    let downloads = Downloads::new(&engine.cache()?);
    let mut items = Vec::new();
    for kept in downloads.kept().map_err(|error| of_catalog(&error))? {
        let goes = !kept.in_use && (request.all || !kept.complete);
        if goes && (request.dry_run || downloads.remove(&kept).map_err(|error| of_catalog(&error))?) {
            items.push(PrunedItem { part: Part::Downloads, name: kept.sha256.to_string(), size: kept.size });
        }
    }
    Ok(items)
}

/// Machines that have ended, where everything is to go.
fn machines(engine: &Engine, request: &PruneRequest) -> Result<Vec<PrunedItem>> {
    if !request.all {
        return Ok(Vec::new());
    }
    let path = engine.directories.machines().map_err(|error| of_config(&error))?;
    let ended = directory::ended(&path, !request.dry_run).map_err(|error| Problem::of(ErrorKind::Other, &error))?;
    let item = |ended: directory::Ended| PrunedItem { part: Part::Machines, name: ended.id, size: ended.size };
    Ok(ended.into_iter().map(item).collect())
}
