//! The name that a pull gives: reserved before anything is downloaded, recorded with the request when all is done.

use banger_api::Result;
use banger_api::image::PullImage;
use banger_api::registry::RegistryAccess;
use banger_store::image::{Row, Staging};
use banger_store::{Reservation, Shared};

use crate::engine::Engine;
use crate::problem::of_store;

/// A reserved name, and the request that it is reserved for.
#[derive(Debug)]
pub(super) struct Naming {
    reservation: Reservation,
    /// As it is recorded, so that the same can be asked again.
    request: Option<String>,
}

impl Naming {
    /// Reserves the name. One that an image has is moved only where the request asks for that.
    pub(super) fn reserve(engine: &Engine, request: &PullImage, name: &str) -> banger_store::Result<Self> {
        let reservation =
            if request.replace { engine.store.reserve_replacing(name) } else { engine.store.reserve(name) };
        // The name may change, and how registries are spoken to has secrets in it.
        let lasting = PullImage { name: None, replace: false, registry: RegistryAccess::default(), ..request.clone() };
        Ok(Self { reservation: reservation?, request: serde_json::to_string(&lasting).ok() })
    }

    /// The name.
    pub(super) fn name(&self) -> &str {
        self.reservation.name()
    }

    /// The id that the name stands for until it is moved.
    pub(super) fn replaced(&self) -> Option<String> {
        self.reservation.replaced().map(str::to_owned)
    }

    /// Publishes an image that was made under the name.
    pub(super) fn publish(self, staging: Staging, row: Row) -> Result<Row> {
        let row = Row { request: self.request, ..row };
        staging.publish(self.reservation, &row).map_err(|error| of_store(&error))
    }

    /// Gives the name to an image that is here already.
    pub(super) fn share(self, engine: &Engine, shared: &Shared, row: Row) -> Result<Row> {
        let row = Row { request: self.request, ..row };
        engine.store.add_name(self.reservation, shared, &row).map_err(|error| of_store(&error))
    }
}
