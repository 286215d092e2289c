//! `image.pull`: an image comes here, under a name.
//!
//! The order is fixed, so that what cannot succeed fails before it costs anything: what is wanted is understood and gets its
//! name; the name must be free; the kernel is chosen and checked; the files are put together where nobody sees them; they
//! appear at once, by one rename; then they are recorded. What is here already by the same id is not made again. A name that
//! is to be moved stays with the old image until the new one is recorded.
//!
//! - `find`: what the source stands for; `kernel`: which kernel the image gets
//! - `naming`: the name, and how it is recorded; `taken`: what is said of a name that an image has
//! - `build`, `bundle`, `artifact`: the three ways by which an image comes

mod artifact;
mod build;
mod bundle;
mod find;
pub(super) mod kernel;
mod naming;
mod taken;

use std::sync::Arc;

use banger_api::event::Step;
use banger_api::image::{Image, PullImage};
use banger_api::{ErrorKind, Observer, Problem, Result, time};
use banger_oci::Platform;
use banger_store::{Shared, image};

use self::find::Wanted;
use self::naming::Naming;
use super::Engine;
use super::rows;
use super::watching::step;
use crate::name;
use crate::problem::of_store;
use crate::source::Origin;

/// The name of the file with the config that an image came with, beside its root file system.
pub(super) const CONFIG: &str = "config.json";

/// Makes an image that is kept here.
pub(super) fn pull(engine: &Engine, request: &PullImage, observer: &Arc<dyn Observer>) -> Result<Image> {
    let platform = request.platform.as_deref().map(str::parse::<Platform>).transpose();
    let platform = platform.map_err(|error| Problem::of(ErrorKind::Usage, &error))?;
    build::init(&request.build)?;
    step(observer, Step::Resolve, &request.source);
    let wanted = find::find(engine, request, platform.as_ref(), observer)?;
    let name = name_of(request, &wanted)?;
    let naming = match Naming::reserve(engine, request, &name) {
        Err(banger_store::Error::NameTaken { .. }) => {
            return Err(taken::explain(engine, request, &wanted, platform.as_ref(), &name, observer));
        }
        reserved => reserved.map_err(|error| of_store(&error))?,
    };
    let replaced = naming.replaced();
    kernel::check_early(engine, &request.kernel, observer)?;
    let row = match &wanted {
        Wanted::Bundle(offer) => bundle::pull(engine, request, offer, naming, observer),
        Wanted::Image(origin) => build::pull(engine, request, origin, platform.as_ref(), naming, observer),
    }?;
    Ok(Image { replaced, ..rows::image(row) })
}

/// The name that the image is going to have, as far as that can be told without asking anybody: what is a name in no catalog
/// may be one in a registry.
pub(super) fn name(request: &PullImage) -> Option<String> {
    let is_plain = banger_catalog::name::is_name(&request.source);
    let derived = || Origin::parse(request.source.as_ref()).ok().and_then(|origin| name::derive(&origin));
    request.name.clone().or_else(|| if is_plain { None } else { derived() })
}

/// The name that the image is to have.
fn name_of(request: &PullImage, wanted: &Wanted) -> Result<String> {
    match (&request.name, wanted) {
        (Some(name), _) => Ok(name.clone()),
        (None, Wanted::Bundle(offer)) => Ok(offer.entry.name.clone()),
        (None, Wanted::Image(origin)) => name::derive(origin).ok_or_else(|| {
            Problem::new(ErrorKind::Usage, format!("no name can be made of {}", request.source))
                .hint("choose one with --name")
        }),
    }
}

/// Gives another name to files that are here already.
fn share(
    engine: &Engine,
    naming: Naming,
    shared: &Shared,
    source: &str,
    observer: &Arc<dyn Observer>,
) -> Result<image::Row> {
    step(observer, Step::Publish, naming.name());
    let known = engine.store.find(shared.key()).map_err(|error| of_store(&error))?;
    let row = image::Row { source: source.to_owned(), created: time::now(), ..known };
    naming.share(engine, shared, row)
}

/// Waits until whoever makes the same image is done with it, and says so once.
pub(super) fn stage(engine: &Engine, id: &str, observer: &Arc<dyn Observer>) -> Result<image::Stage> {
    let told = std::cell::Cell::new(false);
    let go_on = || {
        if !told.replace(true) {
            step(observer, Step::Wait, id);
        }
        !observer.is_cancelled()
    };
    engine.store.stage(id, &go_on).map_err(|error| of_store(&error))
}
