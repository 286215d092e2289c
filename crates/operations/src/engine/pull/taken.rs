//! What is said when an image has the name already: where that came from, and whether it is what the source stands for now.

use std::sync::Arc;

use banger_api::image::PullImage;
use banger_api::{Observer, Problem, Result};
use banger_catalog::source::Offer;
use banger_oci::Platform;
use banger_store::image::Row;
use banger_store::{Error, What};

use super::build;
use super::find::Wanted;
use crate::engine::Engine;
use crate::key::{self, Rootfs};
use crate::problem::of_store;
use crate::source::{DEMO, Origin};

/// Why the name is refused. Asks the registry what the reference means now.
pub(super) fn explain(
    engine: &Engine,
    request: &PullImage,
    wanted: &Wanted,
    platform: Option<&Platform>,
    name: &str,
    observer: &Arc<dyn Observer>,
) -> Problem {
    let mut problem = of_store(&Error::NameTaken { what: What::Image, name: name.to_owned() });
    let row = match engine.store.find(name) {
        Ok(row) => row,
        // It was removed in this moment.
        Err(error) => return of_store(&error),
    };
    let found = match wanted {
        Wanted::Image(origin) => image(engine, request, origin, platform, &row, observer),
        Wanted::Bundle(offer) => bundle(engine, offer, &row),
    };
    match found {
        Ok(found) => {
            problem.causes.push(found.words);
            let command = match &request.name {
                Some(name) => format!("banger pull {} --name {name} --replace", request.source),
                None => format!("banger pull {} --replace", request.source),
            };
            let hint = if found.is_same {
                format!("start it with `banger run {name}`; with other options or another kernel: {command}")
            } else {
                format!("move the name to what the source stands for now: {command}")
            };
            problem.hints.insert(0, hint);
        }
        Err(error) => {
            problem.causes.push(format!("cannot tell whether it is up to date: {}", error.message));
            problem.causes.extend(error.causes);
        }
    }
    problem
}

/// What was found out.
struct Found {
    words: String,
    is_same: bool,
}

impl Found {
    fn same(what: &str, digest: &str) -> Self {
        Self { words: format!("it is up to date: {what} still is {digest}"), is_same: true }
    }

    fn other(words: String) -> Self {
        Self { words, is_same: false }
    }
}

fn image(
    engine: &Engine,
    request: &PullImage,
    origin: &Origin,
    platform: Option<&Platform>,
    row: &Row,
    observer: &Arc<dyn Observer>,
) -> Result<Found> {
    let what = match origin {
        Origin::Local(source) => source.to_string(),
        Origin::Registry(reference) => reference.to_string(),
        Origin::Demo => DEMO.to_owned(),
    };
    let now = build::digest(engine, request, origin, platform, observer)?;
    Ok(match (now, &row.digest) {
        (Some(now), Some(here)) if now == *here => Found::same(&what, here),
        (Some(now), Some(here)) if row.source == what => {
            Found::other(format!("{what} means another image now: {now}; the one here is {here}"))
        }
        _ if row.source != what => Found::other(format!("it came from {}, not from {what}", row.source)),
        _ => Found::other(format!("{what} has no digest that tells whether it has changed")),
    })
}

/// A bundle is told by its bytes, which the id of the image depends on.
fn bundle(engine: &Engine, offer: &Offer, row: &Row) -> Result<Found> {
    let what = offer.place.to_string();
    let Some(content) = offer.content() else { return Ok(Found::other(format!("{what} has no file"))) };
    let sha256 = content.sha256.hex();
    let mut kernels = vec![row.kernel.as_ref().map(|kernel| kernel.digest.clone())];
    if let Some(name) = row.kernel.as_ref().and_then(|kernel| kernel.name.as_deref()) {
        // The digest of the kernel as it was chosen: without an initramfs that was made for it.
        let kept = engine.store.kernel(name).map_err(|error| of_store(&error))?;
        kernels.extend(kept.map(|(kept, _)| Some(kept.digest)));
    }
    let is_same = kernels.iter().any(|kernel| key::id(Rootfs::Bundle { sha256: &sha256 }, kernel.as_deref()) == row.id);
    Ok(match is_same {
        true => Found::same(&what, &content.sha256.to_string()),
        false if row.source != what => Found::other(format!("it came from {}, not from {what}", row.source)),
        false => Found::other(format!("{what} is another bundle now, or its kernel is another one")),
    })
}
