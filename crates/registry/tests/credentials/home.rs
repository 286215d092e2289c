//! A home directory with files of credentials and a helper program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use banger_oci::Reference;
use banger_registry::Error;
use banger_registry::credentials::{Credential, Credentials, Environment, Search, Store};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Keeps what it is told to, a file for each server, and writes down what it was asked.
const HELPER: &str = r#"#!/bin/sh
kept=$(dirname "$0")/../kept
mkdir -p "$kept"
input=$(cat)
case $1 in
store) server=$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/') ;;
*) server=$input ;;
esac
echo "$1 $server" >> "$kept.log"
file=$kept/$(printf %s "$server" | tr / _)
case $1 in
store) printf %s "$input" > "$file" ;;
get) cat "$file" 2>&- || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm "$file" ;;
esac
"#;

/// Docker's file below a home.
pub(crate) const DOCKER: &str = ".docker/config.json";

/// Podman's.
pub(crate) const PODMAN: &str = ".config/containers/auth.json";

/// A home, with everything that the environment could say pointing into it.
pub(crate) struct Home {
    directory: TempDir,
    pub(crate) environment: Environment,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(directory.path().join(name).into_os_string());
        let environment = Environment { home: path(""), path: path("bin"), ..Environment::default() };
        Self { directory, environment }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Puts the helper on the PATH, as `docker-credential-NAME`.
    ///
    /// Another process writes it: if this one did, a child that another test starts meanwhile would hold it open for
    /// writing, and it could not be run.
    pub(crate) fn helper(&self, name: &str) {
        std::fs::create_dir_all(self.path("bin")).unwrap();
        let program = self.path(&format!("bin/docker-credential-{name}"));
        let mut install = Command::new("install");
        let mut install = install.args(["-m", "755", "/dev/stdin"]).arg(program).stdin(Stdio::piped()).spawn().unwrap();
        install.stdin.take().unwrap().write_all(HELPER.as_bytes()).unwrap();
        assert!(install.wait().unwrap().success());
    }

    /// Makes the helper keep something.
    pub(crate) fn keep(&self, server: &str, username: &str, secret: &str) {
        let kept = json!({ "ServerURL": server, "Username": username, "Secret": secret });
        self.write(&format!("kept/{}", server.replace('/', "_")), kept.to_string());
    }

    /// What the helper was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("kept.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn store(&self, authfile: Option<&Path>) -> Store {
        Store::new(authfile, &self.environment).unwrap()
    }

    pub(crate) fn search(&self) -> Search {
        Search::new(None, &self.environment)
    }

    /// The user whose credential is found for a name; the password is what the tests give that user.
    #[track_caller]
    pub(crate) fn user(&self, name: &str) -> Option<String> {
        user(&self.search(), name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The user whose credential is found.
pub(crate) fn user(search: &Search, name: &str) -> Result<Option<String>, Error> {
    Ok(search.find(&Reference::parse(name).unwrap())?.map(|credential| match credential {
        Credential::Basic { username, .. } => username,
        Credential::IdentityToken(token) => format!("token {token}"),
    }))
}

/// `USER:secret` as files have it.
pub(crate) fn auth(user: &str) -> Value {
    json!({ "auth": STANDARD.encode(format!("{user}:secret")) })
}

/// A file with one entry.
pub(crate) fn file(key: &str, user: &str) -> String {
    json!({ "auths": { key: auth(user) } }).to_string()
}
