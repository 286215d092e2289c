//! The way to registries, for one request.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::registry::{PullPolicy, RegistryAccess};
use banger_api::{ErrorKind, Observer, Problem, Result};
use banger_config::Directories;
use banger_oci::Reference;
use banger_oci::cache::Cache;
use banger_registry::credentials::{Credential, Credentials, Lapse};
use banger_registry::{Client, Error, Pull, Registry, Settings};

use crate::hints::Said;
use crate::problem::of_config;
use crate::progress::Telling;

/// The settings that hold for a request.
pub(crate) fn settings(request: &RegistryAccess, directories: &Directories) -> Result<banger_config::Settings> {
    let settings = banger_config::Settings::load(request.config.as_deref(), directories.config().as_deref());
    settings.map_err(|error| of_config(&error))
}

/// How registries are spoken to.
#[derive(Clone, Debug)]
pub struct Access {
    /// What is set for hosts.
    pub settings: Settings,
    /// Who asks.
    pub credentials: Arc<dyn Credentials>,
    /// When a registry is asked.
    pub pull: Pull,
    /// The cache.
    pub cache: PathBuf,
    /// What was said, as far as hints depend on it.
    pub said: Said,
}

impl Access {
    /// What a request says, on top of what is set.
    ///
    /// # Errors
    /// The settings cannot be read, or there is no place for the cache.
    pub fn requested(request: &RegistryAccess, directories: &Directories) -> Result<Self> {
        let mut settings = settings(request, directories)?.registries;
        settings.allow_insecure(&request.insecure);
        settings.ca.extend(request.ca.iter().cloned());
        settings.set_jobs(request.jobs.and_then(NonZeroUsize::new));
        let cache = match &request.cache {
            Some(cache) => cache.clone(),
            None => directories.layers().map_err(|error| of_config(&error))?,
        };
        let pull = match request.pull {
            PullPolicy::Always => Pull::Always,
            PullPolicy::Missing => Pull::Missing,
            PullPolicy::Never => Pull::Never,
        };
        let said = Said {
            offline: (pull == Pull::Never).then_some("--offline"),
            credentials: !request.credentials.is_empty(),
        };
        let credentials = Arc::new(Sent::new(request));
        Ok(Self { settings, credentials, pull, cache, said })
    }

    /// Opens the way to the registries of some references. `layout` takes the place of the cache.
    ///
    /// # Errors
    /// A file of certificates cannot be read, or there can be no cache.
    pub fn registry(
        &self,
        references: &[&Reference],
        layout: Option<&Path>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Registry> {
        let client = self.client(references, observer)?;
        let cache = open_cache(layout.unwrap_or(&self.cache))?;
        Ok(Registry::new(Arc::new(client), cache, self.pull, Arc::new(Telling::new(observer))))
    }

    /// What asks the registries of some references.
    ///
    /// # Errors
    /// A file of certificates, or a variable of the environment, is of no use.
    pub fn client(&self, references: &[&Reference], observer: &Arc<dyn Observer>) -> Result<Client> {
        self.check_certificates(references)?;
        let progress = Arc::new(Telling::new(observer));
        Client::new(self.settings.clone(), Arc::clone(&self.credentials), progress)
            .map_err(|error| Problem::of(error.kind(), &error))
    }

    /// Files of certificates must be there, also where this time nothing depends on them: a host on a loopback address is
    /// trusted anyway, and the slip would be noticed much later.
    fn check_certificates(&self, references: &[&Reference]) -> Result<()> {
        let hosts = references.iter().filter_map(|reference| self.settings.hosts.get(reference.domain()));
        for path in self.settings.ca.iter().chain(hosts.flat_map(|host| &host.ca)) {
            if let Err(error) = File::open(path) {
                let what = format!("the certificates {} cannot be read", path.display());
                return Err(Problem::new(ErrorKind::Usage, what).because(&error));
            }
        }
        Ok(())
    }
}

/// Opens a cache, and makes it where there is none.
///
/// # Errors
/// That cannot be done.
pub fn open_cache(directory: &Path) -> Result<Cache> {
    Cache::open(directory)
        .map_err(|error| Problem::of(error.kind(), &error).hint("--cache DIR chooses another directory"))
}

/// Credentials that came with a request, by the domain of the registry that they are for.
#[derive(Debug)]
struct Sent {
    credentials: BTreeMap<String, Credential>,
    lapses: BTreeMap<String, Lapse>,
}

impl Sent {
    fn new(request: &RegistryAccess) -> Self {
        let credential = |credential: &banger_api::registry::Credential| match credential.clone() {
            banger_api::registry::Credential::Basic { username, password } => Credential::Basic { username, password },
            banger_api::registry::Credential::Identity { token } => Credential::IdentityToken(token),
        };
        let credentials = request.credentials.iter().map(|(domain, sent)| (domain.clone(), credential(sent)));
        let lapses = request.lapses.iter().map(|(domain, sent)| {
            let banger_api::registry::Lapse { reason, hint } = sent.clone();
            (domain.clone(), Lapse { reason, hint })
        });
        Self { credentials: credentials.collect(), lapses: lapses.collect() }
    }
}

impl Credentials for Sent {
    fn find(&self, name: &Reference) -> std::result::Result<Option<Credential>, Error> {
        Ok(self.credentials.get(name.domain()).cloned())
    }

    fn lapse(&self, name: &Reference) -> Option<Lapse> {
        self.lapses.get(name.domain()).cloned()
    }
}
