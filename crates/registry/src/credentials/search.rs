//! Where credentials are looked for, and in which order.
//!
//! A file that the user names (`--authfile`, else `REGISTRY_AUTH_FILE`) is the only one, as it is for Podman and skopeo; it
//! must be there. Otherwise, of those that are there:
//!
//! 1. `$XDG_RUNTIME_DIR/containers/auth.json`
//! 2. `$XDG_CONFIG_HOME/containers/auth.json`, which is `~/.config/containers/auth.json`
//! 3. `$DOCKER_CONFIG/config.json`, which is `~/.docker/config.json`
//!
//! Before all of them but `--authfile` comes the variable `DOCKER_AUTH_CONFIG`, whose value is the content of such a file:
//! Docker's command line and GitLab's runners take it so. What it does not know is looked for in the files.
//!
//! The first place that has something for a name decides. Within a file a helper for the registry is asked, and then nobody
//! else; without one, the entry of `auths` whose key is the longest; without that, the helper for all.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use banger_oci::Reference;

use super::file::AuthFile;
use super::helper::Helpers;
use super::keys::{Scope, servers};
use super::{Credential, Credentials, Lapse, disk};
use crate::Error;
use crate::lock::lock;

/// How long an answer is used again. A helper may take a second, and each layer asks; but what it gives may be for an hour
/// only.
const FRESH: Duration = Duration::from_secs(300);

/// The variable that holds credentials itself.
pub(super) const DOCKER_AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// The value of a variable that is not shown.
#[derive(Clone)]
pub struct Secret(OsString);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<OsString>) -> Self {
        Self(value.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The environment variables that say where credentials are.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `HOME`
    pub home: Option<OsString>,
    /// `REGISTRY_AUTH_FILE`
    pub registry_auth_file: Option<OsString>,
    /// `XDG_RUNTIME_DIR`
    pub xdg_runtime_dir: Option<OsString>,
    /// `XDG_CONFIG_HOME`
    pub xdg_config_home: Option<OsString>,
    /// `DOCKER_CONFIG`
    pub docker_config: Option<OsString>,
    /// `DOCKER_AUTH_CONFIG`: a secret
    pub docker_auth_config: Option<Secret>,
    /// `PATH`, where helpers are found
    pub path: Option<OsString>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        // A variable that is set to nothing is one that is not set.
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            home: variable("HOME"),
            registry_auth_file: variable("REGISTRY_AUTH_FILE"),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR"),
            xdg_config_home: variable("XDG_CONFIG_HOME"),
            docker_config: variable("DOCKER_CONFIG"),
            docker_auth_config: variable(DOCKER_AUTH_CONFIG).map(Secret),
            path: variable("PATH"),
        }
    }

    /// The file that is named by the user, and by what.
    pub(super) fn named(&self, authfile: Option<&Path>) -> Option<(PathBuf, &'static str)> {
        let from_flag = authfile.map(|path| (path.to_owned(), "--authfile"));
        from_flag.or_else(|| Some((self.registry_auth_file.as_ref()?.into(), "REGISTRY_AUTH_FILE")))
    }

    /// The files that may be there, in the order in which they are asked.
    pub(super) fn defaults(&self) -> Vec<PathBuf> {
        // By the XDG specification, relative directories are to be ignored.
        let xdg = |value: &Option<OsString>| value.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
        let runtime = xdg(&self.xdg_runtime_dir);
        let config = xdg(&self.xdg_config_home).or_else(|| Some(Path::new(self.home.as_ref()?).join(".config")));
        let podman = runtime.into_iter().chain(config).map(|directory| directory.join("containers/auth.json"));
        podman.chain(self.docker_file()).collect()
    }

    /// Docker's file.
    pub(super) fn docker_file(&self) -> Option<PathBuf> {
        let directory = match &self.docker_config {
            Some(directory) => PathBuf::from(directory),
            None => Path::new(self.home.as_ref()?).join(".docker"),
        };
        Some(directory.join("config.json"))
    }

    /// What the environment itself holds, where it holds something. `authfile` is the only place where it is given.
    pub(super) fn own(&self, authfile: Option<&Path>) -> Option<Result<AuthFile, Error>> {
        let Secret(content) = self.docker_auth_config.as_ref().filter(|_| authfile.is_none())?;
        Some(AuthFile::parse(Path::new(DOCKER_AUTH_CONFIG), content.as_encoded_bytes()))
    }

    pub(super) fn path(&self) -> Option<&OsStr> {
        self.path.as_deref()
    }
}

/// Finds credentials in files and by helpers.
#[derive(Debug)]
pub struct Search {
    /// What the environment holds.
    own: Option<Result<AuthFile, Lapse>>,
    files: Vec<PathBuf>,
    /// What names the only file, where one is named.
    named_by: Option<&'static str>,
    helpers: Helpers,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Files that have been read, in order. Each is read once: it might be a pipe.
    read: Vec<Option<AuthFile>>,
    /// What has been found for names of repositories, and when.
    found: HashMap<String, (Instant, Option<Credential>)>,
    /// What could not be asked for names of repositories.
    lapses: HashMap<String, Lapse>,
}

impl Search {
    /// Will look where `environment` says, or only in `authfile`. Nothing is read before something is looked for.
    pub fn new(authfile: Option<&Path>, environment: &Environment) -> Self {
        let (files, named_by) = match environment.named(authfile) {
            Some((path, by)) => (vec![path], Some(by)),
            None => (environment.defaults(), None),
        };
        let own = environment.own(authfile).map(|own| own.map_err(|error| Lapse::of(&error)));
        Self { own, files, named_by, helpers: Helpers::new(environment.path()), state: Mutex::default() }
    }

    /// Looks in each place in its order. What keeps one from answering is noted, the first of such reasons, and the next
    /// one is asked.
    fn search(
        &self,
        read: &mut Vec<Option<AuthFile>>,
        name: &Reference,
        lapse: &mut Option<Lapse>,
    ) -> Result<Option<Credential>, Error> {
        let find = |file: &AuthFile| find_in(file, &self.helpers, name.domain(), name.path());
        match &self.own {
            Some(Ok(file)) => match find(file) {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                Err(error) => *lapse = Some(Lapse::of(&error)),
            },
            Some(Err(reason)) => *lapse = Some(reason.clone()),
            None => {}
        }
        for (index, path) in self.files.iter().enumerate() {
            if read.len() <= index {
                let file = disk::read(path)?;
                if let (None, Some(by)) = (&file, self.named_by) {
                    return Err(missing(path, by));
                }
                read.push(file);
            }
            let Some(Some(file)) = read.get(index) else { continue };
            match find(file) {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                Err(error @ Error::Helper { .. }) => *lapse = lapse.take().or_else(|| Some(Lapse::of(&error))),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Credentials for Search {
    fn find(&self, name: &Reference) -> Result<Option<Credential>, Error> {
        // The lock is held while a helper runs: whoever wants the same waits for the one answer.
        let mut state = lock(&self.state);
        let key = name.name();
        if let Some((when, credential)) = state.found.get(&key)
            && when.elapsed() < FRESH
        {
            return Ok(credential.clone());
        }
        let mut lapse = None;
        let credential = self.search(&mut state.read, name, &mut lapse)?;
        match lapse.filter(|_| credential.is_none()) {
            Some(lapse) => drop(state.lapses.insert(key.clone(), lapse)),
            None => drop(state.lapses.remove(&key)),
        }
        state.found.insert(key, (Instant::now(), credential.clone()));
        Ok(credential)
    }

    fn lapse(&self, name: &Reference) -> Option<Lapse> {
        lock(&self.state).lapses.get(&name.name()).cloned()
    }
}

/// The error of a file that the user names and that is not there.
pub(super) fn missing(path: &Path, named_by: &str) -> Error {
    let reason = format!("there is no such file, but {named_by} names it");
    Error::Settings { what: path.display().to_string(), reason }
}

/// What one file, or a helper that it names, has for a repository; or for a whole registry, where the path is empty.
pub(super) fn find_in(
    file: &AuthFile,
    helpers: &Helpers,
    domain: &str,
    path: &str,
) -> Result<Option<Credential>, Error> {
    let scope = Scope::of_name(domain, path);
    let helper = file.helper_of(&scope);
    if let Some(name) = helper.filter(|name| !name.is_empty()) {
        return ask(file, helpers, name, servers(domain));
    }
    let keys = file.keys_for(&scope);
    for key in &keys {
        if let Some(credential) = file.credential(key)? {
            return Ok(Some(credential));
        }
    }
    match file.store() {
        Some(name) if helper.is_none() => {
            // Docker leaves an empty entry for what it has given to the helper, under the name that it has used there.
            let mut names: Vec<String> =
                keys.iter().filter(|key| Scope::of_key(key).is_whole()).map(|key| (*key).to_owned()).collect();
            for server in servers(domain) {
                if !names.contains(&server) {
                    names.push(server);
                }
            }
            ask(file, helpers, name, names)
        }
        _ => Ok(None),
    }
}

/// What a helper has for a registry by any of its names.
fn ask(file: &AuthFile, helpers: &Helpers, name: &str, servers: Vec<String>) -> Result<Option<Credential>, Error> {
    let helper = helpers.named(name, file.path())?;
    for server in servers {
        if let Some(credential) = helper.get(&server)? {
            return Ok(Some(credential));
        }
    }
    Ok(None)
}
