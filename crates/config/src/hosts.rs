//! Names of registries and mirrors, as people write them.

use banger_oci::Reference;

/// A repository that every registry could have: it turns the name of a registry into a reference.
const ANY: &str = "any/repository";

/// A registry as references name it: a host, perhaps with a port.
///
/// # Errors
/// What is wrong with it, in words.
pub fn registry(text: &str) -> Result<String, String> {
    without_scheme(text)?;
    if text.contains('/') {
        return Err(format!("wanted a host, perhaps with a port, and no path: {:?}", host_of(text)));
    }
    let reference = Reference::parse(&format!("{text}/{ANY}"));
    let reference = reference.map_err(|_| format!("{text:?} cannot be the name of a registry"))?;
    // What is no domain would be a part of a name on Docker Hub.
    if reference.path() != ANY {
        return Err(format!(
            "{text:?} cannot be the name of a registry: that has a dot or a port, or is localhost, as in docker.io or {text}:5000"
        ));
    }
    Ok(reference.domain().to_owned())
}

/// A mirror: a registry, perhaps with a path that is put before the names of repositories.
///
/// # Errors
/// What is wrong with it, in words.
pub fn mirror(text: &str) -> Result<String, String> {
    without_scheme(text)?;
    let location = text.trim_end_matches('/');
    registry(host_of(location))?;
    match Reference::parse(&format!("{location}/{ANY}")) {
        Ok(_) => Ok(location.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn without_scheme(text: &str) -> Result<(), String> {
    match text.split_once("://") {
        Some((_, rest)) => Err(format!("wanted a host, perhaps with a port, and no scheme: {rest:?}")),
        None => Ok(()),
    }
}

fn host_of(location: &str) -> &str {
    location.split_once('/').map_or(location, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_domains_of_references() {
        for (text, domain) in [
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("localhost", "localhost"),
            ("localhost:5000", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("registry:5000", "registry:5000"),
        ] {
            assert_eq!(registry(text).as_deref(), Ok(domain));
        }
        for (text, said) in [
            ("", "cannot be the name"),
            ("registry", "has a dot or a port"),
            ("https://ghcr.io", "no scheme: \"ghcr.io\""),
            ("ghcr.io/owner", "no path: \"ghcr.io\""),
            ("a b.c", "cannot be the name"),
            ("host:port", "cannot be the name"),
        ] {
            let error = registry(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn mirrors_may_have_a_path() {
        for (text, location) in [
            ("mirror.example", "mirror.example"),
            ("mirror.example:5000/docker", "mirror.example:5000/docker"),
            ("mirror.example/a/b/", "mirror.example/a/b"),
        ] {
            assert_eq!(mirror(text).as_deref(), Ok(location));
        }
        for text in ["", "/", "mirror", "http://mirror.example", "mirror.example/a//b", "mirror.example/Docker"] {
            assert!(mirror(text).is_err(), "{text}");
        }
    }
}
