//! One request, until there is an answer that means something: over the scheme that the host speaks, along redirects, with
//! what the host wants to be shown. Retries are for others.
//!
//! Insecure hosts are asked with TLS first, then without; what worked is remembered.

use std::time::Duration;

use ureq::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, EXPECT, LOCATION, RANGE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use ureq::http::{HeaderName, HeaderValue, Method, Response};

use super::{Client, document};
use crate::auth::Grant;
use crate::auth::cache::Purpose;
use crate::body::read_beginning;
use crate::endpoint::{Endpoint, Site};
use crate::error::Error;
use crate::limits::{ERROR_BYTES, REDIRECTS, TOKEN_DOUBT};
use crate::lock::lock;
use crate::redirect::{is_redirect, next};
use crate::retry::retry_after;
use crate::transport::{Call, Fault, Payload};
use crate::url::{Scheme, Url, host_of, port_of};
use crate::words;

/// A request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    target: Target,
    /// What is asked for, as errors name it.
    pub(crate) what: &'a str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Outgoing<'a>,
    /// Statuses beside those of success that whoever asks knows what to do with.
    expected: &'a [u16],
    pub(super) purpose: Purpose,
    /// Whether it is about a repository, for which one must have permission.
    pub(super) has_scope: bool,
}

/// Where a request goes.
enum Target {
    /// A path on the registry.
    Path(String),
    /// An address that the registry has given, there or elsewhere.
    Url(Url),
}

/// What is sent with a request.
pub(super) enum Outgoing<'a> {
    None,
    /// A form, with secrets in it.
    Form(String),
    Bytes(&'a [u8]),
    /// What this opens, from its beginning each time.
    Stream(&'a dyn Fn() -> Result<Payload, Fault>),
}

impl Outgoing<'_> {
    fn open(&self) -> Result<Payload, Fault> {
        match self {
            Self::None => Ok(Payload::None),
            Self::Form(form) => Ok(Payload::Bytes(form.clone().into_bytes())),
            Self::Bytes(bytes) => Ok(Payload::Bytes(bytes.to_vec())),
            Self::Stream(open) => open(),
        }
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn manifest(method: Method, path: String, what: &'a str) -> Self {
        let headers = vec![(ACCEPT, HeaderValue::from_static(document::ACCEPT)), IDENTITY];
        Self { headers, ..Self::new(method, Target::Path(path), what) }
    }

    fn new(method: Method, target: Target, what: &'a str) -> Self {
        let (headers, body) = (Vec::new(), Outgoing::None);
        Self { method, target, what, headers, body, expected: &[], purpose: Purpose::Pull, has_scope: true }
    }

    /// A question or an order that goes before an upload, or ends it.
    pub(super) fn push(method: Method, path: String, what: &'a str, expected: &'a [u16]) -> Self {
        let body = if method == Method::POST { Outgoing::Bytes(&[]) } else { Outgoing::None };
        Self { body, expected, purpose: Purpose::Push, ..Self::new(method, Target::Path(path), what) }
    }

    /// The same, at an address that the registry has given.
    pub(super) fn push_at(method: Method, url: Url, what: &'a str, expected: &'a [u16]) -> Self {
        Self { expected, purpose: Purpose::Push, ..Self::new(method, Target::Url(url), what) }
    }

    /// Sends a body with it.
    pub(super) fn with(mut self, media_type: &str, body: Outgoing<'a>) -> Self {
        self.headers.extend(HeaderValue::from_str(media_type).map(|value| (CONTENT_TYPE, value)));
        self.body = body;
        self
    }

    /// Says of which part of the whole the body is: from one byte to the one before another.
    pub(super) fn part(mut self, first: u64, end: u64) -> Self {
        // Unlike elsewhere in HTTP, without the unit.
        let range = format!("{first}-{}", end.saturating_sub(1));
        self.headers.extend(HeaderValue::from_str(&range).map(|value| (CONTENT_RANGE, value)));
        self
    }

    /// Waits for the server to want the body before it is sent.
    pub(super) fn expecting(mut self) -> Self {
        self.headers.push((EXPECT, HeaderValue::from_static("100-continue")));
        self
    }

    /// Does not wait for that.
    pub(super) fn unexpecting(mut self) -> Self {
        self.headers.retain(|(name, _)| name != EXPECT);
        self
    }

    /// A blob, from an offset on.
    pub(crate) fn blob(path: String, what: &'a str, offset: u64) -> Self {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("*/*")), IDENTITY];
        if offset > 0 {
            // Digits are a valid value.
            headers.extend(HeaderValue::from_str(&format!("bytes={offset}-")).map(|range| (RANGE, range)));
        }
        Self {
            headers,
            expected: PART.get(..usize::from(offset > 0)).unwrap_or_default(),
            ..Self::new(Method::GET, Target::Path(path), what)
        }
    }

    /// A page of a list.
    pub(super) fn list(path: String, what: &'a str) -> Self {
        let headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        Self { headers, ..Self::new(Method::GET, Target::Path(path), what) }
    }

    /// Whether the registry lets one in (distribution specification, "Determining Support").
    pub(super) fn version(what: &'a str) -> Self {
        Self { has_scope: false, ..Self::new(Method::GET, Target::Path("/v2/".to_owned()), what) }
    }
}

/// What is answered where there is no such part.
const PART: &[u16] = &[416];

/// Compressed again on the way, content would not be what its digest says.
pub(super) const IDENTITY: (HeaderName, HeaderValue) = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));

/// An answer, from wherever redirects led to.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response<ureq::Body>,
    /// Who answered.
    pub(crate) host: String,
    /// Which address that was.
    pub(super) url: Url,
    timeout: Duration,
    /// Whether it comes from another host than the one that was asked.
    is_elsewhere: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The value of a header, where it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The values of all headers `WWW-Authenticate`.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &[u8]> {
        self.response.headers().get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes)
    }

    /// How long the host may be silent.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn into_response(self) -> Response<ureq::Body> {
        self.response
    }

    /// The error for an answer that breaks a rule.
    pub(crate) fn unusable(&self, ask: &Ask<'_>, reason: String) -> Error {
        Error::Protocol { host: self.host.clone(), what: ask.what.to_owned(), reason }
    }

    /// The server's words, without secrets that it may have sent back. Reading them leaves the connection for others.
    pub(super) fn into_words(self, secrets: &[&str]) -> String {
        words::of_error(&read_beginning(self.response.into_body(), ERROR_BYTES, self.timeout), secrets)
    }

    /// The error that a status means which nobody expects.
    pub(super) fn into_status_error(self, what: &str, client: &Client, secrets: &[&str]) -> Error {
        let (host, status) = (self.host.clone(), self.status());
        let retry_after = self.header(&RETRY_AFTER).and_then(|value| retry_after(value, client.clock.date()));
        Error::Status { host, status, what: what.to_owned(), detail: self.into_words(secrets), retry_after }
    }
}

/// Where a walk along redirects begins.
pub(super) struct Walk<'a> {
    pub(super) method: Method,
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
    pub(super) body: &'a Outgoing<'a>,
    /// The value of `Authorization`, for the origin alone.
    pub(super) authorization: Option<&'a str>,
    /// Whom that is for; the first host where nothing else is said.
    pub(super) origin: Option<&'a Url>,
    /// The first host as errors name it, and what it is asked for.
    pub(super) name: &'a str,
    pub(super) what: &'a str,
}

impl Client {
    /// Asks an endpoint; the answer is a success, or says that there is no such part.
    pub(super) fn converse(&self, endpoint: &Endpoint, ask: &Ask<'_>) -> Result<Answer, Error> {
        let slot = self.grants.slot(&endpoint.authority, &endpoint.repository, ask.purpose);
        let mut grant = slot.get(self.clock.now());
        let mut is_renewed = false;
        loop {
            let answer = self.ask(endpoint, ask, grant.as_ref())?;
            let is_refused = match answer.status() {
                401 => true,
                // Some registries say so when a token has ended before its time.
                403 => grant.as_ref().is_some_and(|grant| self.age(grant) > TOKEN_DOUBT),
                _ => false,
            };
            if !is_refused || is_renewed || answer.is_elsewhere {
                return self.judge(answer, ask, grant.as_ref());
            }
            is_renewed = true;
            let wanted = self.wanted(endpoint, ask, &answer, grant.as_ref())?;
            // Nobody wants to know the words, but the connection can be used again.
            drop(answer.into_words(&[]));
            let renewed = slot.renew(grant.as_ref(), self.clock.now(), || self.obtain(endpoint, ask.what, wanted))?;
            grant = Some(renewed);
        }
    }

    fn age(&self, grant: &Grant) -> Duration {
        self.clock.now().saturating_duration_since(grant.obtained)
    }

    /// Says what a status means.
    fn judge(&self, answer: Answer, ask: &Ask<'_>, grant: Option<&Grant>) -> Result<Answer, Error> {
        let what = || ask.what.to_owned();
        let secrets = grant.map(Grant::secrets).unwrap_or_default();
        match answer.status() {
            200..=299 => Ok(answer),
            status if ask.expected.contains(&status) => Ok(answer),
            404 if ask.purpose == Purpose::Pull => Err(Error::NotFound { host: answer.host, what: what() }),
            // To where blobs are stored nobody can log in.
            401 | 403 if !answer.is_elsewhere => {
                let host = answer.host.clone();
                Err(Error::Unauthorized { host, what: what(), detail: answer.into_words(&secrets) })
            }
            _ => match answer.into_status_error(ask.what, self, &secrets) {
                error if ask.purpose == Purpose::Push && !error.is_temporary() => Err(error.into_refusal()),
                error => Err(error),
            },
        }
    }

    /// Makes a request over the scheme that the host speaks.
    fn ask(&self, endpoint: &Endpoint, ask: &Ask<'_>, grant: Option<&Grant>) -> Result<Answer, Error> {
        let walk = || Walk {
            method: ask.method.clone(),
            headers: &ask.headers,
            body: &ask.body,
            authorization: grant.map(Grant::header),
            origin: None,
            name: &endpoint.name,
            what: ask.what,
        };
        let site = &endpoint.site;
        let known =
            if site.insecure { lock(&self.schemes).get(&endpoint.authority).copied() } else { Some(Scheme::Https) };
        let path = match &ask.target {
            Target::Path(path) => path,
            Target::Url(to) => {
                // Whoever gave the address has answered, so that the scheme is known.
                let origin = Url::new(known.unwrap_or(Scheme::Https), &endpoint.authority, "/");
                let is_elsewhere = !to.same_origin(&origin);
                let site = if is_elsewhere { &site.of_other(&self.settings, to) } else { site };
                let name = if is_elsewhere { to.authority() } else { &endpoint.name };
                let walk = Walk { origin: Some(&origin), name, ..walk() };
                return self.walk(endpoint, site, to.clone(), walk)?.map_err(|fault| fault.into_error(name, ask.what));
            }
        };
        let url = |scheme| Url::new(scheme, &endpoint.authority, path);
        if let Some(scheme) = known {
            return self
                .walk(endpoint, site, url(scheme), walk())?
                .map_err(|fault| fault.into_error(&endpoint.name, ask.what));
        }

        let remember = |scheme| {
            lock(&self.schemes).insert(endpoint.authority.clone(), scheme);
        };
        let fault = match self.walk(endpoint, site, url(Scheme::Https), walk())? {
            Ok(answer) => {
                remember(Scheme::Https);
                return Ok(answer);
            }
            Err(fault) => fault,
        };
        if !may_be_plain(&fault, &endpoint.authority) {
            return Err(fault.into_error(&endpoint.name, ask.what));
        }
        match self.walk(endpoint, site, url(Scheme::Http), walk())? {
            // Servers that speak TLS on that port answer so to whoever does not.
            Ok(answer) if answer.status() == 400 && !fault.is_no_tls() => {
                Err(fault.into_error(&endpoint.name, ask.what))
            }
            Ok(answer) => {
                remember(Scheme::Http);
                Ok(answer)
            }
            // Where nobody listens for HTTP, what went wrong with TLS is what there is to know.
            Err(plain) if plain.is_refusal() && !fault.is_no_tls() => Err(fault.into_error(&endpoint.name, ask.what)),
            Err(plain) => Err(plain.into_error(&endpoint.name, ask.what)),
        }
    }

    /// Makes a request and follows redirects. The inner error is that of the first host.
    pub(super) fn walk(
        &self,
        endpoint: &Endpoint,
        first_site: &Site,
        first: Url,
        walk: Walk<'_>,
    ) -> Result<Result<Answer, Fault>, Error> {
        let (mut url, mut site) = (first.clone(), first_site.clone());
        let origin = walk.origin.unwrap_or(&first);
        for hop in 0..=REDIRECTS {
            let is_elsewhere = !url.same_origin(origin);
            let mut headers = walk.headers.to_vec();
            if let Some(authorization) = walk.authorization.filter(|_| !is_elsewhere) {
                let mut value = HeaderValue::from_str(authorization).map_err(|_| Error::Settings {
                    what: format!("credentials for {}", walk.name),
                    reason: "they have characters that cannot be sent".to_owned(),
                })?;
                value.set_sensitive(true);
                headers.push((AUTHORIZATION, value));
            }
            let host = if url.same_origin(&first) { walk.name } else { url.authority() };
            let payload = match walk.body.open() {
                Ok(payload) => payload,
                Err(fault) => return Err(fault.into_error(host, walk.what)),
            };
            let call = Call { method: walk.method.clone(), url: &url, headers, payload };
            let response = match self.transport.exchange(&site, call)? {
                Ok(response) => response,
                Err(fault) if hop == 0 => return Ok(Err(fault)),
                Err(fault) => return Err(fault.into_error(host, walk.what)),
            };
            let (host, timeout) = (host.to_owned(), site.timeout);
            let answer = Answer { response, host, url: url.clone(), timeout, is_elsewhere };
            // What was sent in a form is not sent to anybody else.
            if !is_redirect(answer.status()) || matches!(walk.body, Outgoing::Form(_)) {
                return Ok(Ok(answer));
            }
            let unusable = |reason| Error::Protocol { host: answer.host.clone(), what: walk.what.to_owned(), reason };
            // "See other" is an answer to what was sent, and not another place to send it to.
            if answer.status() == 303 && walk.method != Method::GET && walk.method != Method::HEAD {
                return Err(unusable("it redirects from what is sent to something to be read".to_owned()));
            }
            let location = answer.header(&LOCATION);
            let to = next("redirects", &url, location, |to| self.may_be_plain(endpoint, to)).map_err(unusable)?;
            drop(answer.into_words(&[]));
            site = if to.same_origin(&first) { first_site.clone() } else { first_site.of_other(&self.settings, &to) };
            url = to;
        }
        let reason = format!("it redirects more than {REDIRECTS} times");
        Err(Error::Protocol { host: walk.name.to_owned(), what: walk.what.to_owned(), reason })
    }

    /// Whether an address to which a registry sends may be asked without TLS: the registry is insecure, and so is the host,
    /// or it is the same one.
    pub(super) fn may_be_plain(&self, endpoint: &Endpoint, url: &Url) -> bool {
        let is_same_host = || url.host() == host_of(&endpoint.authority);
        endpoint.site.insecure && (is_same_host() || Site::named(&self.settings, url.authority()).insecure)
    }
}

/// Whether a host that did not speak TLS may speak HTTP.
fn may_be_plain(fault: &Fault, authority: &str) -> bool {
    match fault {
        Fault::NoHost | Fault::Malformed(_) => false,
        // Without a port there are two: that of TLS and that of HTTP.
        fault if fault.is_refusal() => port_of(authority).is_none(),
        _ => true,
    }
}
