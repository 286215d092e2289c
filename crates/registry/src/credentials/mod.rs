//! Who asks: credentials for registries, from the files of Docker and Podman and from their helper programs.
//!
//! - [`Credentials`]: what the client asks; [`Fixed`] and [`Search`] answer
//! - [`Store`]: login and logout
//! - [`Environment`]: the variables that all of this depends on, read in one place
//!
//! Below them: `file` knows the format, `disk` reads and replaces files, `keys` says which entries are meant for a name,
//! `helper` runs the programs.
//!
//! Two rules hold everywhere. A file that is there but cannot be understood is an error that names it: it is never taken
//! for one without credentials, since "not authorised" would be the answer to a question nobody asked. And a secret is
//! never part of an error or of what `{:?}` shows.
//!
//! A helper that fails and a variable that cannot be understood are no errors, but [`Lapse`]s, as they are for docker
//! and skopeo: most images need no credentials, and those that do fail with the lapse as the reason.

mod disk;
mod file;
mod helper;
mod keys;
mod search;
mod store;

use std::collections::BTreeSet;
use std::fmt;

use banger_oci::Reference;

pub use keys::registry;
pub use search::{Environment, Search, Secret};
pub use store::{Place, Store, Stored};

use crate::Error;

/// What a registry, or the server that gives out its tokens, is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// An identity token, which OAuth2 calls a refresh token: it is exchanged for tokens at the registry's token server.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => f.debug_struct("Basic").field("username", username).finish_non_exhaustive(),
            Self::IdentityToken(_) => f.debug_tuple("IdentityToken").finish_non_exhaustive(),
        }
    }
}

/// Knows which credential is meant for which name.
pub trait Credentials: fmt::Debug + Send + Sync {
    /// The credential for a repository, if there is one. The tag and the digest of the name do not matter.
    ///
    /// # Errors
    /// A file cannot be read or understood.
    fn find(&self, name: &Reference) -> Result<Option<Credential>, Error>;

    /// Why there may be a credential that [`Self::find`] did not get; asked after it has found none.
    fn lapse(&self, _name: &Reference) -> Option<Lapse> {
        None
    }
}

/// A place that could have a credential and could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// What failed, on what, why; never what was secret about it.
    pub reason: String,
    /// What can be done about it.
    pub hint: String,
}

impl Lapse {
    /// What an error says about a place; the remedy is to mend that place or to go round it.
    pub(crate) fn of(error: &Error) -> Self {
        let hint = match error {
            Error::Helper { program, file, .. } => {
                format!("repair {program} or take it out of {file}; --creds USER:PASSWORD needs neither")
            }
            _ => "repair it or unset it; --creds USER:PASSWORD needs no file".to_owned(),
        };
        Self { reason: error.to_string(), hint }
    }
}

/// One credential that the user has given, for the registries that the user has named: never for a mirror of theirs.
#[derive(Clone, Debug)]
pub struct Fixed {
    credential: Credential,
    domains: BTreeSet<String>,
}

impl Fixed {
    /// A credential for some registries, which are named as [`Reference::domain`] names them.
    pub fn new(credential: Credential, domains: impl IntoIterator<Item = String>) -> Self {
        Self { credential, domains: domains.into_iter().collect() }
    }
}

impl Credentials for Fixed {
    fn find(&self, name: &Reference) -> Result<Option<Credential>, Error> {
        Ok(self.domains.contains(name.domain()).then(|| self.credential.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let basic = Credential::Basic { username: "anna".to_owned(), password: "hunter2".to_owned() };
        let token = Credential::IdentityToken("hunter2".to_owned());
        let fixed = Fixed::new(basic.clone(), ["a.example".to_owned()]);
        for shown in [format!("{basic:?}"), format!("{token:#?}"), format!("{fixed:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(format!("{basic:?}").contains("anna"));
    }

    #[test]
    fn a_credential_from_the_command_line_goes_nowhere_else() {
        let credential = Credential::IdentityToken("t".to_owned());
        let fixed = Fixed::new(credential.clone(), ["a.example".to_owned()]);
        let find = |name: &str| fixed.find(&Reference::parse(name).unwrap()).unwrap();
        assert_eq!(find("a.example/x"), Some(credential));
        assert_eq!(find("mirror.example/a.example/x"), None);
        assert_eq!(find("debian"), None);
    }
}
