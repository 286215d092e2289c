//! From options, settings and environment to registries.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use banger_oci::Reference;
use banger_oci::cache::Cache;
use banger_registry::credentials::{Credential, Credentials, Environment, Fixed, Search};
use banger_registry::{Client, Registry, Settings};

use crate::args::{HostOptions, Pull, RegistryOptions};
use crate::config;
use crate::directories;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::password;
use crate::progress::Shown;

impl From<Pull> for banger_registry::Pull {
    fn from(pull: Pull) -> Self {
        match pull {
            Pull::Always => Self::Always,
            Pull::Missing => Self::Missing,
            Pull::Never => Self::Never,
        }
    }
}

/// Opens the way to the registries of some references. `pull` is what holds unless something else is asked for; `layout` takes the
/// place of the cache.
pub(crate) fn open(
    options: &RegistryOptions,
    references: &[&Reference],
    pull: Pull,
    layout: Option<&Path>,
    progress: &Arc<Shown>,
) -> Result<Registry, Failure> {
    let mut settings = settings(&options.hosts)?;
    if options.jobs.is_some() {
        settings.jobs = options.jobs;
        settings.hosts.values_mut().for_each(|host| host.jobs = None);
    }
    check_certificates(&settings, references)?;
    let credentials = credentials(options, references)?;
    let progress: Arc<dyn banger_registry::Progress> = Arc::<Shown>::clone(progress);
    let client = Client::new(settings, credentials, Arc::clone(&progress)).map_err(|error| failure(&error))?;
    let cache = match layout {
        Some(layout) => open_cache(layout)?,
        None => open_cache(&directories::cache(&options.cache)?)?,
    };
    let pull = if options.offline { Pull::Never } else { options.pull.unwrap_or(pull) };
    Ok(Registry::new(Arc::new(client), cache, pull.into(), progress))
}

/// Opens a cache, and makes it where there is none.
pub(crate) fn open_cache(directory: &Path) -> Result<Cache, Failure> {
    Cache::open(directory)
        .map_err(|error| Failure::of(Exit::from(&error), &error).hint("--cache DIR chooses another directory"))
}

/// What the file says, and above it what the command line says.
pub(crate) fn settings(options: &HostOptions) -> Result<Settings, Failure> {
    let mut settings = config::load(options.config.as_deref())?;
    for host in &options.insecure {
        settings.hosts.entry(host.clone()).or_default().insecure = true;
    }
    settings.ca.extend(options.ca.iter().cloned());
    Ok(settings)
}

/// Files of certificates must be there, also where this time nothing depends on them: a host on a loopback address is trusted
/// anyway, and the slip would be noticed much later.
fn check_certificates(settings: &Settings, references: &[&Reference]) -> Result<(), Failure> {
    let hosts = references.iter().filter_map(|reference| settings.hosts.get(reference.domain()));
    for path in settings.ca.iter().chain(hosts.flat_map(|host| &host.ca)) {
        if let Err(error) = File::open(path) {
            let what = format!("the certificates {} cannot be read", path.display());
            return Err(Failure::new(Exit::Usage, what).because(&error));
        }
    }
    Ok(())
}

fn credentials(options: &RegistryOptions, references: &[&Reference]) -> Result<Arc<dyn Credentials>, Failure> {
    let Some(user) = &options.creds else {
        let search = Search::new(options.authfile.as_deref(), &Environment::of_process());
        return Ok(Arc::new(search));
    };
    let password = match &user.password {
        Some(password) => password.clone(),
        None => ask_password(&user.name)?,
    };
    let credential = Credential::Basic { username: user.name.clone(), password };
    let domains = references.iter().map(|reference| reference.domain().to_owned());
    Ok(Arc::new(Fixed::new(credential, domains)))
}

fn ask_password(user: &str) -> Result<String, Failure> {
    password::ask_password(&format!("Password of {user}: "))?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no password for {user} is given, and there is no terminal to ask on"))
            .hint("write --creds USER:PASSWORD, or use `banger login`")
    })
}

fn failure(error: &banger_registry::Error) -> Failure {
    let exit = match error.kind() {
        banger_oci::ErrorKind::Usage => Exit::Usage,
        _ => Exit::Other,
    };
    Failure::of(exit, error)
}
