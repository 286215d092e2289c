//! What SOURCE stands for: something in a catalog, in a registry, or on this machine.

use std::sync::Arc;

use banger_api::image::PullImage;
use banger_api::{Observer, Result};
use banger_catalog::address::Place;
use banger_catalog::document::What;
use banger_catalog::error::Error;
use banger_catalog::name::is_name;
use banger_catalog::source::Offer;
use banger_oci::Platform;

use crate::engine::Engine;
use crate::engine::catalogs;
use crate::engine::watching::warn;
use crate::problem::of_catalog;
use crate::source::Origin;

/// Where an image is to come from.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A bundle that a catalog offers.
    Bundle(Box<Offer>),
    /// An image with layers, or an artifact, in a registry or on this machine.
    Image(Origin),
}

/// Finds it. Catalogs come before registries: a plain name is looked up there first.
pub(super) fn find(
    engine: &Engine,
    request: &PullImage,
    platform: Option<&Platform>,
    observer: &Arc<dyn Observer>,
) -> Result<Wanted> {
    let text = request.source.as_str();
    if is_name(text) {
        let host = Platform::host();
        let architecture = platform.unwrap_or(&host).architecture();
        match catalogs::look_up(engine, What::Image, text, architecture, &request.registry, observer) {
            Ok(offer) if matches!(offer.place, Place::Builtin(_)) => return Ok(Wanted::Image(Origin::Demo)),
            Ok(offer) => return Ok(Wanted::Bundle(Box::new(offer))),
            Err(Error::NotFound(missing)) => {
                missing.warnings.iter().for_each(|warning| warn(observer, warning));
            }
            Err(error) => return Err(of_catalog(&error)),
        }
    }
    Origin::parse(text.as_ref()).map(Wanted::Image)
}
