//! Catalogs, as the settings name them, and how their files are fetched.

use std::io::Read;
use std::sync::Arc;

use banger_api::catalog::{self, Offer};
use banger_api::registry::{PullPolicy, RegistryAccess};
use banger_api::{ErrorKind, Observer, Result};
use banger_catalog::Error;
use banger_catalog::document::What;
use banger_catalog::embedded;
use banger_catalog::fetch::{Answer, Fetch, FetchError};
use banger_catalog::lookup;
use banger_catalog::source::{self, CatalogSource, Context};
use banger_registry::Client;

use super::Engine;
use super::watching::warn;
use crate::access::Access;

/// What all catalogs offer.
pub(super) fn list(engine: &Engine, observer: &Arc<dyn Observer>) -> Result<Vec<Offer>> {
    let fetch = fetch(engine, &RegistryAccess::default(), observer)?;
    let cache = engine.cache()?;
    let listing =
        lookup::list(&sources(engine)?, &Context { fetch: &*fetch, cache: &cache, insecure: &insecure(engine)? });
    listing.warnings.into_iter().for_each(|warning| warn(observer, warning));
    let kernels = engine.store.kernels().map_err(|error| crate::problem::of_store(&error))?;
    let offer = |offer: source::Offer| {
        let url = offer.place.to_string();
        let size = offer.content().map(|content| content.size);
        let entry = offer.entry;
        let what = match entry.what {
            What::Image => catalog::What::Image,
            What::Kernel => catalog::What::Kernel,
        };
        // Debian's is called after its version here.
        let name = if entry.name == embedded::DEBIAN && offer.catalog == embedded::NAME {
            banger_kernel::import::name(entry.version.as_deref().unwrap_or_default())
        } else {
            entry.name.clone()
        };
        Offer {
            here: entry.what == What::Kernel && kernels.iter().any(|row| row.name == name),
            what,
            name: entry.name,
            distro: entry.distro,
            arch: entry.arch,
            kernel_ref: entry.kernel_ref,
            version: entry.version,
            url,
            size,
            description: entry.description,
            catalog: offer.catalog,
            signed: offer.signed,
        }
    };
    Ok(listing.offers.into_iter().map(offer).collect())
}

/// Looks for an image or a kernel in all catalogs.
pub(super) fn look_up(
    engine: &Engine,
    what: What,
    name: &str,
    architecture: &str,
    access: &RegistryAccess,
    observer: &Arc<dyn Observer>,
) -> std::result::Result<source::Offer, Error> {
    let setting = |problem: banger_api::Problem| Error::Setting {
        what: problem.message.clone(),
        reason: problem.causes.first().cloned().unwrap_or_default(),
    };
    let fetch = fetch(engine, access, observer).map_err(setting)?;
    let cache = engine.cache().map_err(setting)?;
    let insecure = insecure(engine).map_err(setting)?;
    let context = Context { fetch: &*fetch, cache: &cache, insecure: &insecure };
    let found = lookup::lookup(&sources(engine).map_err(setting)?, what, name, architecture, &context)?;
    found.warnings.into_iter().for_each(|warning| warn(observer, warning));
    Ok(found.offer)
}

fn sources(engine: &Engine) -> Result<Vec<CatalogSource>> {
    let source = |catalog: banger_config::Catalog| CatalogSource {
        location: catalog.location,
        keys: catalog.keys,
        require_signature: catalog.require_signature,
    };
    Ok(engine.settings()?.catalogs.into_iter().map(source).collect())
}

/// Hosts that may be asked without encryption.
fn insecure(engine: &Engine) -> Result<Vec<String>> {
    let hosts = engine.settings()?.registries.hosts;
    Ok(hosts.into_iter().filter(|(_, host)| host.insecure).map(|(name, _)| name).collect())
}

/// How the files of catalogs are fetched.
pub(super) fn fetch(engine: &Engine, access: &RegistryAccess, observer: &Arc<dyn Observer>) -> Result<Box<dyn Fetch>> {
    if access.pull == PullPolicy::Never {
        return Ok(Box::new(Offline));
    }
    let access = Access::requested(access, &engine.directories)?;
    Ok(Box::new(Http(access.client(&[], observer)?)))
}

/// Asks by HTTP.
struct Http(Client);

impl Fetch for Http {
    fn get(&self, url: &str, offset: u64) -> std::result::Result<Answer, FetchError> {
        let got = self.0.get(url, offset).map_err(|error| FetchError::new(error.kind(), error))?;
        let (offset, total) = (got.offset, got.total);
        let body: Box<dyn Read + Send> = Box::new(got.body);
        Ok(Answer { offset, total, body })
    }
}

/// Asks nobody.
struct Offline;

impl Fetch for Offline {
    fn get(&self, _url: &str, _offset: u64) -> std::result::Result<Answer, FetchError> {
        Err(FetchError::new(ErrorKind::Network, "nothing is to be downloaded"))
    }
}
