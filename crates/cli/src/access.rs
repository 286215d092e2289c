//! From options, settings and environment to what a request says of registries: whoever does the work may have another
//! directory, other files of credentials, and no terminal to ask for a password on.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use banger_api::registry::{Credential, Lapse, PullPolicy, RegistryAccess};
use banger_oci::Reference;
use banger_registry::credentials::{self, Credentials};

use crate::args::{Pull, RegistryOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::image::absolute;
use crate::output::say;
use crate::registry;

/// What is said of registries. `reference` is what they are asked for, if it is known; unless `is_sure`, what is typed may mean
/// something that no registry is asked for.
pub(crate) fn requested(
    options: &RegistryOptions,
    reference: Option<&Reference>,
    is_sure: bool,
) -> Result<RegistryAccess, Failure> {
    let path = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let pull = if options.offline { Some(Pull::Never) } else { options.pull };
    let (credentials, lapses) = match (reference, pull) {
        (Some(reference), Some(Pull::Always | Pull::Missing) | None) => credentials(options, reference, is_sure)?,
        _ => Default::default(),
    };
    Ok(RegistryAccess {
        pull: match pull {
            None | Some(Pull::Always) => PullPolicy::Always,
            Some(Pull::Missing) => PullPolicy::Missing,
            Some(Pull::Never) => PullPolicy::Never,
        },
        jobs: options.jobs.map(NonZeroUsize::get),
        credentials,
        lapses,
        insecure: options.hosts.insecure.clone(),
        ca: options.hosts.ca.iter().map(|file| absolute(file)).collect::<Result<_, _>>()?,
        config: path(&options.hosts.config)?,
        cache: path(&options.cache.directory)?,
    })
}

/// Credentials, and what kept some from being found, by the registry's domain.
type Found = (BTreeMap<String, Credential>, BTreeMap<String, Lapse>);

/// Who asks: the registry itself, and each of its mirrors.
fn credentials(options: &RegistryOptions, reference: &Reference, is_sure: bool) -> Result<Found, Failure> {
    let settings = registry::settings(&options.hosts)?;
    let source = registry::credentials(options, &[reference])?;
    let mirrors = settings.hosts.get(reference.domain()).into_iter().flat_map(|host| &host.mirrors);
    let mirrored =
        mirrors.filter_map(|mirror| Reference::parse(&format!("{}/{}", mirror.location, reference.path())).ok());
    let (mut found, mut lapses) = (BTreeMap::new(), BTreeMap::new());
    for name in [reference.clone()].into_iter().chain(mirrored) {
        match find(&*source, &name) {
            Ok(Some(credential)) => drop(found.insert(name.domain().to_owned(), credential)),
            Ok(None) => {
                let lapse = source.lapse(&name).map(|lapse| Lapse { reason: lapse.reason, hint: lapse.hint });
                lapses.extend(lapse.map(|lapse| (name.domain().to_owned(), lapse)));
            }
            Err(failure) if is_sure => return Err(failure),
            // It may be a catalog that has it, which wants to know nothing.
            Err(failure) => say(&format!("warning: nobody is named to {}: {}", name.domain(), failure.message())),
        }
    }
    Ok((found, lapses))
}

fn find(source: &dyn Credentials, name: &Reference) -> Result<Option<Credential>, Failure> {
    let found = source.find(name).map_err(|error| {
        let error = banger_oci::Error::from(error);
        Failure::of(Exit::from(&error), &error)
    })?;
    Ok(found.map(|credential| match credential {
        credentials::Credential::Basic { username, password } => Credential::Basic { username, password },
        credentials::Credential::IdentityToken(token) => Credential::Identity { token },
    }))
}
