//! What is sent to a registry (distribution specification 1.1, "Push").
//!
//! It is asked whether a blob is there already; if not, an upload is begun and the blob sent with the request that ends it.
//! Where that is refused for its length (there are proxies that take little at once), or as such, the blob is sent in
//! pieces. When a connection breaks the registry is asked how far the upload got, and if it does not say, or does not know
//! it any more, another one is begun. Mirrors are never sent anything.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use banger_oci::{Descriptor, Digest, MediaType, Mismatch, Reference, Verifier};
use ureq::http::header::{CONTENT_LENGTH, LOCATION, RANGE};
use ureq::http::{HeaderName, Method};

use super::Client;
use super::conversation::{Answer, Ask, Outgoing};
use super::document::CONTENT_DIGEST;
use super::outward::Outward;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::{CHUNK, CHUNK_LEAST, CHUNK_MAX, EXPECT, UPLOADS};
use crate::redirect::next;
use crate::transport::{Fault, Payload};
use crate::url::{Url, form};

/// Opens a blob at an offset, as often as it has to be sent.
pub type Open<'a> = dyn Fn(u64) -> io::Result<Box<dyn Read + Send>> + 'a;

/// How a blob came to be in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was there.
    There,
    /// It was in another repository of the same registry.
    Mounted,
    /// It was sent.
    Uploaded,
}

const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");

const OCTETS: &str = "application/octet-stream";

/// Answers to an upload's request that something can be done about.
const ANSWERS: &[u16] = &[404, 405, 413, 416, 417, 501];

/// A blob that is to be sent.
struct Push<'a> {
    endpoint: &'a Endpoint,
    blob: &'a Descriptor,
    from: Option<&'a Reference>,
    open: &'a Open<'a>,
    /// How errors name it.
    what: &'a str,
}

/// An upload that has been begun.
#[derive(Clone, Debug)]
struct Upload {
    /// Where the next request goes.
    url: Url,
    /// Bytes that have arrived.
    offset: u64,
    /// The least that the registry takes at once, but for the last piece.
    minimum: u64,
}

/// How a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At once.
    Whole,
    /// In pieces of so many bytes.
    Pieces(u64),
}

/// What an upload came to that did not fail.
enum Outcome {
    Done(Sent),
    /// The registry does not know it any more, or has another part of it.
    Forgotten(Error),
    /// It does not take it in this way.
    Unwanted(Error),
}

impl Client {
    /// Sends a blob to the registry itself, unless it is there. `from` is another repository of the registry that is known to
    /// have it. How far it got is told as [`Event::Sent`](crate::Event::Sent).
    ///
    /// # Errors
    /// The registry does not take it, cannot be reached or makes no sense; the blob cannot be read, or is not what its
    /// descriptor says.
    pub fn push_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        from: Option<&Reference>,
        open: &Open<'_>,
    ) -> Result<Sent, Error> {
        let endpoint = &Endpoint::upstream(&self.settings, reference);
        let what = &format!("an upload to {} (blob {})", reference.name(), blob.digest);
        let from = from.filter(|from| from.domain() == reference.domain());
        let push = Push { endpoint, blob, from, open, what };
        if self.persist(endpoint, |_| self.is_there(&push))? {
            return Ok(Sent::There);
        }
        let (mut way, mut begun, mut upload) = (Way::Whole, 0_u32, None);
        let mut attempts = self.attempts();
        loop {
            let before = position(&upload);
            match self.try_push(&push, &mut upload, way) {
                Ok(Outcome::Done(sent)) => return Ok(sent),
                Ok(Outcome::Unwanted(error)) => (way, upload) = (way.other(error)?, None),
                Ok(Outcome::Forgotten(error)) => {
                    begun = begun.saturating_add(1);
                    if begun >= UPLOADS {
                        return Err(error);
                    }
                    // Some know nothing of uploads that end with their first request.
                    (way, upload) = (way.in_pieces(), None);
                }
                Err(error) => {
                    attempts.wait(error, position(&upload) > before)?;
                    upload = upload.take().map_or(Ok(None), |old| self.standing(&push, &old))?;
                }
            }
        }
    }

    /// Puts a manifest or an index into the registry itself, under the tag or the digest of a reference. Everything that it
    /// refers to is to be there.
    ///
    /// # Errors
    /// As [`Client::push_blob`]; or the reference has a digest that is not the document's.
    pub fn push_manifest(&self, reference: &Reference, media_type: &MediaType, bytes: &[u8]) -> Result<Digest, Error> {
        let endpoint = Endpoint::upstream(&self.settings, reference);
        let what = format!("an upload to {reference}");
        let digest = Digest::sha256(bytes);
        let broken = |source| Error::Integrity { host: endpoint.name.clone(), what: what.clone(), source };
        if let Some(expected) = reference.digest() {
            let mut verifier = Verifier::new(expected.algorithm());
            verifier.update(bytes);
            verifier.finish(expected, None).map_err(broken)?;
        }
        let name = reference.tag().map(str::to_owned).or_else(|| reference.digest().map(Digest::to_string));
        let path = endpoint.path("manifests", &name.unwrap_or_else(|| digest.to_string()));
        let answer = self.persist(&endpoint, |endpoint| {
            let ask = Ask::push(Method::PUT, path.clone(), &what, &[]);
            self.converse(endpoint, &ask.with(media_type.as_ref(), Outgoing::Bytes(bytes)))
        })?;
        check(&answer, &digest).map_err(broken)?;
        Ok(digest)
    }

    fn is_there(&self, push: &Push<'_>) -> Result<bool, Error> {
        let path = push.endpoint.path("blobs", &push.blob.digest.to_string());
        let ask = Ask::push(Method::HEAD, path, push.what, &[404]);
        let answer = self.converse(push.endpoint, &ask)?;
        let length = answer.header(&CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
        Ok(answer.status() != 404 && length.is_none_or(|length| length == push.blob.size))
    }

    /// Begins an upload, unless one has been begun, and sends what is missing.
    fn try_push(&self, push: &Push<'_>, upload: &mut Option<Upload>, way: Way) -> Result<Outcome, Error> {
        let upload = match upload {
            Some(upload) => upload,
            None => match self.begin(push)? {
                Some(begun) => upload.insert(begun),
                None => return Ok(Outcome::Done(Sent::Mounted)),
            },
        };
        if let Way::Pieces(length) = way
            && let Some(outcome) = self.send_pieces(push, upload, length)?
        {
            return Ok(outcome);
        }
        self.send_last(push, upload)
    }

    /// Begins an upload; none is needed where the registry could take the blob from another repository.
    fn begin(&self, push: &Push<'_>) -> Result<Option<Upload>, Error> {
        let mut path = push.endpoint.path("blobs", "uploads/");
        if let Some(from) = push.from {
            path.push_str(&format!("?mount={}&from={}", form(&push.blob.digest.to_string()), form(from.path())));
        }
        let ask = Ask::push(Method::POST, path, push.what, &[]);
        let answer = self.converse(push.endpoint, &ask)?;
        if answer.status() == 201 && push.from.is_some() {
            return Ok(None);
        }
        let minimum = answer.header(&CHUNK_MINIMUM).and_then(|minimum| minimum.trim().parse().ok()).unwrap_or_default();
        Ok(Some(Upload { url: self.location(push, &answer)?, offset: 0, minimum }))
    }

    /// How far an upload got whose connection broke; none where the registry does not say, so that another is to be begun.
    fn standing(&self, push: &Push<'_>, upload: &Upload) -> Result<Option<Upload>, Error> {
        let ask = Ask::push_at(Method::GET, upload.url.clone(), push.what, ANSWERS);
        let answer = match self.converse(push.endpoint, &ask) {
            Ok(answer) if (200..300).contains(&answer.status()) => answer,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            // Whatever is wrong, the next upload will say it again.
            Ok(_) | Err(_) => return Ok(None),
        };
        // Of nothing and of one byte the same is said.
        let Some(end) = arrived(&answer).filter(|end| (2..=push.blob.size).contains(end)) else { return Ok(None) };
        let moved = answer.header(&LOCATION).map(|_| self.location(push, &answer)).transpose()?;
        let url = moved.unwrap_or_else(|| upload.url.clone());
        Ok(Some(Upload { url, offset: end, ..*upload }))
    }

    /// Sends what is missing in pieces, but does not end the upload. Nothing is said when that went well.
    fn send_pieces(&self, push: &Push<'_>, upload: &mut Upload, length: u64) -> Result<Option<Outcome>, Error> {
        let length = length.max(upload.minimum.min(CHUNK_MAX));
        while upload.offset < push.blob.size {
            let first = upload.offset;
            let end = first.saturating_add(length).min(push.blob.size);
            let ask = Ask::push_at(Method::PATCH, upload.url.clone(), push.what, ANSWERS).part(first, end);
            let answer = match self.send(push, ask, first, end)? {
                Ok(answer) => answer,
                Err(outcome) => return Ok(Some(outcome)),
            };
            let arrived = arrived(&answer).unwrap_or(end);
            if arrived <= first || arrived > end {
                let reason = format!("it was sent the bytes from {first} to {end}, and has those up to {arrived}");
                return Err(Error::Protocol { host: answer.host, what: push.what.to_owned(), reason });
            }
            if answer.header(&LOCATION).is_some() {
                upload.url = self.location(push, &answer)?;
            }
            upload.offset = arrived;
        }
        Ok(None)
    }

    /// Sends the rest, and ends the upload.
    fn send_last(&self, push: &Push<'_>, upload: &Upload) -> Result<Outcome, Error> {
        let (first, end) = (upload.offset, push.blob.size);
        let url = upload.url.with_query(&[("digest", &push.blob.digest.to_string())]);
        let mut ask = Ask::push_at(Method::PUT, url, push.what, ANSWERS);
        if first > 0 && first < end {
            ask = ask.part(first, end);
        }
        let answer = match self.send(push, ask, first, end)? {
            Ok(answer) => answer,
            Err(outcome) => return Ok(outcome),
        };
        let (host, what) = (answer.host.clone(), push.what.to_owned());
        check(&answer, &push.blob.digest).map_err(|source| Error::Integrity { host, what, source })?;
        Ok(Outcome::Done(Sent::Uploaded))
    }

    /// Sends a part of the blob with a request. The inner error is an answer that something can be done about.
    fn send(&self, push: &Push<'_>, ask: Ask<'_>, first: u64, end: u64) -> Result<Result<Answer, Outcome>, Error> {
        let length = end.saturating_sub(first);
        let stream = || {
            if length == 0 {
                return Ok(Payload::Bytes(Vec::new()));
            }
            let inner = (push.open)(first).map_err(Fault::Source)?;
            let progress = Arc::clone(&self.progress);
            let outward = Outward { inner, left: length, position: first, digest: push.blob.digest, progress };
            Ok(Payload::Stream(Box::new(outward), length))
        };
        let mut ask = ask.with(OCTETS, Outgoing::Stream(&stream));
        // The body is not sent in vain to whom does not want it; whoever refuses to be asked is not asked again.
        if length >= EXPECT && !self.is_unasked.load(Ordering::Relaxed) {
            ask = ask.expecting();
        }
        let mut answer = self.converse(push.endpoint, &ask)?;
        if answer.status() == 417 {
            self.is_unasked.store(true, Ordering::Relaxed);
            answer = self.converse(push.endpoint, &ask.unexpecting())?;
        }
        let refusal = |answer: Answer| answer.into_status_error(push.what, self, &[]).into_refusal();
        match answer.status() {
            404 | 416 => Ok(Err(Outcome::Forgotten(refusal(answer)))),
            405 | 413 | 501 => Ok(Err(Outcome::Unwanted(refusal(answer)))),
            417 => Err(refusal(answer)),
            _ => Ok(Ok(answer)),
        }
    }

    /// Where an upload's next request goes.
    fn location(&self, push: &Push<'_>, answer: &Answer) -> Result<Url, Error> {
        let may_be_plain = |to: &Url| self.may_be_plain(push.endpoint, to);
        next("sends the upload", &answer.url, answer.header(&LOCATION), may_be_plain)
            .map_err(|reason| Error::Protocol { host: answer.host.clone(), what: push.what.to_owned(), reason })
    }
}

impl Way {
    fn in_pieces(self) -> Self {
        if self == Self::Whole { Self::Pieces(CHUNK) } else { self }
    }

    /// Another way than the one that was refused.
    fn other(self, refusal: Error) -> Result<Self, Error> {
        let is_for_length = matches!(refusal, Error::Refused { status: 413, .. });
        match self {
            Self::Whole => Ok(self.in_pieces()),
            Self::Pieces(length) if is_for_length && length / 2 >= CHUNK_LEAST => Ok(Self::Pieces(length / 2)),
            Self::Pieces(_) => Err(refusal),
        }
    }
}

fn position(upload: &Option<Upload>) -> u64 {
    upload.as_ref().map_or(0, |upload| upload.offset)
}

/// How many bytes of an upload have arrived, as `Range` says it: `0-LAST`, and by some with the unit.
fn arrived(answer: &Answer) -> Option<u64> {
    let range = answer.header(&RANGE)?.trim();
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    if first == "0" { last.parse::<u64>().ok()?.checked_add(1) } else { None }
}

/// Checks the digest that a registry says that it has computed.
fn check(answer: &Answer, digest: &Digest) -> Result<(), Mismatch> {
    let said = answer.header(&CONTENT_DIGEST).and_then(|said| said.trim().parse::<Digest>().ok());
    match said.filter(|said| said.algorithm() == digest.algorithm() && said != digest) {
        Some(said) => Err(Mismatch::Digest { expected: Box::new(*digest), actual: Box::new(said) }),
        None => Ok(()),
    }
}
