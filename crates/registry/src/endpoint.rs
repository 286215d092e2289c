//! Whom to ask for a repository: its mirrors in their order, then the registry itself; and what holds for each host.

use std::path::PathBuf;
use std::time::Duration;

use banger_oci::Reference;

use crate::error::Error;
use crate::settings::{DEFAULT_TIMEOUT, Mirror, Settings};
use crate::url::{Url, host_of, is_loopback};

/// The registry of short names, and the host that serves it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What holds for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Whether certificates need not be right, and plain HTTP will do.
    pub(crate) insecure: bool,
    /// Files with certificates of authorities that are trusted beside the system's.
    pub(crate) ca: Vec<PathBuf>,
    /// How long the host may be silent.
    pub(crate) timeout: Duration,
}

impl Site {
    /// What holds for a host of this name: a domain of the settings, or a host with a port.
    pub(crate) fn named(settings: &Settings, name: &str) -> Self {
        let host = settings.hosts.get(name);
        let mut ca = settings.ca.clone();
        ca.extend(host.into_iter().flat_map(|host| host.ca.iter().cloned()));
        Self {
            insecure: host.is_some_and(|host| host.insecure) || is_loopback(&host_of(name)),
            ca,
            timeout: host.map_or(DEFAULT_TIMEOUT, |host| host.timeout),
        }
    }

    /// What holds for the host of an address to which `self` has sent: a store of blobs, a token server. It is trusted
    /// with the same authorities, as both often belong to one installation.
    pub(crate) fn of_other(&self, settings: &Settings, url: &Url) -> Self {
        let authority = url.authority();
        let mut site = Self::named(settings, authority);
        site.ca.extend(self.ca.iter().filter(|file| !settings.ca.contains(file)).cloned());
        if !settings.hosts.contains_key(authority) {
            site.timeout = self.timeout;
        }
        site
    }
}

/// A registry, or a mirror of one, for one repository.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The host as messages show it.
    pub(crate) name: String,
    /// The host that is connected to, with its port where one is given.
    pub(crate) authority: String,
    /// The repository as this endpoint calls it.
    pub(crate) repository: String,
    /// Whether it stands in for another registry.
    pub(crate) is_mirror: bool,
    pub(crate) site: Site,
}

impl Endpoint {
    /// The registry itself.
    pub(crate) fn upstream(settings: &Settings, reference: &Reference) -> Self {
        let domain = reference.domain();
        let authority = if domain == DOCKER_HUB.0 { DOCKER_HUB.1 } else { domain };
        Self {
            name: domain.to_owned(),
            authority: authority.to_owned(),
            repository: reference.path().to_owned(),
            is_mirror: false,
            site: Site::named(settings, domain),
        }
    }

    /// The mirrors that may be asked, in their order.
    ///
    /// # Errors
    /// The place of one cannot be understood.
    pub(crate) fn mirrors(settings: &Settings, reference: &Reference, by_digest: bool) -> Result<Vec<Self>, Error> {
        let mirrors = settings.hosts.get(reference.domain()).map_or(&[] as &[_], |host| &host.mirrors);
        let allowed = mirrors.iter().filter(|mirror| by_digest || mirror.tags);
        allowed.map(|mirror| Self::mirror(settings, reference, mirror)).collect()
    }

    fn mirror(settings: &Settings, reference: &Reference, mirror: &Mirror) -> Result<Self, Error> {
        let location = mirror.location.trim_end_matches('/');
        let unusable = |reason: &str| Error::Settings {
            what: format!("mirror {location:?} of {}", reference.domain()),
            reason: reason.to_owned(),
        };
        let (authority, prefix) = location.split_once('/').unwrap_or((location, ""));
        // As a place of a repository: whatever could not be one makes no sense here either.
        let name = if prefix.is_empty() {
            format!("{authority}/{}", reference.path())
        } else {
            format!("{authority}/{prefix}/{}", reference.path())
        };
        let is_host = Url::parse(&format!("https://{authority}/")).is_ok_and(|url| url.authority() == authority);
        if !is_host || location.contains("://") {
            return Err(unusable("it is meant to be a host, perhaps with a port, perhaps with a path: host:5000/path"));
        }
        // A host without a dot would be taken for a path by the grammar of references, so it is put behind one.
        let Ok(checked) =
            Reference::parse(&format!("host.invalid/{}", name.split_once('/').map_or("", |(_, path)| path)))
        else {
            return Err(unusable("its path cannot be part of a repository's name"));
        };
        Ok(Self {
            name: authority.to_owned(),
            authority: authority.to_owned(),
            repository: checked.path().to_owned(),
            is_mirror: true,
            site: Site::named(settings, authority),
        })
    }

    /// The repository's name under which credentials for this endpoint are looked for. There is none for hosts whose names
    /// no reference can have.
    pub(crate) fn credentials_name(&self) -> Option<Reference> {
        let reference = Reference::parse(&format!("{}/{}", self.name, self.repository)).ok()?;
        // `mirror/x` is a repository of the default registry, whose credentials the mirror must not see.
        (reference.domain() == self.name).then_some(reference)
    }

    /// The path of something in the repository: `/v2/NAME/manifests/TAG`.
    pub(crate) fn path(&self, sort: &str, name: &str) -> String {
        format!("/v2/{}/{sort}/{name}", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Host;

    fn settings(mirrors: &[(&str, bool)]) -> Settings {
        let mirrors =
            mirrors.iter().map(|(location, tags)| Mirror { location: (*location).to_owned(), tags: *tags }).collect();
        let host = Host { mirrors, ca: vec!["hub.pem".into()], ..Host::default() };
        Settings { hosts: [("docker.io".to_owned(), host)].into(), jobs: None, ca: vec!["all.pem".into()] }
    }

    fn debian() -> Reference {
        Reference::parse("debian").expect("a reference")
    }

    #[test]
    fn docker_hub_is_served_by_another_host() {
        let endpoint = Endpoint::upstream(&settings(&[]), &debian());
        assert_eq!((endpoint.name.as_str(), endpoint.authority.as_str()), ("docker.io", "registry-1.docker.io"));
        assert_eq!(endpoint.path("manifests", "latest"), "/v2/library/debian/manifests/latest");
        assert_eq!(endpoint.site.ca, [PathBuf::from("all.pem"), PathBuf::from("hub.pem")]);
        assert!(!endpoint.site.insecure);
    }

    #[test]
    fn mirrors_have_a_path_of_their_own() {
        let settings = settings(&[("m.example:5000/docker/", true), ("mirror", false), ("[::1]:5/x", false)]);
        let mirrors = Endpoint::mirrors(&settings, &debian(), true).expect("mirrors");
        let paths: Vec<_> = mirrors.iter().map(|m| format!("{} {}", m.authority, m.path("blobs", "x"))).collect();
        assert_eq!(
            paths,
            [
                "m.example:5000 /v2/docker/library/debian/blobs/x",
                "mirror /v2/library/debian/blobs/x",
                "[::1]:5 /v2/x/library/debian/blobs/x"
            ]
        );
        let names: Vec<_> = mirrors.iter().map(|m| m.credentials_name().map(|name| name.name())).collect();
        assert_eq!(
            names,
            [
                Some("m.example:5000/docker/library/debian".to_owned()),
                // Not docker.io/mirror/…: its credentials are not the mirror's.
                None,
                Some("[::1]:5/x/library/debian".to_owned())
            ]
        );
        assert_eq!(mirrors.iter().map(|m| m.site.insecure).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(Endpoint::mirrors(&settings, &debian(), false).expect("mirrors").len(), 1);
    }

    #[test]
    fn places_that_make_no_sense_are_refused() {
        for location in
            ["https://m.example", "u:p@m.example", "", "m.example/../x", "m.example/A", "m.example:x/y", "a b"]
        {
            let error = Endpoint::mirrors(&settings(&[(location, true)]), &debian(), true).expect_err(location);
            assert!(matches!(error, Error::Settings { .. }), "{error}");
        }
    }

    #[test]
    fn hosts_that_a_registry_sends_to_share_its_authorities_only() {
        let mut settings = settings(&[]);
        let insecure = Host { insecure: true, timeout: Duration::from_secs(7), ..Host::default() };
        settings.hosts.insert("plain.example:80".to_owned(), insecure);
        let site = Site { insecure: true, ca: vec!["own.pem".into()], timeout: Duration::from_secs(3) };
        let other = |url: &str| site.of_other(&settings, &Url::parse(url).expect("an address"));
        let blobs = other("https://blobs.example/x");
        assert_eq!(blobs.ca, [PathBuf::from("all.pem"), PathBuf::from("own.pem")]);
        assert_eq!((blobs.insecure, blobs.timeout), (false, Duration::from_secs(3)));
        let plain = other("http://plain.example:80/x");
        assert_eq!((plain.insecure, plain.timeout), (true, Duration::from_secs(7)));
        assert!(other("http://127.0.0.1:1/").insecure);
    }
}
