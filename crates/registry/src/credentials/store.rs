//! Login and logout: where credentials are kept, and how they are forgotten.
//!
//! A login is kept in the file that the user names, else in Docker's; a helper that this file names for the registry, or for
//! all, keeps the password instead, and the file an empty entry. A logout forgets a registry everywhere where a
//! [`Search`](super::Search) would look, namespaces of the registry included: afterwards nothing is sent there.

use std::fmt;
use std::path::{Path, PathBuf};

use super::disk;
use super::file::AuthFile;
use super::helper::Helpers;
use super::keys::{Scope, login_key, servers};
use super::search::{Environment, find_in, missing};
use crate::Error;

/// Keeps and forgets credentials.
#[derive(Debug)]
pub struct Store {
    /// Where credentials are looked for, in this order.
    files: Vec<PathBuf>,
    /// Where a login is kept.
    target: PathBuf,
    /// What names the only file, where one is named.
    named_by: Option<&'static str>,
    /// What the environment holds, which is asked before them.
    own: Option<AuthFile>,
    helpers: Helpers,
}

/// Where a credential is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file, where anybody can read it who can read the file.
    File(PathBuf),
    /// By a helper.
    Helper {
        /// The program.
        program: String,
        /// The file that names it.
        file: PathBuf,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Helper { program, file } => write!(f, "{program}, named by {}", file.display()),
        }
    }
}

/// What came of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it is kept.
    pub place: Place,
    /// A file, or the variable of the environment, that has something else for the same registry and is asked before:
    /// this login will not be used.
    pub hidden_by: Option<PathBuf>,
}

impl Store {
    /// Will work on `authfile`, or on the files that `environment` says.
    ///
    /// # Errors
    /// There is no place for a login: no file is named, and neither `DOCKER_CONFIG` nor `HOME` is set.
    pub fn new(authfile: Option<&Path>, environment: &Environment) -> Result<Self, Error> {
        let helpers = Helpers::new(environment.path());
        let own = environment.own(authfile).and_then(Result::ok);
        if let Some((path, by)) = environment.named(authfile) {
            return Ok(Self { files: vec![path.clone()], target: path, named_by: Some(by), own, helpers });
        }
        let target = environment.docker_file().ok_or_else(|| Error::Settings {
            what: "no place for credentials".to_owned(),
            reason: "HOME is not set, so there is no ~/.docker/config.json".to_owned(),
        })?;
        Ok(Self { files: environment.defaults(), target, named_by: None, own, helpers })
    }

    /// Keeps a user's password for a registry, which is named as [`registry`](super::registry) names it.
    ///
    /// # Errors
    /// The name cannot be part of a credential; the file cannot be understood or written; the helper fails.
    pub fn save(&self, registry: &str, username: &str, password: &str) -> Result<Stored, Error> {
        if username.is_empty() || username.contains([':', '\0', '\n']) {
            let reason = "a user's name is not empty and has no colon".to_owned();
            return Err(Error::Settings { what: format!("{username:?}"), reason });
        }
        let scope = Scope::of_name(registry, "");
        let key = login_key(registry);
        let file = match disk::read(&self.target)? {
            Some(file) => file,
            None => AuthFile::parse(&self.target, b"")?,
        };
        let helper = file.helper_of(&scope).or(file.store()).filter(|name| !name.is_empty());
        let place = match helper {
            Some(name) => {
                let helper = self.helpers.named(name, &self.target)?;
                helper.store(&key, username, password)?;
                disk::update(&self.target, |file| file.set_elsewhere(&scope, &key))?;
                Place::Helper { program: helper.program().to_owned(), file: self.target.clone() }
            }
            None => {
                disk::update(&self.target, |file| {
                    file.set(&scope, &key, username, password);
                    true
                })?;
                Place::File(self.target.clone())
            }
        };
        Ok(Stored { place, hidden_by: self.before_target(registry) })
    }

    /// Forgets a registry. Says what was forgotten: the name under which it was kept, and where.
    ///
    /// # Errors
    /// A file cannot be understood or written; a helper fails.
    pub fn erase(&self, registry: &str) -> Result<Vec<(String, Place)>, Error> {
        self.forget(&|scope| scope.shares_host(&Scope::of_name(registry, "")), &servers(registry))
    }

    /// The place that nothing can be removed from and that has something for a registry: a variable of the environment.
    pub fn stays_in(&self, registry: &str) -> Option<PathBuf> {
        let own = self.own.as_ref()?;
        matches!(find_in(own, &self.helpers, registry, ""), Ok(Some(_))).then(|| own.path().to_owned())
    }

    /// Forgets all registries that any of the files names. What helpers know besides stays.
    ///
    /// # Errors
    /// As those of [`Self::erase`].
    pub fn erase_all(&self) -> Result<Vec<(String, Place)>, Error> {
        self.forget(&|_| true, &[])
    }

    /// Forgets what is `meant`. Helpers for all are asked about `more` than the files name.
    fn forget(&self, meant: &dyn Fn(&Scope) -> bool, more: &[String]) -> Result<Vec<(String, Place)>, Error> {
        let mut forgotten = Vec::new();
        for path in &self.files {
            let Some(file) = disk::read(path)? else {
                match self.named_by {
                    Some(by) => return Err(missing(path, by)),
                    None => continue,
                }
            };
            self.forget_in(&file, meant, more, &mut forgotten)?;
        }
        Ok(forgotten)
    }

    fn forget_in(
        &self,
        file: &AuthFile,
        meant: &dyn Fn(&Scope) -> bool,
        more: &[String],
        forgotten: &mut Vec<(String, Place)>,
    ) -> Result<(), Error> {
        let is_meant = |key: &&str| meant(&Scope::of_key(key));
        let keys: Vec<String> = file.keys().filter(is_meant).map(str::to_owned).collect();

        // The helpers first: while the file still has its empty entries, a failure here can be tried again.
        for key in file.keys_with_helpers().filter(is_meant) {
            let scope = Scope::of_key(key);
            if let Some(name) = file.helper_of(&scope).filter(|name| scope.is_whole() && !name.is_empty()) {
                self.forget_by(file, name, &servers(scope.host()), forgotten)?;
            }
        }
        if let Some(name) = file.store() {
            let has_no_other = |key: &&String| {
                let scope = Scope::of_key(key);
                scope.is_whole() && file.helper_of(&scope).is_none()
            };
            let mut names: Vec<String> = keys.iter().chain(more).filter(has_no_other).cloned().collect();
            names.sort();
            names.dedup();
            self.forget_by(file, name, &names, forgotten)?;
        }

        for key in &keys {
            // An entry that cannot be understood is forgotten all the same.
            if !matches!(file.credential(key), Ok(None)) {
                forgotten.push((key.clone(), Place::File(file.path().to_owned())));
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        disk::update(file.path(), |file| {
            for key in &keys {
                file.remove(key);
            }
            true
        })
    }

    fn forget_by(
        &self,
        file: &AuthFile,
        name: &str,
        servers: &[String],
        forgotten: &mut Vec<(String, Place)>,
    ) -> Result<(), Error> {
        let helper = self.helpers.named(name, file.path())?;
        for server in servers {
            if helper.erase(server)? {
                let place = Place::Helper { program: helper.program().to_owned(), file: file.path().to_owned() };
                forgotten.push((server.clone(), place));
            }
        }
        Ok(())
    }

    /// The first file before the one where logins are kept that has something for a registry. What is wrong with one of
    /// them is said when something is pulled.
    fn before_target(&self, registry: &str) -> Option<PathBuf> {
        let before = self.files.iter().take_while(|path| **path != self.target);
        let has = |path: &&PathBuf| {
            let Ok(Some(file)) = disk::read(path) else { return false };
            matches!(find_in(&file, &self.helpers, registry, ""), Ok(Some(_)))
        };
        self.stays_in(registry).or_else(|| before.filter(has).map(PathBuf::clone).next())
    }
}
