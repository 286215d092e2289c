//! References: the names of images in registries, as Docker writes them.
//!
//! The grammar is that of the distribution project:
//!
//! ```text
//! reference      = name [ ":" tag ] [ "@" digest ]
//! name           = [ domain "/" ] path
//! domain         = host [ ":" port ]          host = DNS name, IPv4 address, or [IPv6 address]
//! path           = component *( "/" component )
//! component      = alnum *( separator alnum )  alnum = 1*( a-z / 0-9 ), separator = "." / "_" / "__" / 1*"-"
//! tag            = word *127( word / "." / "-" )
//! ```
//!
//! Short names are expanded as Docker expands them: the first component is a domain when it contains a `.` or a
//! `:`, is `localhost`, or has an upper case letter; otherwise the domain is `docker.io`, where a single component
//! stands for `library/COMPONENT`. A [`Reference`] is always the expanded form.

use crate::digest::{Digest, DigestError, shorten};
use crate::limits::{REFERENCE_NAME, REFERENCE_TAG};
use std::fmt;
use std::str::FromStr;

/// The registry of short names.
const DEFAULT_DOMAIN: &str = "docker.io";
/// An old name of the same registry.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where the default registry keeps the images whose name is a single component.
const OFFICIAL_PREFIX: &str = "library";
/// The tag of a reference that has neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

/// An expanded reference: `docker.io/library/debian:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// There is nothing, or nothing before the tag or the digest.
    #[error("{text:?} names no repository")]
    NoName {
        /// The text, shortened.
        text: String,
    },
    /// Domain and path together are too long.
    #[error("the name has {actual} characters, at most {REFERENCE_NAME} are allowed: {text:?}")]
    NameTooLong {
        /// Characters found.
        actual: usize,
        /// The text, shortened.
        text: String,
    },
    /// The domain does not follow the grammar.
    #[error("{domain:?} is not the name of a registry, in {text:?}")]
    Domain {
        /// The domain.
        domain: String,
        /// The text, shortened.
        text: String,
    },
    /// A component of the path does not follow the grammar.
    #[error(
        "{component:?} cannot be part of a repository's name, in {text:?} (lower case letters and digits, \
         separated by '.', '_', '__' or dashes)"
    )]
    Component {
        /// The component.
        component: String,
        /// The text, shortened.
        text: String,
    },
    /// The tag does not follow the grammar.
    #[error(
        "{tag:?} is not a tag, in {text:?} (at most {REFERENCE_TAG} letters, digits, '_', '.' and '-', not \
         beginning with '.' or '-')"
    )]
    Tag {
        /// The tag, shortened.
        tag: String,
        /// The text, shortened.
        text: String,
    },
    /// What follows the `@` is not a digest.
    #[error("after the '@' of {text:?} there is no digest")]
    Digest {
        /// The text, shortened.
        text: String,
        /// What is wrong with the digest.
        source: DigestError,
    },
    /// The name alone is 64 hex digits, which Docker takes for an image's ID.
    #[error("{text:?} looks like an image ID, which only the daemon that made it knows")]
    ImageId {
        /// The text.
        text: String,
    },
}

impl Reference {
    /// Parses a reference and expands it.
    ///
    /// ```
    /// use banger_oci::Reference;
    ///
    /// assert_eq!(Reference::parse("debian")?.to_string(), "docker.io/library/debian:latest");
    /// assert_eq!(Reference::parse("localhost:5000/x")?.to_string(), "localhost:5000/x:latest");
    /// # Ok::<(), banger_oci::ReferenceError>(())
    /// ```
    ///
    /// # Errors
    /// The first rule of the grammar that is broken.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let shown = || shorten(text);
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|source| ReferenceError::Digest { text: shown(), source })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // A colon after the last slash begins the tag; one before it belongs to the port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if name.is_empty() {
            return Err(ReferenceError::NoName { text: shown() });
        }
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(ReferenceError::Tag { tag: shorten(tag), text: shown() });
        }
        if tag.is_none() && is_image_id(name) {
            return Err(ReferenceError::ImageId { text: shown() });
        }

        let (domain, path) = expand(name);
        let length = domain.len().saturating_add(1).saturating_add(path.len());
        if length > REFERENCE_NAME {
            return Err(ReferenceError::NameTooLong { actual: length, text: shown() });
        }
        if !is_domain(domain) {
            return Err(ReferenceError::Domain { domain: shorten(domain), text: shown() });
        }
        if let Some(component) = path.split('/').find(|component| !is_component(component)) {
            return Err(ReferenceError::Component { component: shorten(component), text: shown() });
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Reference { domain: domain.to_owned(), path, tag, digest })
    }

    /// The registry: a host, perhaps with a port.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository within the registry: `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Domain and path: `docker.io/library/debian`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag. One of tag and digest is always there.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that pins the content.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text)
    }
}

/// Splits a name into domain and path, putting in what a short name leaves out.
fn expand(name: &str) -> (&str, String) {
    let (domain, path) = match name.split_once('/') {
        Some((LEGACY_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((first, path))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        (domain, format!("{OFFICIAL_PREFIX}/{path}"))
    } else {
        (domain, path.to_owned())
    }
}

fn is_domain(domain: &str) -> bool {
    // The port's colon is the last one, and stands behind the bracket of an IPv6 address.
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    if let Some(port) = port
        && (port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()))
    {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn is_component(component: &str) -> bool {
    let is_alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !component.bytes().all(|b| is_alnum(b) || matches!(b, b'.' | b'_' | b'-')) {
        return false;
    }
    // What is left between the alphanumeric runs are the separators. The first and the last piece are empty
    // exactly when the component begins and ends with a letter or digit.
    let mut pieces = component.split(|c: char| c.is_ascii_alphanumeric()).peekable();
    let begins_well = pieces.next().is_some_and(str::is_empty);
    let mut separators_well = true;
    let mut last = None;
    for piece in pieces {
        last = Some(piece);
        separators_well &= matches!(piece, "" | "." | "_" | "__") || piece.bytes().all(|b| b == b'-');
    }
    begins_well && separators_well && last.is_some_and(str::is_empty)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= REFERENCE_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

fn is_image_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    type IsExpected = fn(&ReferenceError) -> bool;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_names_expand_as_docker_expands_them() {
        let pinned = format!("debian@sha256:{HEX}");
        let both = format!("quay.io/a/b:1@sha256:{HEX}");
        let cases = [
            ("debian", "docker.io/library/debian:latest"),
            ("debian:12", "docker.io/library/debian:12"),
            ("library/debian", "docker.io/library/debian:latest"),
            ("user/app:v1", "docker.io/user/app:v1"),
            ("docker.io/debian", "docker.io/library/debian:latest"),
            ("index.docker.io/debian", "docker.io/library/debian:latest"),
            ("index.docker.io/user/app", "docker.io/user/app:latest"),
            ("docker.io/user/app", "docker.io/user/app:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("localhost:5000/x:y", "localhost:5000/x:y"),
            ("localhost", "docker.io/library/localhost:latest"),
            ("host:5000", "docker.io/library/host:5000"),
            ("ghcr.io/a/b/c/d:1.2.3-rc.1", "ghcr.io/a/b/c/d:1.2.3-rc.1"),
            ("Registry/x", "Registry/x:latest"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
            ("[fe80::1]/x", "[fe80::1]/x:latest"),
            ("a.b/c__d/e---f/g.h/i_j", "a.b/c__d/e---f/g.h/i_j:latest"),
            ("x:_", "docker.io/library/x:_"),
            (&pinned, &format!("docker.io/library/debian@sha256:{HEX}")),
            (&both, &both),
        ];
        for (text, expected) in cases {
            let reference = Reference::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(reference.to_string(), expected, "{text}");
            assert_eq!(Reference::parse(expected), Ok(reference), "{expected} again");
        }
    }

    #[test]
    fn hostile_references_are_refused() {
        let long = "a".repeat(300);
        let long_tag = format!("debian:{}", "t".repeat(129));
        let upper_digest = format!("debian@sha256:{}", HEX.to_uppercase());
        let cases: &[(&str, IsExpected)] = &[
            ("", |e| matches!(e, ReferenceError::NoName { .. })),
            (":tag", |e| matches!(e, ReferenceError::NoName { .. })),
            ("@sha256:00", |e| matches!(e, ReferenceError::Digest { .. })),
            ("a/../b", |e| matches!(e, ReferenceError::Component { component, .. } if component == "..")),
            ("../b", |e| matches!(e, ReferenceError::Domain { .. })),
            ("a//b", |e| matches!(e, ReferenceError::Component { component, .. } if component.is_empty())),
            ("/a", |e| matches!(e, ReferenceError::Component { .. })),
            ("a/", |e| matches!(e, ReferenceError::Component { .. })),
            ("Debian", |e| matches!(e, ReferenceError::Component { .. })),
            ("docker.io/A", |e| matches!(e, ReferenceError::Component { .. })),
            ("a b", |e| matches!(e, ReferenceError::Component { .. })),
            ("a\n", |e| matches!(e, ReferenceError::Component { .. })),
            ("a\0b", |e| matches!(e, ReferenceError::Component { .. })),
            ("-a", |e| matches!(e, ReferenceError::Component { .. })),
            ("a-", |e| matches!(e, ReferenceError::Component { .. })),
            ("a___b", |e| matches!(e, ReferenceError::Component { .. })),
            ("a..b", |e| matches!(e, ReferenceError::Component { .. })),
            ("a._b", |e| matches!(e, ReferenceError::Component { .. })),
            ("a:", |e| matches!(e, ReferenceError::Tag { .. })),
            ("a:.b", |e| matches!(e, ReferenceError::Tag { .. })),
            ("a:-b", |e| matches!(e, ReferenceError::Tag { .. })),
            ("a:b c", |e| matches!(e, ReferenceError::Tag { .. })),
            (&long_tag, |e| matches!(e, ReferenceError::Tag { .. })),
            ("a@b@c", |e| matches!(e, ReferenceError::Digest { .. })),
            ("a@md5:d41d8cd98f00b204e9800998ecf8427e", |e| matches!(e, ReferenceError::Digest { .. })),
            ("a@sha256:../../etc/passwd", |e| matches!(e, ReferenceError::Digest { .. })),
            (&upper_digest, |e| matches!(e, ReferenceError::Digest { .. })),
            (&long, |e| matches!(e, ReferenceError::NameTooLong { .. })),
            (HEX, |e| matches!(e, ReferenceError::ImageId { .. })),
            ("h:x/y", |e| matches!(e, ReferenceError::Domain { .. })),
            ("h:/y", |e| matches!(e, ReferenceError::Domain { .. })),
            ("-h.x/y", |e| matches!(e, ReferenceError::Domain { .. })),
            ("h..x/y", |e| matches!(e, ReferenceError::Domain { .. })),
            ("[]:5/y", |e| matches!(e, ReferenceError::Domain { .. })),
            ("user@host.x/y", |e| matches!(e, ReferenceError::Digest { .. })),
            ("https://host.x/y", |e| matches!(e, ReferenceError::Domain { .. })),
        ];
        for (text, expected) in cases {
            let error = Reference::parse(text).expect_err(text);
            assert!(expected(&error), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn the_limits_are_where_they_are_stated() {
        let name = format!("a.io/{}", "b".repeat(REFERENCE_NAME - 5));
        assert!(Reference::parse(&name).is_ok());
        assert!(Reference::parse(&format!("{name}b")).is_err());
        assert!(Reference::parse(&format!("a:{}", "b".repeat(REFERENCE_TAG))).is_ok());
    }
}
