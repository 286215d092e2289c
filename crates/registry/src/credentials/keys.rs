//! Which keys of a file of credentials are meant for which names.
//!
//! Docker's keys are hosts (`ghcr.io`, `localhost:5000`), some of them dressed up as addresses
//! (`https://index.docker.io/v1/`); Podman's can go on with a namespace or a whole repository (`quay.io/team/app`). A
//! [`Scope`] is what is left of either: a host and perhaps the beginning of a repository's name. Of several that cover a
//! name the longest is meant; boundaries are slashes.
//!
//! Docker Hub has a handful of names. All of them are [`HUB`] here.

use banger_oci::Reference;

use crate::Error;

/// Docker Hub as references name it.
pub(super) const HUB: &str = "docker.io";

/// Other names of it that are found in files.
const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// The key that Docker itself uses for Docker Hub: the address of an interface that is long gone.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// What a key covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The registry: a host, perhaps with a port, in lower case.
    host: String,
    /// The beginning of the names of repositories, in whole components; empty for all of the registry.
    path: String,
}

impl Scope {
    /// What a key of a file covers.
    pub(super) fn of_key(key: &str) -> Self {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
        let (host, path) = match bare.unwrap_or(key).split_once('/') {
            // The path of an address is no namespace: everybody means the host.
            Some((host, _)) if bare.is_some() => (host, ""),
            Some((host, path)) => (host, path.trim_end_matches('/')),
            None => (bare.unwrap_or(key), ""),
        };
        let host = host_name(host);
        let is_interface = host == HUB && matches!(path, "v1" | "v2");
        Self { host, path: if is_interface { String::new() } else { path.to_owned() } }
    }

    /// A repository, or all of a registry where the path is empty.
    pub(super) fn of_name(domain: &str, path: &str) -> Self {
        Self { host: host_name(domain), path: path.to_owned() }
    }

    /// The registry.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether this is for all of a registry.
    pub(super) fn is_whole(&self) -> bool {
        self.path.is_empty()
    }

    /// Whether both are of one registry.
    pub(super) fn shares_host(&self, other: &Self) -> bool {
        self.host == other.host
    }

    fn covers(&self, name: &Self) -> bool {
        let rest = name.path.strip_prefix(&self.path);
        self.host == name.host && rest.is_some_and(|rest| self.is_whole() || rest.is_empty() || rest.starts_with('/'))
    }
}

/// The keys that cover a name, the one that is meant most closely first.
pub(super) fn matching<'a>(keys: impl Iterator<Item = &'a str>, name: &Scope) -> Vec<&'a str> {
    let mut found: Vec<(Scope, &str)> =
        keys.map(|key| (Scope::of_key(key), key)).filter(|(scope, _)| scope.covers(name)).collect();
    // Of two spellings of the same, the plain one is meant: that is how Podman chooses.
    found.sort_by_key(|(scope, key)| (std::cmp::Reverse(scope.path.len()), !key.starts_with(&scope.host)));
    found.into_iter().map(|(_, key)| key).collect()
}

/// The key under which a login is kept, in files and by helpers: Docker's, which Podman understands too.
pub(super) fn login_key(domain: &str) -> String {
    if domain == HUB { HUB_SERVER.to_owned() } else { domain.to_owned() }
}

/// What a helper may know a registry by, in the order in which to ask.
pub(super) fn servers(domain: &str) -> Vec<String> {
    let host = host_name(domain);
    if host == HUB { vec![HUB_SERVER.to_owned(), host] } else { vec![domain.to_owned()] }
}

/// The registry that the user means: a host as references have it, also where an address was given.
///
/// # Errors
/// No reference could have this host.
pub fn registry(text: &str) -> Result<String, Error> {
    let wrong = |reason: &str| Error::Settings { what: format!("{text:?}"), reason: reason.to_owned() };
    let scope = Scope::of_key(text);
    if !scope.is_whole() {
        return Err(wrong("credentials are kept for a whole registry: give its host alone"));
    }
    match Reference::parse(&format!("{}/x", scope.host)) {
        Ok(name) if name.domain() == scope.host => Ok(scope.host),
        // A single word would be the first part of a name on Docker Hub.
        Ok(_) => Err(wrong("it cannot be told from a name on Docker Hub: the host of a registry has a dot or a port")),
        Err(_) => Err(wrong("this is no host of a registry, such as ghcr.io or localhost:5000")),
    }
}

/// A host in the form that is compared.
fn host_name(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if HUB_ALIASES.contains(&host.as_str()) { HUB.to_owned() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lose_what_programs_write_around_them() {
        for (key, host, path) in [
            ("ghcr.io", "ghcr.io", ""),
            ("GHCR.io/", "ghcr.io", ""),
            ("https://ghcr.io", "ghcr.io", ""),
            ("http://localhost:5000/v2/", "localhost:5000", ""),
            ("https://quay.io/team", "quay.io", ""),
            ("quay.io/team/app", "quay.io", "team/app"),
            ("quay.io/team/", "quay.io", "team"),
            ("quay.io/v1", "quay.io", "v1"),
            ("docker.io", HUB, ""),
            ("index.docker.io", HUB, ""),
            ("index.docker.io/v1/", HUB, ""),
            ("https://index.docker.io/v1/", HUB, ""),
            ("https://index.docker.io/v2/", HUB, ""),
            ("https://registry-1.docker.io", HUB, ""),
            ("registry-1.docker.io/library", HUB, "library"),
            ("[::1]:5000/x", "[::1]:5000", "x"),
            ("", "", ""),
            ("https://", "", ""),
        ] {
            assert_eq!(Scope::of_key(key), Scope { host: host.to_owned(), path: path.to_owned() }, "{key}");
        }
    }

    #[test]
    fn the_longest_key_is_meant() {
        let keys = ["q.io/a/b/c", "q.io/a/b", "q.io/a", "https://q.io/v1/", "q.io", "q.io/ab", "docker.io"];
        for (path, expected) in [
            ("a/b/c", &["q.io/a/b/c", "q.io/a/b", "q.io/a", "q.io", "https://q.io/v1/"][..]),
            ("a/b/c/d", &["q.io/a/b/c", "q.io/a/b", "q.io/a", "q.io", "https://q.io/v1/"]),
            ("a/bc", &["q.io/a", "q.io", "https://q.io/v1/"]),
            ("ab/c", &["q.io/ab", "q.io", "https://q.io/v1/"]),
            ("abc", &["q.io", "https://q.io/v1/"]),
            ("", &["q.io", "https://q.io/v1/"]),
        ] {
            assert_eq!(matching(keys.into_iter(), &Scope::of_name("q.io", path)), expected, "{path}");
        }
        assert_eq!(matching(keys.into_iter(), &Scope::of_name("q.io:443", "a")), Vec::<&str>::new());
    }

    #[test]
    fn docker_hub_has_several_names() {
        for key in ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            let found = matching([key, "q.io"].into_iter(), &Scope::of_name(HUB, "library/debian"));
            assert_eq!(found, [key]);
            let found = matching([key].into_iter(), &Scope::of_name("registry-1.docker.io", "library/debian"));
            assert_eq!(found, [key]);
        }
    }

    #[test]
    fn registries_are_named_by_host() {
        for (text, expected) in [
            ("docker.io", HUB),
            ("https://index.docker.io/v1/", HUB),
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/", "ghcr.io"),
            ("localhost", "localhost"),
            ("localhost:5000", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(registry(text).unwrap(), expected, "{text}");
        }
        for text in
            ["", "/", "https://", "a b", "ghcr", "quay.io/team", "-x.io", "x.io:port", "user@x.io", "../x", "a\nb.c"]
        {
            let error = registry(text).expect_err(text).to_string();
            assert!(error.starts_with('"') && !error.contains('\n'), "{error}");
        }
    }
}
