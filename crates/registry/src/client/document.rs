//! Manifests: what is said of them before they come, and what comes.

use banger_oci::limits::MANIFEST_BYTES;
use banger_oci::{Digest, MediaType, Mismatch, Verifier};
use serde::Deserialize;
use serde::de::IgnoredAny;
use ureq::http::HeaderName;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};

use super::conversation::{Answer, Ask};
use super::{Document, Found};
use crate::body::read_limited;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::words::shown;

/// What is accepted, the preferred first: registries convert documents for clients that do not know them.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Docker's schema 1, with and without signatures.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// What the answer to a HEAD says, if it says everything.
pub(crate) fn announced(answer: &Answer) -> Option<Found> {
    let digest = answer.header(&CONTENT_DIGEST)?.trim().parse().ok()?;
    let media_type = media_type(answer)?;
    // What a GET would refuse is worth one, for its words.
    let size =
        answer.header(&CONTENT_LENGTH)?.trim().parse().ok().filter(|size| (1..=MANIFEST_BYTES).contains(size))?;
    Some(Found { digest, media_type, size })
}

/// Reads the document that an answer brings. Its digest is computed, and compared with the one in the header; whether it is
/// the right one is for the caller to say.
pub(crate) fn read(answer: Answer, ask: &Ask<'_>, limit: u64) -> Result<(Found, Document), Error> {
    if let Some(encoding) =
        answer.header(&CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        let encoding = shown(encoding);
        return Err(answer.unusable(ask, format!("it comes with the encoding {encoding:?}, which was not asked for")));
    }
    let too_large = answer.unusable(ask, format!("it has more than the {limit} bytes that are allowed"));
    let digest_header = answer.header(&CONTENT_DIGEST).map(str::to_owned);
    let media_type = media_type(&answer);
    let (host, timeout) = (answer.host.clone(), answer.timeout());
    let bytes = read_limited(answer.into_response().into_body(), limit, timeout)
        .map_err(|fault| fault.into_error(&host, ask.what))?
        .ok_or(too_large)?;
    let media_type = media_type.unwrap_or_else(|| own_media_type(&bytes));
    let mut digest = Digest::sha256(&bytes);
    // Signed documents of schema 1 are known by the digest of what was signed.
    let is_signed = media_type.as_ref().starts_with(SCHEMA_1);
    if let Some(expected) = digest_header.filter(|_| !is_signed).and_then(|header| header.trim().parse::<Digest>().ok())
    {
        let what = ask.what.to_owned();
        verify(&bytes, &expected).map_err(|source| Error::Integrity { host, what, source })?;
        digest = expected;
    }
    let found = Found { digest, media_type: media_type.clone(), size: bytes.len() as u64 };
    Ok((found, Document { media_type, bytes }))
}

/// Checks that a document is the one that a digest means.
pub(crate) fn check(document: &Document, digest: &Digest) -> Result<(), Mismatch> {
    verify(&document.bytes, digest)
}

/// What a document that is not the right one is to be called.
pub(crate) fn mismatch(endpoint: &Endpoint, what: &str, document: &Document, source: Mismatch) -> Error {
    let (host, what) = (endpoint.name.clone(), what.to_owned());
    if document.media_type.as_ref().starts_with(SCHEMA_1) {
        let reason = "in Docker's schema 1, which ended in 2019; push the image again with a current tool".to_owned();
        return Error::Unsupported { host, what, reason };
    }
    Error::Integrity { host, what, source }
}

fn verify(bytes: &[u8], digest: &Digest) -> Result<(), Mismatch> {
    let mut verifier = Verifier::new(digest.algorithm());
    verifier.update(bytes);
    verifier.finish(digest, None)
}

/// The media type that a server gives; `None` where it says only that it is text of some kind.
fn media_type(answer: &Answer) -> Option<MediaType> {
    let value = answer.header(&CONTENT_TYPE)?;
    let value = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_nothing =
        matches!(value.as_str(), "" | "application/json" | "application/octet-stream") || value.starts_with("text/");
    (!says_nothing).then(|| MediaType::from(value.as_str()))
}

/// The media type of a document that came without one.
fn own_media_type(bytes: &[u8]) -> MediaType {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Shape {
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
    }
    // What cannot be read will be refused by whoever reads it, and with better words.
    let shape: Shape = serde_json::from_slice(bytes).unwrap_or_default();
    match (shape.media_type, shape.manifests) {
        (Some(media_type), _) => MediaType::from(media_type.as_str()),
        (None, Some(_)) => MediaType::ImageIndex,
        (None, None) => MediaType::ImageManifest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_themselves_what_they_are() {
        let cases: [(&[u8], MediaType); 5] = [
            (br#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#, MediaType::ImageIndex),
            (br#"{"manifests":[]}"#, MediaType::ImageIndex),
            (br#"{"layers":[]}"#, MediaType::ImageManifest),
            (br#"{"mediaType":1}"#, MediaType::ImageManifest),
            (b"not JSON", MediaType::ImageManifest),
        ];
        for (bytes, expected) in cases {
            assert_eq!(own_media_type(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
