//! Debian's `docker-registry`, the reference implementation, on a port of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::tls::Authority;
use crate::support::judge::ask;
use crate::support::{Run, scratch};

/// Who may pull where a password is asked for, in the form that `--creds` takes.
pub(crate) const CREDENTIALS: &str = "somebody:correct horse";

/// The same as `htpasswd -nB` has it: registries take bcrypt alone.
const HTPASSWD: &str = "somebody:$2y$05$e5o16AZUlqwnceXNFDurW.MW.aCjz6ezLoT.n2ZkIVQkQsMZvsQra";

/// How long the registry may need to start, and its log to be written.
const PATIENCE: Duration = Duration::from_secs(20);

/// A registry that is running. It ends when it goes out of scope, and everything in it.
pub(crate) struct Debian {
    child: Child,
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
    credentials: Option<&'static str>,
    /// Its configuration and all that it stores.
    _scratch: TempDir,
}

impl Debian {
    /// Plain HTTP, for everybody.
    pub(crate) fn plain() -> Self {
        Self::start(None, None)
    }

    /// Plain HTTP, for those who know the password.
    pub(crate) fn with_password() -> Self {
        Self::start(Some(CREDENTIALS), None)
    }

    /// HTTPS, for everybody who trusts this authority.
    pub(crate) fn with_tls(authority: &Authority) -> Self {
        Self::start(None, Some(authority))
    }

    fn start(credentials: Option<&'static str>, authority: Option<&Authority>) -> Self {
        let scratch = scratch();
        let path = |name: &str| scratch.path().join(name);
        let mut config = json!({
            "version": 0.1,
            "log": { "level": "info" },
            "storage": {
                "filesystem": { "rootdirectory": path("storage") },
                "maintenance": { "uploadpurging": { "enabled": false } },
            },
            "http": { "addr": "127.0.0.1:0", "secret": "of no importance" },
        });
        if credentials.is_some() {
            std::fs::write(path("htpasswd"), HTPASSWD).unwrap();
            config["auth"] = json!({ "htpasswd": { "realm": "the tests", "path": path("htpasswd") } });
        }
        if let Some(authority) = authority {
            config["http"]["tls"] = json!({ "certificate": authority.certificate(), "key": authority.key() });
        }
        // YAML takes JSON for what it is.
        std::fs::write(path("config.yml"), config.to_string()).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path("config.yml")).env_clear().env("OTEL_TRACES_EXPORTER", "none");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::default();
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        let mut registry = Self { child, port: 0, log, credentials, _scratch: scratch };
        let line = registry.wait_for_line(|line| line.contains("listening on 127.0.0.1:"));
        let (_, address) = line.split_once("listening on 127.0.0.1:").unwrap();
        registry.port = address.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        registry
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// An image here, as a reference has it.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// Copies an image of a layout to here, byte for byte, all of its platforms.
    #[track_caller]
    pub(crate) fn push(&self, layout: &Path, image: &str, name: &str) {
        let from = format!("oci:{}:{image}", layout.display());
        let to = format!("docker://{}", self.reference(name));
        // Without --preserve-digests skopeo compresses what is not compressed.
        let mut arguments = vec!["copy", "--quiet", "--insecure-policy", "--all", "--preserve-digests"];
        arguments.extend(["--dest-tls-verify=false"]);
        arguments.extend(self.credentials.iter().flat_map(|credentials| ["--dest-creds", credentials]));
        ask("skopeo", arguments.into_iter().chain([from.as_str(), to.as_str()])).ok();
    }

    /// What skopeo says about an image here.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str, options: &[&str]) -> Run {
        let image = format!("docker://{}", self.reference(name));
        let mut arguments = vec!["inspect", "--tls-verify=false"];
        arguments.extend(options);
        ask("skopeo", arguments.into_iter().chain([image.as_str()])).ok()
    }

    /// Requests that have been answered since `since` was the length of the log, as `METHOD PATH STATUS`.
    pub(crate) fn requests(&self, since: usize) -> Vec<String> {
        self.log.lock().unwrap()[since..].iter().filter_map(|line| access(line)).collect()
    }

    /// The length of the log, when everything that has been asked so far is in it.
    pub(crate) fn mark(&self) -> usize {
        static MARKS: Mutex<u32> = Mutex::new(0);
        let mark = {
            let mut marks = MARKS.lock().unwrap();
            *marks += 1;
            format!("mark-{marks}")
        };
        // Fails, as there is no such image; what counts is that it gets into the log.
        let image = format!("docker://{}", self.reference(&mark));
        let mut arguments = vec!["inspect", "--tls-verify=false", "--raw"];
        arguments.extend(self.credentials.iter().flat_map(|credentials| ["--creds", credentials]));
        let run = ask("skopeo", arguments.into_iter().chain([image.as_str()]));
        assert_ne!(run.code(), Some(0), "{run}");
        self.wait_for_line(|line| access(line).is_some_and(|request| request.contains(&mark)));
        self.log.lock().unwrap().len()
    }

    /// Digests of the blobs that have been asked for since a mark. Manifests are none, here.
    pub(crate) fn blobs(&self, since: usize) -> Vec<String> {
        self.mark();
        let requests = self.requests(since);
        let mut blobs: Vec<_> = requests
            .iter()
            .filter_map(|request| request.strip_prefix("GET ")?.split_once("/blobs/"))
            .map(|(_, rest)| rest.split(' ').next().unwrap().to_owned())
            .collect();
        blobs.sort();
        blobs
    }

    #[track_caller]
    fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let log = self.log.lock().unwrap();
            if let Some(line) = log.iter().rev().find(|line| wanted(line)) {
                return line.clone();
            }
            assert!(Instant::now() < end, "docker-registry has not said it: {log:#?}");
            drop(log);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what a program prints, line by line, for as long as it runs.
fn collect(output: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = log.clone();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            log.lock().unwrap().push(line);
        }
    });
}

/// A line of the access log (`… "GET /v2/ HTTP/1.1" 200 …`) as `GET /v2/ 200`.
fn access(line: &str) -> Option<String> {
    let mut parts = line.split('"');
    let (_, request, status) = (parts.next()?, parts.next()?, parts.next()?);
    let request = request.strip_suffix(" HTTP/1.1")?;
    Some(format!("{request} {}", status.split_whitespace().next()?))
}
