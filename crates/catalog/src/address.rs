//! Addresses: what the URL of an entry means, and whether it may be followed.
//!
//! An address is `https:`, `http:`, `file:`, relative to the catalog that it stands in (RFC 3986, section 4.2, but without another
//! host), or `builtin:`, which names a part of banger. What it may lead to depends on where it stands:
//!
//! - `file:` and paths are for catalogs that are files themselves: a server must not choose among the files of this machine;
//! - `http:` is for hosts that may be asked without encryption, and for this machine where the catalog comes from it: a server
//!   elsewhere must not have requests made to what listens here;
//! - `builtin:` is for the catalog that is a part of banger.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::limits::URL_BYTES;

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// A file on a server.
    Web(Url),
    /// A part of banger, by its name.
    Builtin(String),
}

/// An address on a server: `http:` or `https:`, without credentials or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    /// Host, in lower case, and port where one is given.
    authority: String,
    /// Path and query; begins with a slash.
    rest: String,
}

/// Why an address is not one that is followed. To be put behind the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is nothing, or more than an address has.
    #[error("it is empty, or has more than {URL_BYTES} bytes")]
    Length,
    /// There is something in it that no address has.
    #[error("{0:?} cannot stand in it")]
    Character(char),
    /// It is neither of the forms that are known.
    #[error("the scheme {0:?} is not one of https, http and file")]
    Scheme(String),
    /// There is no usable host.
    #[error("it has no host, or a port that is none")]
    Host,
    /// There is a user name or a password.
    #[error("it has a user name or a password in it")]
    UserInfo,
    /// It is relative to something that has no place.
    #[error("it is relative, or has a host alone")]
    Relative,
    /// A percent sign is not followed by two hexadecimal digits, or what they stand for is in no path.
    #[error("there is a wrong escape in it")]
    Escape,
    /// A file of this machine, in a catalog that comes from a server.
    #[error("a catalog that is not a file of this machine cannot name one")]
    File,
    /// A part of banger, in somebody else's catalog.
    #[error("only the catalog that is a part of banger can name other parts of it")]
    Builtin,
    /// A host that is not to be asked without encryption.
    #[error("http is for hosts that may be asked without encryption, which {0} may not; https is meant")]
    Insecure(String),
    /// This machine, in a catalog that comes from another.
    #[error("a catalog that comes from another machine cannot send to this one")]
    Loopback,
}

impl Place {
    /// What the user says of a catalog's place: a path, or an absolute address.
    ///
    /// # Errors
    /// It has the form of an address, but is none that can be followed.
    pub fn of_catalog(text: &str) -> Result<Self, AddressError> {
        match scheme(text) {
            Some(name) if ["http", "https", "file"].iter().any(|known| name.eq_ignore_ascii_case(known)) => {
                absolute(text, name)
            }
            Some(name) if text.get(name.len()..).is_some_and(|rest| rest.starts_with("://")) => {
                Err(AddressError::Scheme(name.to_owned()))
            }
            _ if text.is_empty() => Err(AddressError::Length),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }

    /// What an address means in a catalog that has this place.
    ///
    /// # Errors
    /// It is none.
    pub fn join(&self, text: &str) -> Result<Self, AddressError> {
        check_text(text)?;
        if let Some(name) = scheme(text) {
            return absolute(text, name);
        }
        match self {
            _ if text.starts_with("//") => Err(AddressError::Relative),
            Self::File(catalog) => {
                let directory = catalog.parent().unwrap_or(Path::new(""));
                Ok(Self::File(directory.join(decoded(text)?)))
            }
            Self::Web(url) => url.join(text).map(Self::Web),
            Self::Builtin(_) => Err(AddressError::Relative),
        }
    }

    /// Whether a catalog that has this place may lead to `other`. `insecure` are the hosts, perhaps with ports, that may be asked
    /// without encryption.
    ///
    /// # Errors
    /// It may not.
    pub fn may_lead_to(&self, other: &Self, insecure: &[String]) -> Result<(), AddressError> {
        match (self, other) {
            (Self::Builtin(_), _) | (Self::File(_), Self::File(_)) => Ok(()),
            (_, Self::Builtin(_)) => Err(AddressError::Builtin),
            (_, Self::File(_)) => Err(AddressError::File),
            (from, Self::Web(url)) => {
                url.check_encryption(insecure)?;
                match from {
                    Self::Web(from) if url.is_loopback() && !from.is_loopback() && !url.is_listed(insecure) => {
                        Err(AddressError::Loopback)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// The file beside this one that has this behind its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        match self {
            Self::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                Self::File(name.into())
            }
            Self::Web(url) => {
                let (path, query) = url.rest.split_at(url.rest.find('?').unwrap_or(url.rest.len()));
                Self::Web(Url { rest: format!("{path}{suffix}{query}"), ..url.clone() })
            }
            Self::Builtin(name) => Self::Builtin(format!("{name}{suffix}")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Web(url) => url.fmt(f),
            Self::Builtin(name) => write!(f, "builtin:{name}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.rest)
    }
}

impl Url {
    /// The host, without brackets and port.
    pub fn host(&self) -> &str {
        match self.authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host,
            None => self.authority.split_once(':').map_or(&self.authority, |(host, _)| host),
        }
    }

    fn parse(text: &str, secure: bool, rest: &str) -> Result<Self, AddressError> {
        check_text(text)?;
        let rest = rest.strip_prefix("//").ok_or(AddressError::Host)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let authority = authority.to_ascii_lowercase();
        check_authority(&authority).ok_or(AddressError::Host)?;
        let rest = if rest.starts_with('/') { without_dots(rest) } else { format!("/{rest}") };
        Ok(Self { secure, authority, rest })
    }

    /// A relative reference (RFC 3986, section 5.2) without another host.
    fn join(&self, reference: &str) -> Result<Self, AddressError> {
        let (path, _) = self.rest.split_once('?').unwrap_or((&self.rest, ""));
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let rest = match reference.chars().next() {
            Some('/') => without_dots(reference),
            Some('?') => format!("{path}{reference}"),
            _ => without_dots(&format!("{directory}/{reference}")),
        };
        Ok(Self { rest, ..self.clone() })
    }

    pub(crate) fn check_encryption(&self, insecure: &[String]) -> Result<(), AddressError> {
        if self.secure || self.is_loopback() || self.is_listed(insecure) {
            return Ok(());
        }
        Err(AddressError::Insecure(self.authority.clone()))
    }

    fn is_listed(&self, hosts: &[String]) -> bool {
        hosts.iter().any(|host| host.eq_ignore_ascii_case(&self.authority) || host.eq_ignore_ascii_case(self.host()))
    }

    fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || host.parse::<Ipv6Addr>().is_ok_and(|address| {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
            })
    }
}

/// Checks what can be checked of an address without knowing where it stands. Whether it names a part of banger.
pub(crate) fn check(text: &str) -> Result<bool, AddressError> {
    check_text(text)?;
    match scheme(text) {
        Some(name) => absolute(text, name).map(|place| matches!(place, Place::Builtin(_))),
        None if text.starts_with("//") => Err(AddressError::Relative),
        None => Ok(false),
    }
}

/// What stands before the first colon, if that can be a scheme (RFC 3986, section 3.1).
fn scheme(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(':')?;
    let is_scheme = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some(name)
}

fn absolute(text: &str, scheme: &str) -> Result<Place, AddressError> {
    check_text(text)?;
    let rest = text.get(scheme.len().saturating_add(1)..).unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Url::parse(text, true, rest).map(Place::Web),
        "http" => Url::parse(text, false, rest).map(Place::Web),
        "file" => {
            let path = match rest.strip_prefix("//") {
                Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
                None => rest,
            };
            if !path.starts_with('/') {
                return Err(AddressError::Host);
            }
            decoded(path).map(Place::File)
        }
        "builtin" => Ok(Place::Builtin(rest.to_owned())),
        _ => Err(AddressError::Scheme(scheme.to_owned())),
    }
}

fn check_text(text: &str) -> Result<(), AddressError> {
    if text.is_empty() || text.len() > URL_BYTES {
        return Err(AddressError::Length);
    }
    // What RFC 3986 has no place for, and the fragment, which no file has.
    match text
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '#'))
    {
        Some(character) => Err(AddressError::Character(character)),
        None => Ok(()),
    }
}

/// Whether it is a host, and perhaps a port.
fn check_authority(authority: &str) -> Option<()> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if let Some(port) = port.strip_prefix(':') {
        port.parse::<u16>().ok().filter(|number| *number != 0 && port.bytes().all(|byte| byte.is_ascii_digit()))?;
    } else if !port.is_empty() {
        return None;
    }
    let is_host = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    is_host.then_some(())
}

/// A path in which each escape is the byte that it stands for.
fn decoded(text: &str) -> Result<PathBuf, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let value = match byte {
            b'%' => {
                let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else { return Err(AddressError::Escape) };
                u8::try_from(high << 4 | low).map_err(|_| AddressError::Escape)?
            }
            b'?' => return Err(AddressError::Character('?')),
            byte => byte,
        };
        if value == 0 {
            return Err(AddressError::Escape);
        }
        bytes.push(value);
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4); a query stays as it is.
fn without_dots(text: &str) -> String {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if last {
                    parts.push("");
                }
            }
            segment => parts.push(segment),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::of_catalog(text).unwrap()
    }

    #[test]
    fn addresses_in_catalogs() {
        let cases = [
            ("/etc/c/catalog.json", "x.tar.zst", "/etc/c/x.tar.zst"),
            ("/etc/c/catalog.json", "../x%20y", "/etc/c/../x y"),
            ("/etc/c/catalog.json", "/x", "/x"),
            ("catalog.json", "x", "x"),
            ("file:///etc/c/catalog.json", "x", "/etc/c/x"),
            ("/c", "file:///a/b", "/a/b"),
            ("/c", "file:/a/b", "/a/b"),
            ("/c", "file://localhost/a/b", "/a/b"),
            ("/c", "HTTPS://Example.ORG/a?b=c", "https://example.org/a?b=c"),
            ("/c", "https://example.org", "https://example.org/"),
            ("/c", "http://[::1]:80/a", "http://[::1]:80/a"),
            ("https://e.org/a/catalog.json?x", "b.tar.zst", "https://e.org/a/b.tar.zst"),
            ("https://e.org/a/catalog.json", "./b/../c", "https://e.org/a/c"),
            ("https://e.org/a/catalog.json", "../../../c", "https://e.org/c"),
            ("https://e.org/a/catalog.json", "/c/", "https://e.org/c/"),
            ("https://e.org/a/catalog.json", "?q", "https://e.org/a/catalog.json?q"),
            ("https://e.org", "c/.", "https://e.org/c/"),
            ("/c", "builtin:demo", "builtin:demo"),
        ];
        for (base, text, expected) in cases {
            assert_eq!(place(base).join(text).map(|place| place.to_string()), Ok(expected.to_owned()), "{base} {text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        use AddressError::{Character, Escape, Host, Length, Relative, Scheme, UserInfo};
        let long = format!("https://e.org/{}", "x".repeat(URL_BYTES));
        let cases = [
            ("", Length),
            (&long, Length),
            ("a b", Character(' ')),
            ("a\nb", Character('\n')),
            ("a\u{202e}", Character('\u{202e}')),
            ("a\\b", Character('\\')),
            ("https://e.org/a#b", Character('#')),
            ("ftp://e.org/", Scheme("ftp".into())),
            ("data:text", Scheme("data".into())),
            ("//e.org/x", Relative),
            ("https:/e.org", Host),
            ("https:e.org", Host),
            ("https://", Host),
            ("https:///x", Host),
            ("https://:80/", Host),
            ("https://e.org:", Host),
            ("https://e.org:0/", Host),
            ("https://e.org:+1/", Host),
            ("https://e.org:99999/", Host),
            ("https://e.org:80:80/", Host),
            ("https://[::1/", Host),
            ("https://[x]/", Host),
            ("https://[::1]x/", Host),
            ("https://e%2eorg/", Host),
            ("https://user@e.org/", UserInfo),
            ("https://user:secret@e.org/", UserInfo),
            ("file://e.org/x", Host),
            ("file:x", Host),
            ("file:///x%00", Escape),
            ("file:///x%2", Escape),
            ("x%zz", Escape),
            ("x?y", Character('?')),
        ];
        for (text, expected) in cases {
            assert_eq!(place("/c").join(text), Err(expected), "{text}");
        }
        assert_eq!(Place::Builtin("x".into()).join("y"), Err(Relative));
        assert_eq!(Place::of_catalog("ftp://e.org/c"), Err(Scheme("ftp".into())));
        assert_eq!(Place::of_catalog(""), Err(Length));
        assert_eq!(Place::of_catalog("a:b"), Ok(Place::File("a:b".into())));
    }

    #[test]
    fn where_a_catalog_may_lead() {
        use AddressError::{Builtin, File, Insecure, Loopback};
        let insecure = ["trusted".to_owned(), "port:8080".to_owned()];
        let (file, web, here) = ("/c", "https://e.org/c", "http://127.0.0.1:80/c");
        let cases = [
            (file, "https://e.org/x", Ok(())),
            (file, "file:///x", Ok(())),
            (file, "http://localhost/x", Ok(())),
            (file, "http://127.9.9.9/x", Ok(())),
            (file, "http://[::1]:9/x", Ok(())),
            (file, "http://[::ffff:127.0.0.1]/x", Ok(())),
            (file, "http://trusted:99/x", Ok(())),
            (file, "http://TRUSTED/x", Ok(())),
            (file, "http://port:8080/x", Ok(())),
            (file, "http://port:81/x", Err(Insecure("port:81".into()))),
            (file, "http://e.org/x", Err(Insecure("e.org".into()))),
            (file, "http://10.0.0.1/x", Err(Insecure("10.0.0.1".into()))),
            (file, "http://localhost.e.org/x", Err(Insecure("localhost.e.org".into()))),
            (file, "builtin:demo", Err(Builtin)),
            (web, "x", Ok(())),
            (web, "https://other.org/x", Ok(())),
            (web, "file:///etc/passwd", Err(File)),
            (web, "http://e.org/x", Err(Insecure("e.org".into()))),
            (web, "http://localhost/x", Err(Loopback)),
            (web, "https://127.0.0.1/x", Err(Loopback)),
            (web, "http://trusted/x", Ok(())),
            (web, "builtin:demo", Err(Builtin)),
            (here, "http://localhost/x", Ok(())),
            (here, "x", Ok(())),
            (here, "file:///x", Err(File)),
        ];
        for (base, text, expected) in cases {
            let base = place(base);
            let joined = base.join(text).unwrap();
            assert_eq!(base.may_lead_to(&joined, &insecure), expected, "{base} {text}");
        }
    }

    #[test]
    fn files_beside_others() {
        for (text, expected) in [
            ("/c/catalog.json", "/c/catalog.json.minisig"),
            ("https://e.org/c.json?token=x", "https://e.org/c.json.minisig?token=x"),
        ] {
            assert_eq!(place(text).with_suffix(".minisig").to_string(), expected);
        }
    }
}
