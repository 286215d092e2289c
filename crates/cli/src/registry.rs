//! From options, settings and environment to registries.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_config::Directories;
use banger_oci::Reference;
use banger_operations::access::Access;
use banger_operations::hints::Said;
use banger_registry::Settings;
use banger_registry::credentials::{Credential, Credentials, Environment, Fixed, Search};

use crate::args::{HostOptions, Pull, RegistryOptions};
use crate::directories;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::say;
use crate::password;
use crate::values::User;

impl From<Pull> for banger_registry::Pull {
    fn from(pull: Pull) -> Self {
        match pull {
            Pull::Always => Self::Always,
            Pull::Missing => Self::Missing,
            Pull::Never => Self::Never,
        }
    }
}

/// How to speak to the registries of some references. `pull` is what holds unless something else is asked for.
pub(crate) fn access(options: &RegistryOptions, references: &[&Reference], pull: Pull) -> Result<Access, Failure> {
    let mut settings = settings(&options.hosts)?;
    settings.set_jobs(options.jobs);
    let pull = if options.offline { Pull::Never } else { options.pull.unwrap_or(pull) };
    Ok(Access {
        settings,
        credentials: credentials(options, references)?,
        pull: pull.into(),
        cache: cache(options)?,
        said: said(options),
    })
}

fn cache(options: &RegistryOptions) -> Result<PathBuf, Failure> {
    directories::cache(&options.cache)
}

/// What was said of registries, as far as hints depend on it.
pub(crate) fn said(options: &RegistryOptions) -> Said {
    let offline = match options.pull {
        _ if options.offline => Some("--offline"),
        Some(Pull::Never) => Some("--pull never"),
        _ => None,
    };
    Said { offline, credentials: options.creds.is_some() }
}

/// The largest window of zstd that layers may have, where one is set.
///
/// A user who has another one's home (`setpriv`, `sudo -u`) may not read the settings there, and needs none for a source on this
/// machine; for one in a registry they are read again, and that is an error.
pub(crate) fn zstd_window(options: &RegistryOptions) -> Result<Option<u64>, Failure> {
    let named = options.hosts.config.as_deref();
    match banger_config::Settings::load(named, Directories::of_process(None)?.config().as_deref()) {
        Ok(settings) => Ok(settings.zstd_window),
        Err(banger_config::Error::Read { source, .. })
            if named.is_none() && source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the file says, and above it what the command line says.
pub(crate) fn settings(options: &HostOptions) -> Result<Settings, Failure> {
    let mut settings = directories::settings(options.config.as_deref())?.registries;
    settings.allow_insecure(&options.insecure);
    settings.ca.extend(options.ca.iter().cloned());
    Ok(settings)
}

/// Who asks the registries of some references.
pub(crate) fn credentials(
    options: &RegistryOptions,
    references: &[&Reference],
) -> Result<Arc<dyn Credentials>, Failure> {
    Who { creds: options.creds.as_ref(), authfile: options.authfile.as_deref() }.credentials(references)
}

/// What the command line says of who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) creds: Option<&'a User>,
    pub(crate) authfile: Option<&'a Path>,
}

impl Who<'_> {
    /// Who asks the registries of some references.
    pub(crate) fn credentials(self, references: &[&Reference]) -> Result<Arc<dyn Credentials>, Failure> {
        let Some(user) = self.creds else {
            return Ok(Arc::new(Search::new(self.authfile, &Environment::of_process())));
        };
        let password = match &user.password {
            Some(password) => password.clone(),
            None => ask_password(&user.name)?,
        };
        let credential = Credential::Basic { username: user.name.clone(), password };
        let domains = references.iter().map(|reference| reference.domain().to_owned());
        Ok(Arc::new(Fixed::new(credential, domains)))
    }
}

/// Says so where credentials were given and no registry was asked: whether they are right is not known then.
pub(crate) fn say_unasked(options: &RegistryOptions, hosts: &[String]) {
    if options.creds.is_some() && hosts.is_empty() {
        let again = if options.offline { "" } else { "; --pull always asks one" };
        say(&format!("no registry was asked, so --creds was not used: everything was here already{again}"));
    }
}

fn ask_password(user: &str) -> Result<String, Failure> {
    password::ask_password(&format!("Password of {user}: "))?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no password for {user} is given, and there is no terminal to ask on"))
            .hint("write --creds USER:PASSWORD, or use `banger login`")
    })
}
