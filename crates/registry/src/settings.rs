//! What can be set for registries, by host.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Blobs that are fetched at the same time from one registry, unless something else is asked for.
pub const DEFAULT_JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// How long a server may be silent, unless something else is asked for.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of all registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// By the domain that references have: a host, perhaps with a port (`docker.io`, `localhost:5000`).
    pub hosts: BTreeMap<String, Host>,
    /// Blobs that are fetched at the same time, for registries that have no number of their own.
    pub jobs: Option<NonZeroUsize>,
    /// Files with certificates (PEM) of authorities that are trusted beside the system's, for all hosts.
    pub ca: Vec<PathBuf>,
}

impl Settings {
    /// Has these hosts spoken to without certificates, or without encryption.
    pub fn allow_insecure(&mut self, hosts: &[String]) {
        for host in hosts {
            self.hosts.entry(host.clone()).or_default().insecure = true;
        }
    }

    /// Sets how many blobs are fetched at the same time, also where a registry has a number of its own.
    pub fn set_jobs(&mut self, jobs: Option<NonZeroUsize>) {
        if jobs.is_some() {
            self.jobs = jobs;
            self.hosts.values_mut().for_each(|host| host.jobs = None);
        }
    }
}

/// The settings of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where to ask first, in this order; the registry itself comes last.
    pub mirrors: Vec<Mirror>,
    /// Files with certificates (PEM) of authorities that are trusted beside the system's.
    pub ca: Vec<PathBuf>,
    /// Whether certificates need not be right, and plain HTTP will do. Hosts on loopback addresses are so anyway.
    pub insecure: bool,
    /// Blobs that are fetched at the same time.
    pub jobs: Option<NonZeroUsize>,
    /// How long the server may be silent.
    pub timeout: Duration,
}

impl Default for Host {
    fn default() -> Self {
        Self { mirrors: Vec::new(), ca: Vec::new(), insecure: false, jobs: None, timeout: DEFAULT_TIMEOUT }
    }
}

/// Another registry that holds the same repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// A host, perhaps with a port, perhaps with a path that is put before the names of repositories
    /// (`mirror.example:5000/docker`).
    pub location: String,
    /// Whether it may say which image a tag means. A mirror that may not is asked for content by digest only.
    pub tags: bool,
}
