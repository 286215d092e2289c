//! What the user writes for a source.

use super::{Input, Selector, Source};
use crate::digest::{Digest, DigestError, shorten};
use crate::reference::{Reference, ReferenceError};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const TRANSPORTS: [&str; 4] = ["oci", "oci-archive", "docker-archive", "tar"];

/// How errors show what can be written.
const FORMS: &str = "oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF] or tar:FILE";

/// Sources that skopeo and its kin know, and what to do instead.
const ELSEWHERE: [(&str, &str); 8] = [
    ("docker-daemon", "pipe `docker save IMAGE` into docker-archive:-"),
    ("containers-storage", "pipe `podman save IMAGE` into docker-archive:-"),
    ("dir", "copy it with `skopeo copy dir:DIR oci:DIR` and name that"),
    ("ostree", "copy it with `skopeo copy` to an oci: directory and name that"),
    ("sif", "copy it with `skopeo copy` to an oci: directory and name that"),
    ("tarball", "name the archive as tar:FILE"),
    ("http", "fetch the file and name it as docker-archive:FILE, oci-archive:FILE or tar:FILE"),
    ("https", "fetch the file and name it as docker-archive:FILE, oci-archive:FILE or tar:FILE"),
];

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no text.
    #[error("no source is given; name one as {FORMS}")]
    Empty,
    /// There is nothing after the transport.
    #[error("{transport}: names no {}", if *transport == "oci" { "directory" } else { "file" })]
    NoPath {
        /// The transport.
        transport: &'static str,
    },
    /// The name of the image is not text.
    #[error("the name of the image in {text:?} is not valid UTF-8")]
    NotText {
        /// The source as written, where it is text.
        text: String,
    },
    /// What follows the `@` is neither a digest nor a place.
    #[error("in {text:?}, after the '@' there is neither a digest nor the number of an image")]
    Digest {
        /// The source as written.
        text: String,
        /// What is wrong with the digest.
        source: DigestError,
    },
    /// The transport does not exist, but another is nearly called so.
    #[error("{transport:?} is no kind of source, {nearest:?} is; the kinds are {FORMS}")]
    UnknownTransport {
        /// What was written.
        transport: String,
        /// What may have been meant.
        nearest: &'static str,
    },
    /// The transport exists in other tools.
    #[error("{transport}: cannot be read from; {advice}")]
    Elsewhere {
        /// The transport.
        transport: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// It looks like a path.
    #[error("what kind of source is {path:?}? Name it as {FORMS}")]
    NoTransport {
        /// The path.
        path: String,
    },
    /// It is a reference to an image in a registry.
    #[error("{reference} is in a registry, not in a file; name a file as {FORMS}")]
    Registry {
        /// The reference, expanded.
        reference: Box<Reference>,
    },
    /// It is nothing that is known.
    #[error("{text:?} is neither a source ({FORMS}) nor a reference to an image")]
    Unknown {
        /// The source as written.
        text: String,
        /// Why it is not a reference.
        source: ReferenceError,
    },
}

/// An image as the user names it: a source on this machine, or a reference to a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A directory or a file.
    Local(Source),
    /// In a registry: `debian:12`, or as skopeo has it, `docker://debian:12`.
    Registry(Reference),
}

impl Location {
    /// Parses what the user wrote. Nothing is looked at or opened.
    ///
    /// ```
    /// use banger_oci::Location;
    ///
    /// let Ok(Location::Registry(reference)) = Location::parse("debian:12") else { panic!() };
    /// assert_eq!(reference.to_string(), "docker.io/library/debian:12");
    /// ```
    ///
    /// # Errors
    /// The text names neither, with a guess at what may have been meant.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, SourceError> {
        match Source::parse(text) {
            Ok(source) => Ok(Location::Local(source)),
            Err(SourceError::Registry { reference }) => Ok(Location::Registry(*reference)),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Local(source) => source.fmt(f),
            Location::Registry(reference) => reference.fmt(f),
        }
    }
}

impl Source {
    /// Parses a source. Nothing is looked at or opened.
    ///
    /// ```
    /// use banger_oci::{Source, SourceError};
    ///
    /// assert!(matches!(Source::parse("oci:images/debian:12"), Ok(Source::Oci { .. })));
    /// assert!(matches!(Source::parse("debian:12"), Err(SourceError::Registry { .. })));
    /// ```
    ///
    /// # Errors
    /// The text names no source, with a guess at what may have been meant.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, SourceError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        let Some((transport, rest)) = split_once(text.as_bytes(), b':') else {
            return Err(explain(&text.to_string_lossy()));
        };
        match transport {
            b"oci" => {
                let (directory, image) = split_image("oci", rest, text)?;
                Ok(Source::Oci { directory: path(directory), image })
            }
            b"oci-archive" => {
                let (file, image) = split_image("oci-archive", rest, text)?;
                Ok(Source::OciArchive { file: input(file), image })
            }
            b"docker-archive" => {
                let (file, image) = split_image("docker-archive", rest, text)?;
                Ok(Source::DockerArchive { file: input(file), image })
            }
            b"tar" if rest.is_empty() => Err(SourceError::NoPath { transport: "tar" }),
            b"tar" => Ok(Source::Tar { file: input(rest) }),
            _ => Err(explain(&text.to_string_lossy())),
        }
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn input(bytes: &[u8]) -> Input {
    if bytes == b"-" { Input::Stdin } else { Input::Path(path(bytes)) }
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == separator)?;
    let (before, after) = bytes.split_at_checked(place)?;
    Some((before, after.get(1..)?))
}

/// Splits `PATH[:NAME][@DIGEST or @N]`. An `@` that is followed by neither belongs to the path or to the name.
fn split_image<'a>(transport: &'static str, rest: &'a [u8], text: &OsStr) -> Result<(&'a [u8], Selector), SourceError> {
    let mut image = Selector::default();
    let mut rest = rest;
    if let Some(at) = rest.iter().rposition(|b| *b == b'@')
        && let Some((before, after)) = rest.split_at_checked(at)
        && let Some(Ok(after)) = after.get(1..).map(std::str::from_utf8)
    {
        // A place is meant only behind a colon: `oci:DIR:@0`. A directory may well be called `x@0`.
        if let (Some(before), Ok(position)) = (before.strip_suffix(b":"), after.parse()) {
            image.position = Some(position);
            rest = before;
        } else if after.starts_with("sha256:") || after.starts_with("sha512:") {
            let digest: Digest = after.parse().map_err(|source| SourceError::Digest { text: shown(text), source })?;
            image.digest = Some(digest);
            rest = before;
        }
    }
    let (path, name) = match split_once(rest, b':') {
        Some((path, name)) => (path, name),
        None => (rest, &[][..]),
    };
    if path.is_empty() {
        return Err(SourceError::NoPath { transport });
    }
    if !name.is_empty() {
        let name = std::str::from_utf8(name).map_err(|_| SourceError::NotText { text: shown(text) })?;
        image.name = Some(name.to_owned());
    }
    Ok((path, image))
}

fn shown(text: &OsStr) -> String {
    shorten(&text.to_string_lossy())
}

/// Says why a text is not a source of this crate.
fn explain(text: &str) -> SourceError {
    let transport = text.split_once(':').map(|(transport, _)| transport);
    if let Some(reference) = text.strip_prefix("docker://") {
        return match Reference::parse(reference) {
            Ok(reference) => SourceError::Registry { reference: Box::new(reference) },
            Err(source) => SourceError::Unknown { text: shorten(text), source },
        };
    }
    let known = ELSEWHERE.iter().find(|(elsewhere, _)| Some(*elsewhere) == transport);
    if let Some((transport, advice)) = known {
        return SourceError::Elsewhere { transport, advice };
    }
    let reference = Reference::parse(text);
    if let Some(transport) = transport
        && let Some(nearest) = nearest(transport, reference.is_ok())
    {
        return SourceError::UnknownTransport { transport: shorten(transport), nearest };
    }
    if looks_like_a_path(text) {
        return SourceError::NoTransport { path: shorten(text) };
    }
    match reference {
        Ok(reference) => SourceError::Registry { reference: Box::new(reference) },
        Err(source) => SourceError::Unknown { text: shorten(text), source },
    }
}

/// The transport that is nearly called so. Where the whole could also be a reference (`car:1` is one), the likeness
/// must be that of a long word.
fn nearest(word: &str, may_be_reference: bool) -> Option<&'static str> {
    /// The length from which on a few edits are a slip.
    const LONG: usize = 8;
    let likely = TRANSPORTS.into_iter().filter(|transport| !may_be_reference || transport.len() >= LONG);
    crate::nearest::nearest(word, likely)
}

fn looks_like_a_path(text: &str) -> bool {
    const ENDINGS: [&str; 7] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2", ".oci"];
    text == "-" || text.starts_with(['/', '.', '~']) || ENDINGS.iter().any(|ending| text.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    type IsExpected = fn(&SourceError) -> bool;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn selector(name: Option<&str>, digest: Option<&str>, position: Option<usize>) -> Selector {
        Selector { name: name.map(str::to_owned), digest: digest.map(|d| d.parse().expect("a digest")), position }
    }

    #[test]
    fn sources_of_every_kind() {
        let oci = |directory: &str, image| Source::Oci { directory: directory.into(), image };
        let file = |path: &str| Input::Path(path.into());
        let cases = [
            ("oci:dir".to_owned(), oci("dir", selector(None, None, None))),
            ("oci:/a/dir:latest".into(), oci("/a/dir", selector(Some("latest"), None, None))),
            ("oci:dir:a.io/x:1".into(), oci("dir", selector(Some("a.io/x:1"), None, None))),
            (format!("oci:dir:@{DIGEST}"), oci("dir", selector(None, Some(DIGEST), None))),
            (format!("oci:dir:x@{DIGEST}"), oci("dir", selector(Some("x"), Some(DIGEST), None))),
            ("oci:dir:@3".into(), oci("dir", selector(None, None, Some(3)))),
            ("oci:dir:x:@3".into(), oci("dir", selector(Some("x"), None, Some(3)))),
            ("oci:dir@3".into(), oci("dir@3", selector(None, None, None))),
            ("oci:dir:a@b".into(), oci("dir", selector(Some("a@b"), None, None))),
            ("oci:-".into(), oci("-", selector(None, None, None))),
            (
                "oci-archive:a.tar:v1".into(),
                Source::OciArchive { file: file("a.tar"), image: selector(Some("v1"), None, None) },
            ),
            ("oci-archive:-".into(), Source::OciArchive { file: Input::Stdin, image: Selector::default() }),
            (
                "docker-archive:a.tar:debian:12".into(),
                Source::DockerArchive { file: file("a.tar"), image: selector(Some("debian:12"), None, None) },
            ),
            (
                "docker-archive:-:debian".into(),
                Source::DockerArchive { file: Input::Stdin, image: selector(Some("debian"), None, None) },
            ),
            ("tar:root.tar:x".into(), Source::Tar { file: file("root.tar:x") }),
            ("tar:-".into(), Source::Tar { file: Input::Stdin }),
            ("tar:./-".into(), Source::Tar { file: file("./-") }),
        ];
        for (text, expected) in cases {
            assert_eq!(Source::parse(&text).as_ref(), Ok(&expected), "{text}");
            assert_eq!(expected.to_string(), text);
        }
        // Other ways to write the same.
        assert_eq!(Source::parse(format!("oci:dir@{DIGEST}")), Ok(oci("dir", selector(None, Some(DIGEST), None))));
        assert_eq!(Source::parse("oci:dir:"), Ok(oci("dir", Selector::default())));
    }

    #[test]
    fn a_path_need_not_be_text() {
        let text = OsStr::from_bytes(b"oci:\xff/x:y");
        let Ok(Source::Oci { directory, image }) = Source::parse(text) else { panic!("not parsed") };
        assert_eq!(directory.as_os_str().as_bytes(), b"\xff/x");
        assert_eq!(image.name.as_deref(), Some("y"));
        assert!(matches!(Source::parse(OsStr::from_bytes(b"oci:x:\xff")), Err(SourceError::NotText { .. })));
    }

    #[test]
    fn errors_guess_what_was_meant() {
        let cases: &[(&str, IsExpected)] = &[
            ("", |e| *e == SourceError::Empty),
            ("oci:", |e| matches!(e, SourceError::NoPath { transport: "oci" })),
            ("oci::x", |e| matches!(e, SourceError::NoPath { .. })),
            ("tar:", |e| matches!(e, SourceError::NoPath { transport: "tar" })),
            ("oci:x@sha256:../../etc", |e| matches!(e, SourceError::Digest { .. })),
            ("oci-arhive:x.tar", |e| matches!(e, SourceError::UnknownTransport { nearest: "oci-archive", .. })),
            ("oci-archiv:x", |e| matches!(e, SourceError::UnknownTransport { nearest: "oci-archive", .. })),
            ("docker_archive:/x.tar", |e| matches!(e, SourceError::UnknownTransport { nearest: "docker-archive", .. })),
            ("OCI:/dir", |e| matches!(e, SourceError::UnknownTransport { nearest: "oci", .. })),
            ("ocy:./dir", |e| matches!(e, SourceError::UnknownTransport { nearest: "oci", .. })),
            ("car:1", |e| matches!(e, SourceError::Registry { .. })),
            ("docker-daemon:debian", |e| matches!(e, SourceError::Elsewhere { transport: "docker-daemon", .. })),
            ("https://host/x.tar", |e| matches!(e, SourceError::Elsewhere { .. })),
            ("./image.tar", |e| matches!(e, SourceError::NoTransport { .. })),
            ("image.tar", |e| matches!(e, SourceError::NoTransport { .. })),
            ("-", |e| matches!(e, SourceError::NoTransport { .. })),
            ("debian", |e| matches!(e, SourceError::Registry { .. })),
            ("localhost:5000/x", |e| matches!(e, SourceError::Registry { .. })),
            ("docker://debian:12", |e| matches!(e, SourceError::Registry { .. })),
            ("docker://Debian", |e| matches!(e, SourceError::Unknown { .. })),
            ("What is this?", |e| matches!(e, SourceError::Unknown { .. })),
        ];
        for (text, expected) in cases {
            let error = Source::parse(text).expect_err(text);
            assert!(expected(&error), "{text:?} gave {error:?}");
        }
        let error = Source::parse("debian").expect_err("a registry's").to_string();
        assert!(error.starts_with("docker.io/library/debian:latest is in a registry"), "{error}");
        assert!(error.contains("docker-archive:FILE"), "{error}");
    }
}
