//! Authorisation, driven by the server's challenge.
//!
//! - [`challenge`]: what the server says that it wants
//! - `token`: what a token server is asked, and what it answers
//! - `cache`: what was got, by host and repository, until it ends
//!
//! The first request of a repository is made without anything. What the server answers says whether a name and a password
//! are wanted (Basic) or a token (Bearer), and where the token comes from. A realm is an address that a server made up, and
//! secrets are sent to it: it must be https, or plain http only where registry and realm are insecure both.

pub(crate) mod cache;
pub mod challenge;
pub(crate) mod token;

use std::fmt;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::url::{Scheme, Url};
use crate::words::shown;
use challenge::Challenge;

/// What a server wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A name and a password.
    Basic,
    /// A token.
    Bearer(Realm),
}

/// Where a token comes from, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm {
    pub(crate) url: Url,
    pub(crate) service: Option<String>,
    pub(crate) scopes: Vec<String>,
}

/// What is shown to a server.
#[derive(Clone)]
pub(crate) struct Grant {
    /// The value of the header `Authorization`.
    header: String,
    pub(crate) wanted: Wanted,
    pub(crate) obtained: Instant,
    /// When it ends by itself.
    pub(crate) until: Option<Instant>,
    /// Counts the grants of one repository.
    serial: u64,
    /// What must never be shown, besides the header.
    hidden: Vec<String>,
}

impl Grant {
    pub(crate) fn basic(username: &str, password: &str, now: Instant) -> Self {
        let hidden = vec![password.to_owned()];
        let header = basic(username, password);
        Self { header, wanted: Wanted::Basic, obtained: now, until: None, serial: 0, hidden }
    }

    pub(crate) fn bearer(token: &str, realm: Realm, now: Instant, until: Option<Instant>) -> Self {
        let header = format!("Bearer {token}");
        Self { header, wanted: Wanted::Bearer(realm), obtained: now, until, serial: 0, hidden: Vec::new() }
    }

    /// The value of the header `Authorization`: a secret.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// What must never be shown.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        secrets(&self.header).chain(self.hidden.iter().map(String::as_str)).collect()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// What is secret of the value of a header `Authorization`: all but the scheme.
pub(crate) fn secrets(header: &str) -> impl Iterator<Item = &str> {
    header.split_once(' ').map(|(_, secret)| secret).into_iter()
}

/// A name and a password as the header `Authorization` has them.
pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

/// Chooses what to answer to the challenges of `headers`: a token before a password. `scope` is what a token is for where
/// the server does not say it.
///
/// # Errors
/// Why there is nothing to choose, in words that follow "the answer cannot be used: ".
pub(crate) fn choose<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    scope: &str,
    may_be_plain: impl Fn(&Url) -> bool,
) -> Result<Wanted, String> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut problem = None;
    for header in headers {
        match challenge::parse(&String::from_utf8_lossy(header)) {
            Ok(parsed) => challenges.extend(parsed),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    if let Some(bearer) = challenges.iter().find(|challenge| challenge.is("Bearer")) {
        return realm(bearer, scope, may_be_plain).map(Wanted::Bearer);
    }
    if challenges.iter().any(|challenge| challenge.is("Basic")) {
        return Ok(Wanted::Basic);
    }
    match (problem, challenges.first()) {
        (Some(problem), _) => Err(format!("it wants to know who asks, but not how it wants to be told: {problem}")),
        (None, Some(other)) => {
            Err(format!("it wants to know who asks by {:?}; Basic and Bearer are known", shown(&other.scheme)))
        }
        (None, None) => Err("it wants to know who asks, but does not say how it wants to be told".to_owned()),
    }
}

fn realm(bearer: &Challenge, scope: &str, may_be_plain: impl Fn(&Url) -> bool) -> Result<Realm, String> {
    let realm = bearer.parameter("realm").unwrap_or_default();
    if realm.is_empty() {
        return Err("it wants a token, but does not say where one is to be had".to_owned());
    }
    let url = Url::parse(realm).map_err(|error| format!("it sends to a token server that is not asked: {error}"))?;
    if url.scheme() == Scheme::Http && !may_be_plain(&url) {
        return Err(format!(
            "it sends to a token server without https, {:?}, which is asked only if both hosts are configured as insecure",
            shown(realm)
        ));
    }
    let given = bearer.parameter("scope").unwrap_or_default();
    let mut scopes: Vec<String> = given.split_ascii_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        scopes.push(scope.to_owned());
    }
    let service = bearer.parameter("service").filter(|service| !service.is_empty()).map(str::to_owned);
    Ok(Realm { url, service, scopes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_from(headers: &[&str]) -> Result<Wanted, String> {
        choose(headers.iter().map(|header| header.as_bytes()), "repository:x:pull", |url| url.host() == "plain")
    }

    #[test]
    fn a_token_is_preferred() {
        let wanted =
            choose_from(&["Basic realm=x", "Negotiate", "Bearer realm=\"https://a/t\",service=s,scope=\"a b\""]);
        let url = Url::parse("https://a/t").expect("an address");
        let scopes = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(wanted, Ok(Wanted::Bearer(Realm { url: url.clone(), service: Some("s".to_owned()), scopes })));
        let scopes = vec!["repository:x:pull".to_owned()];
        assert_eq!(
            choose_from(&["Bearer realm=\"https://a/t\""]),
            Ok(Wanted::Bearer(Realm { url, service: None, scopes }))
        );
        assert_eq!(choose_from(&["@garbage", "Basic"]), Ok(Wanted::Basic));
    }

    #[test]
    fn realms_that_are_not_asked() {
        for (headers, reason) in [
            (&["Bearer realm=\"http://169.254.169.254/latest\""] as &[_], "without https"),
            (&["Bearer realm=\"file:///etc/passwd\""], "neither http nor https"),
            (&["Bearer realm=\"https://u:p@a/t\""], "a user name or a password"),
            (&["Bearer realm=\"/token\""], "not an address"),
            (&["Bearer realm=\"\""], "does not say where"),
            (&["Bearer service=x"], "does not say where"),
            (&["@garbage"], "is neither a challenge nor a parameter"),
            (&["Digest realm=x"], "by \"Digest\""),
            (&[], "does not say how"),
        ] {
            let error = choose_from(headers).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
        assert!(choose_from(&["Bearer realm=\"http://plain/t\""]).is_ok());
    }

    #[test]
    fn a_grant_shows_no_secret() {
        let now = Instant::now();
        let grants = [
            Grant::basic("anna", "hunter2", now),
            Grant::bearer(
                "hunter2",
                Realm { url: Url::parse("https://a/").unwrap(), service: None, scopes: vec![] },
                now,
                None,
            ),
        ];
        for grant in grants {
            let shown = format!("{grant:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("YW5u"), "{shown}");
        }
    }
}
