//! Addresses: the few parts of a URL that a registry client needs.
//!
//! A [`Url`] is `http` or `https`, names a host, and carries no credentials: whatever else a server sends one to
//! (`file:`, `user:password@host`) is refused when it is parsed, so that nothing later has to think of it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

use crate::words::shown;

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An absolute address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: Scheme,
    /// `host` or `host:port`.
    authority: String,
    /// The path and the query; begins with a slash.
    rest: String,
}

/// Why an address is not one that is asked; to be put behind the address's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("{0:?} is not an address")]
    Malformed(String),
    #[error("{0:?} is neither http nor https")]
    Scheme(String),
    #[error("it has a user name or a password in it")]
    UserInfo,
}

impl Url {
    /// An address on a host; `rest` begins with a slash.
    pub(crate) fn new(scheme: Scheme, authority: &str, rest: &str) -> Self {
        Self { scheme, authority: authority.to_owned(), rest: rest.to_owned() }
    }

    /// Parses an absolute address. A fragment is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(shown(text));
        let (text, _) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, _) = text.split_once(':').ok_or_else(malformed)?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            return Err(UrlError::Scheme(shown(text)));
        };
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host();
        // A port that is no number is parsed as none.
        let has_port = authority.port_u16().is_some();
        if host.is_empty() || (!has_port && host.len() != authority.as_str().len()) {
            return Err(malformed());
        }
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { scheme, authority: authority.as_str().to_owned(), rest })
    }

    /// The address that `reference` means on a page of this address (RFC 3986, section 5.2).
    pub(crate) fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let (reference, _) = reference.split_once('#').unwrap_or((reference, ""));
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.name()));
        }
        let colon = reference.find(':');
        if colon.is_some_and(|colon| !reference.get(..colon).unwrap_or_default().contains(['/', '?'])) {
            return Self::parse(reference);
        }
        let (path, _) = self.rest.split_once('?').unwrap_or((&self.rest, ""));
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let rest = match reference.chars().next() {
            None => self.rest.clone(),
            Some('/') => without_dots(reference),
            Some('?') => format!("{path}{reference}"),
            Some(_) => without_dots(&format!("{directory}/{reference}")),
        };
        // Whether there is anything in it that no address has, the parser knows.
        Self::parse(&format!("{}://{}{rest}", self.scheme.name(), self.authority))
    }

    /// The path with its query: begins with a slash.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.rest
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, with its port where one is given.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, without brackets and port, in lower case.
    pub(crate) fn host(&self) -> String {
        host_of(&self.authority)
    }

    /// The port, given or not.
    pub(crate) fn port(&self) -> u16 {
        port_of(&self.authority).unwrap_or(self.scheme.port())
    }

    /// The same address with another query, `name=value` pairs being added to those that are there.
    pub(crate) fn with_query(&self, pairs: &[(&str, &str)]) -> Self {
        let mut rest = self.rest.clone();
        for (name, value) in pairs {
            rest.push(if rest.contains('?') { '&' } else { '?' });
            rest.push_str(&form(name));
            rest.push('=');
            rest.push_str(&form(value));
        }
        Self { rest, ..self.clone() }
    }

    /// The address as it can be shown: queries may hold signatures that open doors.
    pub(crate) fn without_query(&self) -> String {
        let path = self.rest.split_once('?').map_or(self.rest.as_str(), |(path, _)| path);
        format!("{}://{}{path}", self.scheme.name(), self.authority)
    }

    /// Whether both are the same host, port and scheme, so that a secret for one may be shown to the other.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host() == other.host() && self.port() == other.port()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.rest)
    }
}

/// The host of `host:port`, without brackets, in lower case.
pub(crate) fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// The port of `host:port`, where there is one.
pub(crate) fn port_of(authority: &str) -> Option<u16> {
    authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')).and_then(|(_, port)| port.parse().ok())
}

/// Whether a host (without brackets) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Encodes a text as a part of a query or of a form.
pub(crate) fn form(text: &str) -> String {
    let mut result = String::new();
    for byte in text.bytes() {
        // Slashes and colons may stand in a query as they are, and scopes are easier to read with them.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b':') {
            result.push(char::from(byte));
        } else {
            result.push_str(&format!("%{byte:02X}"));
        }
    }
    result
}

/// Takes `.` and `..` out of the path of an address.
fn without_dots(rest: &str) -> String {
    let (path, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/').skip(1) {
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if ends_open {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_as_the_specification_has_it() {
        let base = Url::parse("http://a:5000/b/c/d?q").expect("an address");
        let cases = [
            ("https://x/y?z#f", "https://x/y?z"),
            ("//x:1/y", "http://x:1/y"),
            ("/y", "http://a:5000/y"),
            ("y", "http://a:5000/b/c/y"),
            ("y:1", ""),
            ("./y:1", "http://a:5000/b/c/y:1"),
            ("../y", "http://a:5000/b/y"),
            ("../../../../y", "http://a:5000/y"),
            ("..", "http://a:5000/b/"),
            ("?y=/../z", "http://a:5000/b/c/d?y=/../z"),
            ("y?z=..", "http://a:5000/b/c/y?z=.."),
            ("", "http://a:5000/b/c/d?q"),
            ("file:///etc/passwd", ""),
            ("http:///x", ""),
            ("/a b", ""),
        ];
        for (reference, expected) in cases {
            let joined = base.join(reference).map(|url| url.to_string()).unwrap_or_default();
            assert_eq!(joined, expected, "{reference}");
        }
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        let cases = [
            ("https://a", Some("https://a/")),
            ("HTTPS://a:1?x", Some("https://a:1/?x")),
            ("http://[::1]:5/x", Some("http://[::1]:5/x")),
            ("ftp://a", None),
            ("file:///etc/passwd", None),
            ("https://u:p@a/", None),
            ("https://u@a/", None),
            ("https://", None),
            ("https://a:b/", None),
            ("https://a:99999/", None),
            ("a", None),
            ("", None),
            ("https://a/\n", None),
        ];
        for (text, expected) in cases {
            let parsed = Url::parse(text).map(|url| url.to_string());
            assert_eq!(parsed.as_deref().ok(), expected, "{text}");
        }
        assert_eq!(Url::parse("https://u:hunter2@a/"), Err(UrlError::UserInfo));
    }

    #[test]
    fn origins_are_compared_whole() {
        let base = Url::parse("https://Host/x").expect("an address");
        for (other, same) in [
            ("https://host:443/y", true),
            ("https://host:444/y", false),
            ("http://host/x", false),
            ("http://host:443/x", false),
            ("https://host.evil/x", false),
        ] {
            assert_eq!(base.same_origin(&Url::parse(other).expect("an address")), same, "{other}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (authority, expected) in [
            ("localhost:5000", true),
            ("LOCALHOST", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(&host_of(authority)), expected, "{authority}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        let url = Url::parse("https://a/token?x=1").expect("an address");
        let url = url.with_query(&[("scope", "repository:a/b:pull"), ("service", "a b&c=ü")]);
        assert_eq!(url.to_string(), "https://a/token?x=1&scope=repository:a/b:pull&service=a%20b%26c%3D%C3%BC");
    }
}
