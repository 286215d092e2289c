//! Debian's `docker-registry`, the programs that judge what is in it, and a client of ours.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use banger_oci::Reference;
use banger_registry::credentials::{Credential, Credentials};
use banger_registry::{Client, Error, Progress, Settings, Silent};
use tempfile::TempDir;

/// Who may push where a password is asked for.
pub(crate) const USER: (&str, &str) = ("somebody", "correct horse");

/// The same as `htpasswd -nB` has it.
const HTPASSWD: &str = "somebody:$2y$05$e5o16AZUlqwnceXNFDurW.MW.aCjz6ezLoT.n2ZkIVQkQsMZvsQra";

/// Whether programs are there that judge. Where judges are required, a missing one fails the test.
pub(crate) fn judges(test: &str, programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let Some(missing) = programs.iter().find(is_missing) else { return true };
    let required =
        std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|how| how == "required");
    assert!(!required, "{test}: {missing} is missing");
    eprintln!("SKIPPED {test}: {missing} is missing");
    false
}

/// Runs a judge, which must be content, and gives what it says.
#[track_caller]
pub(crate) fn ask(judge: &str, arguments: &[&str]) -> String {
    let output = Command::new(judge).args(arguments).output().unwrap();
    assert!(output.status.success(), "{judge} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A registry that is running, on a port of its own.
pub(crate) struct Registry {
    child: Child,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl Registry {
    pub(crate) fn open() -> Self {
        Self::start("")
    }

    pub(crate) fn with_password() -> Self {
        Self::start(r#","auth":{"htpasswd":{"realm":"the tests","path":"DIRECTORY/htpasswd"}}"#)
    }

    fn start(auth: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            r#"{{"version":0.1,"log":{{"level":"info"}},
                "storage":{{"filesystem":{{"rootdirectory":"DIRECTORY/storage"}},
                "maintenance":{{"uploadpurging":{{"enabled":false}}}}}},
                "http":{{"addr":"127.0.0.1:0","secret":"of no importance"}}{auth}}}"#
        )
        .replace("DIRECTORY", directory.path().to_str().unwrap());
        std::fs::write(directory.path().join("htpasswd"), HTPASSWD).unwrap();
        // YAML takes JSON for what it is.
        let path = directory.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).env_clear().env("OTEL_TRACES_EXPORTER", "none");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = loop {
            let line = log.next().expect("docker-registry has not begun to listen").unwrap();
            if let Some((_, address)) = line.split_once("listening on 127.0.0.1:") {
                break address.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
            }
        };
        // Its log goes on, and must not fill the pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, port, _directory: directory }
    }

    pub(crate) fn reference(&self, name: &str) -> Reference {
        reference(self.port, name)
    }

    /// As skopeo has it.
    pub(crate) fn docker(&self, name: &str) -> String {
        format!("docker://127.0.0.1:{}/{name}", self.port)
    }

    /// Copies an image into a layout, byte for byte, where it is called `latest`.
    pub(crate) fn copy(&self, name: &str, layout: &Path) {
        let to = format!("oci:{}:latest", layout.display());
        let arguments = ["copy", "--quiet", "--insecure-policy", "--preserve-digests", "--src-tls-verify=false"];
        ask("skopeo", &[arguments.as_slice(), &[&self.docker(name), &to]].concat());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn reference(port: u16, name: &str) -> Reference {
    Reference::parse(&format!("127.0.0.1:{port}/{name}")).unwrap()
}

/// A client without a password, or with one.
pub(crate) fn client(password: Option<&str>) -> Arc<Client> {
    watched(password, Arc::new(Silent))
}

pub(crate) fn watched(password: Option<&str>, progress: Arc<dyn Progress>) -> Arc<Client> {
    let credential =
        password.map(|password| Credential::Basic { username: USER.0.to_owned(), password: password.to_owned() });
    Arc::new(Client::new(Settings::default(), Arc::new(Same(credential)), progress).unwrap())
}

/// The same for all registries, or none.
#[derive(Debug)]
struct Same(Option<Credential>);

impl Credentials for Same {
    fn find(&self, _name: &Reference) -> Result<Option<Credential>, Error> {
        Ok(self.0.clone())
    }
}
