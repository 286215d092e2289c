//! Somebody who pulls: with a home directory, and a cache at its usual place in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha512};
use tempfile::TempDir;

use crate::args;
use crate::support::judge;
use crate::support::layout::sha256;
use crate::support::program::PROGRAM;
use crate::support::scratch::names;
use crate::support::{Run, scratch};

/// Seconds after which a pull has hung. The images here are small, and all waits that are asked for are short.
const LIMIT: &str = "60";

/// A home directory, and what is set in the environment.
pub(crate) struct User {
    scratch: TempDir,
    environment: Vec<(String, String)>,
}

impl User {
    pub(crate) fn new() -> Self {
        let user = Self { scratch: scratch(), environment: Vec::new() };
        std::fs::create_dir(user.home()).unwrap();
        user
    }

    /// Somebody in whose environment this is set.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Somebody who must go through this proxy to reach anything.
    pub(crate) fn behind(self, proxy: &super::Proxy) -> Self {
        self.with("HTTP_PROXY", proxy.url()).with("HTTPS_PROXY", proxy.url())
    }

    /// A place to write to, outside of the home directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where images are cached unless something else is said.
    pub(crate) fn cache(&self) -> PathBuf {
        self.home().join(".cache/banger/oci")
    }

    /// Writes a file below the home directory.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, config: &str) {
        self.write(".config/banger/config.toml", config);
    }

    /// The program, in this user's environment and no other.
    pub(crate) fn command(&self) -> Command {
        let mut command = timeout();
        command.arg(PROGRAM);
        self.surround(&mut command);
        command
    }

    /// The program itself, for those who want to send it a signal.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        self.surround(&mut command);
        command
    }

    /// The program, with no more than this many bytes of memory.
    pub(crate) fn command_within(&self, bytes: u64) -> Command {
        let mut command = timeout();
        // Private writable memory, which is what an allocator takes; what it has reserved is not counted.
        command.arg(judge::find("prlimit").unwrap()).args([&format!("--data={bytes}"), PROGRAM]);
        self.surround(&mut command);
        command
    }

    /// The program, run by another one: its path, and its own arguments.
    pub(crate) fn command_by<S: AsRef<OsStr>>(&self, by: impl IntoIterator<Item = S>) -> Command {
        let mut command = timeout();
        command.args(by).arg(PROGRAM);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.env_clear().env("HOME", self.home()).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Runs the program.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command().args(arguments))
    }

    /// Builds into a file of this name, which is replaced if it is there.
    pub(crate) fn build(&self, source: &str, name: &str, options: &[&str]) -> Run {
        let arguments = args!["build", source, "-o", self.path(name), "--force", "--no-sync"];
        Run::of(self.command().args(arguments).args(options))
    }

    /// Fetches into the cache.
    pub(crate) fn fetch(&self, reference: &str, options: &[&str]) -> Run {
        Run::of(self.command().args(["fetch", reference]).args(options))
    }
}

/// Kills what it runs when that has hung.
fn timeout() -> Command {
    // By its path: a user's PATH may have other things in it.
    let mut command = Command::new(judge::find("timeout").unwrap());
    command.args(["--signal=KILL", LIMIT]);
    command
}

/// Nothing bad is visible in a cache.
#[track_caller]
pub(crate) fn assert_sound(cache: &Path) {
    if let Err(reason) = soundness(cache) {
        panic!("{}: {reason}", cache.display());
    }
}

/// Whether nothing bad is visible in a cache: each blob is what its name says, and each name stands for a whole image.
pub(crate) fn soundness(cache: &Path) -> Result<(), String> {
    if !cache.exists() {
        return Ok(());
    }
    let is_known = |name: &str| matches!(name, "blobs" | "index.json" | "ingest" | "oci-layout");
    if let Some(unknown) = names(cache).iter().find(|name| !is_known(name)) {
        return Err(format!("{unknown} does not belong there"));
    }
    let mut blobs = BTreeSet::new();
    // A cache whose maker was stopped in its first moment has none yet.
    let algorithms = if cache.join("blobs").exists() { names(&cache.join("blobs")) } else { Vec::new() };
    for algorithm in algorithms {
        for name in names(&cache.join("blobs").join(&algorithm)) {
            let bytes = std::fs::read(cache.join("blobs").join(&algorithm).join(&name)).unwrap();
            let found = match &*algorithm {
                "sha256" => sha256(&bytes),
                "sha512" => Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
                other => return Err(format!("there are blobs of {other}")),
            };
            if found != name {
                return Err(format!("blob {algorithm}:{name} is not what its name says"));
            }
            blobs.insert(format!("{algorithm}:{name}"));
        }
    }
    for image in images(cache) {
        let digest = image["digest"].as_str().unwrap();
        if !blobs.contains(digest) {
            return Err(format!("{image} is named and not there"));
        }
        let document = document(cache, digest);
        // Of an index, what was not asked for is not there.
        let layers = document["layers"].as_array().into_iter().flatten();
        for blob in document.get("config").into_iter().chain(layers) {
            if !blobs.contains(blob["digest"].as_str().unwrap()) {
                return Err(format!("{blob} of {image} is not there"));
            }
        }
    }
    Ok(())
}

/// Entries of a layout's index. A cache whose maker was killed in its first moment has none yet.
pub(crate) fn images(layout: &Path) -> Vec<Value> {
    let index = match std::fs::read(layout.join("index.json")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        index => index.unwrap(),
    };
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

/// A document in a layout.
pub(crate) fn document(layout: &Path, digest: &str) -> Value {
    serde_json::from_slice(&std::fs::read(blob_path(layout, digest)).unwrap()).unwrap()
}

/// Where a layout has a blob.
pub(crate) fn blob_path(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Blobs that a cache holds, sorted: digests.
pub(crate) fn blobs(cache: &Path) -> Vec<String> {
    let directory = cache.join("blobs/sha256");
    if !directory.exists() {
        return Vec::new();
    }
    names(&directory).into_iter().map(|name| format!("sha256:{name}")).collect()
}
