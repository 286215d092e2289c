//! What can go wrong with an image or its source, in kinds that a caller can act on.

use crate::artifact::Artifact;
use crate::digest::{Digest, DigestError};
use crate::platform::{Platform, PlatformError};
use crate::reference::ReferenceError;
use crate::source::SourceError;
use crate::verify::Mismatch;
use banger_error::ErrorKind;
use std::io;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. The field `what` always names the document, file or blob, with where it was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source as written makes no sense.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The platform as written makes no sense.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The image's name in a docker archive, as written, is not a reference.
    #[error("cannot look for an image by this name")]
    Reference(#[from] ReferenceError),
    /// Several images are there and none was chosen.
    #[error("{what} holds {} images, choose one of: {}", images.len(), list(images))]
    SeveralImages {
        /// The source.
        what: String,
        /// Names of the images, as they can be asked for.
        images: Vec<String>,
    },

    /// A system call failed.
    #[error("cannot {doing} {what}")]
    Io {
        /// The action: "open", "read", ...
        doing: &'static str,
        /// The file.
        what: String,
        /// The system's reason.
        source: io::Error,
    },

    /// The source holds no image of that name.
    #[error("{what} holds no image {wanted:?}{}", or_list("; there are: ", images))]
    NoImage {
        /// The source.
        what: String,
        /// The name or digest asked for.
        wanted: String,
        /// Names of the images that exist.
        images: Vec<String>,
    },
    /// The source holds no image at all.
    #[error("{what} holds no image{}", or_list("; there are: ", artifacts))]
    Empty {
        /// The source.
        what: String,
        /// What it holds instead.
        artifacts: Vec<Artifact>,
    },
    /// A manifest is that of something else than a container image.
    #[error("{what} is not a container image, but {artifact}")]
    Artifact {
        /// The manifest.
        what: String,
        /// What it is.
        artifact: Artifact,
    },
    /// A blob or a member of an archive that is needed is not there.
    #[error("{what} is missing from {place}")]
    Missing {
        /// The blob or member.
        what: String,
        /// The layout or archive.
        place: String,
    },
    /// The image exists, but not for this platform.
    #[error("{what} has no image for {wanted}{}", or_list("; there are: ", available))]
    NoPlatform {
        /// The index.
        what: String,
        /// The platform asked for.
        wanted: Platform,
        /// The platforms that exist.
        available: Vec<Platform>,
    },

    /// The content is not what its digest, diff ID or size promised.
    #[error("{what} is damaged or was tampered with")]
    Integrity {
        /// The document, blob or member.
        what: String,
        /// The difference.
        source: Mismatch,
    },
    /// A digest in a document does not follow the grammar.
    #[error("bad digest in {what}")]
    Digest {
        /// The document.
        what: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// A document is not the JSON that it should be.
    #[error("{what} cannot be understood")]
    Json {
        /// The document.
        what: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A document, or something in it, breaks a rule.
    #[error("{what}: {reason}")]
    Malformed {
        /// The document or file.
        what: String,
        /// The rule and how it is broken.
        reason: String,
    },
    /// A limit of [`crate::limits`] is exceeded.
    #[error("{what} is too large: {actual} {unit}, at most {limit} are allowed")]
    Limit {
        /// The document or file.
        what: String,
        /// Size found or claimed.
        actual: u64,
        /// Size allowed.
        limit: u64,
        /// What is counted: "bytes", "layers", ...
        unit: &'static str,
    },
    /// The list of a cache's images cannot be used.
    #[error(
        "{what} cannot be used; if it is removed, the cache forgets the names of its images, but not their content"
    )]
    Names {
        /// The path of the cache's `index.json`.
        what: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Layers and diff IDs do not pair up.
    #[error("{what} has {layers} layers, but its config has {diff_ids} diff IDs")]
    DiffIds {
        /// The manifest.
        what: String,
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// An archive's header cannot be read.
    #[error("{what} is not a tar archive, or is damaged at byte {offset}")]
    Archive {
        /// The archive.
        what: String,
        /// Offset of the header in the (decompressed) archive.
        offset: u64,
        /// What is wrong with it.
        source: tar_core::parse::ParseError,
    },

    /// The place that the image is kept in failed in a way of its own: a registry, say.
    #[error(transparent)]
    Place(#[from] PlaceError),

    /// Whoever wanted it has said that it is not wanted any more.
    #[error("cancelled")]
    Cancelled,

    /// Something that exists elsewhere and cannot be read here.
    #[error("{what}: {reason}")]
    Unsupported {
        /// The document, blob or file.
        what: String,
        /// What it is, and perhaps what to do.
        reason: String,
    },
}

/// An error of the place that an image is kept in, and what it means. It reads as that error.
#[derive(Debug)]
pub struct PlaceError {
    /// What it means to whoever asked.
    pub kind: ErrorKind,
    /// What went wrong.
    pub error: Box<dyn std::error::Error + Send + Sync>,
}

impl std::fmt::Display for PlaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for PlaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Error {
    /// What the error means to whoever asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Source(SourceError::Registry { .. }) => ErrorKind::Unsupported,
            Error::Source(_) | Error::Platform(_) | Error::Reference(_) | Error::SeveralImages { .. } => {
                ErrorKind::Usage
            }
            Error::Io { source, .. } => source.into(),
            Error::NoImage { .. } | Error::Empty { .. } | Error::Missing { .. } | Error::NoPlatform { .. } => {
                ErrorKind::NotFound
            }
            Error::Integrity { .. }
            | Error::Digest { .. }
            | Error::Json { .. }
            | Error::Malformed { .. }
            | Error::Limit { .. }
            | Error::DiffIds { .. }
            | Error::Archive { .. } => ErrorKind::Integrity,
            Error::Unsupported { .. } | Error::Artifact { .. } => ErrorKind::Unsupported,
            Error::Cancelled => ErrorKind::Cancelled,
            Error::Place(error) => error.kind,
            Error::Names { source, .. } => source.kind(),
        }
    }

    pub(crate) fn io(doing: &'static str, what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { doing, what, source }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Malformed { what: what.into(), reason: reason.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Unsupported { what: what.into(), reason: reason.into() }
    }
}

/// How many items of a list an error message shows.
const LISTED: usize = 40;

fn list(items: &[impl ToString]) -> String {
    let mut text = items.iter().take(LISTED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if let Some(more) = items.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn or_list(intro: &str, items: &[impl ToString]) -> String {
    if items.is_empty() { String::new() } else { format!("{intro}{}", list(items)) }
}

/// How errors name a document: its sort and its digest.
pub(crate) fn document_name(sort: &str, digest: &Digest) -> String {
    format!("{sort} {digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_not_found() {
        let missing = Error::io("open", "x")(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let denied = Error::io("open", "x")(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.kind(), ErrorKind::Other);
    }

    #[test]
    fn long_lists_are_cut() {
        let images = (0..100).map(|n| format!("name{n}")).collect();
        let text = Error::SeveralImages { what: "oci:x".into(), images }.to_string();
        assert!(text.starts_with("oci:x holds 100 images, choose one of: name0, name1,"), "{text}");
        assert!(text.ends_with("name39 and 60 more"), "{text}");
    }
}
