//! Files of any server, by their addresses: catalogs, and what they offer. The rules for redirects, certificates, proxies,
//! retries and silence are those for registries; there are no credentials and no mirrors.

use ureq::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use ureq::http::{HeaderValue, Method};

use super::Client;
use super::conversation::{Answer, IDENTITY, Outgoing, Walk};
use super::range::Part;
use crate::body::Body;
use crate::endpoint::{Endpoint, Site};
use crate::error::Error;
use crate::url::{Scheme, Url};
use crate::words::shown;

/// A file on its way, or the rest of one.
#[derive(Debug)]
pub struct Get {
    /// Where in the file the body begins: 0 too where the server sent everything though it was asked for the rest.
    pub offset: u64,
    /// Bytes of the whole file, where the server says so.
    pub total: Option<u64>,
    /// The bytes. A read that fails can be explained by [`Body::broken`].
    pub body: Body,
}

/// What an answer has to offer to whoever asked for the file from an offset on.
enum Offer {
    /// The file from there on; its size, and where the part ends.
    From(u64, Option<u64>, Option<u64>),
    /// Another part, or none.
    Nothing,
}

impl Client {
    /// Begins to get a file, from an offset on where the server allows that. Nothing is checked but that the beginning is
    /// the one asked for.
    ///
    /// The address is `https`, or `http` of this machine or of a host that is set as insecure.
    ///
    /// # Errors
    /// The address is not such a one; there is no such file, it is not for everybody, the server cannot be reached, or makes no
    /// sense.
    pub fn get(&self, url: &str, offset: u64) -> Result<Get, Error> {
        let unusable = |reason: String| Error::Settings { what: format!("address {:?}", shown(url)), reason };
        let url = Url::parse(url).map_err(|error| unusable(error.to_string()))?;
        let authority = url.authority().to_owned();
        let site = Site::named(&self.settings, &authority);
        if url.scheme() == Scheme::Http && !site.insecure {
            return Err(unusable(format!("it is not https, and {authority} is not configured as insecure")));
        }
        let endpoint =
            Endpoint { name: authority.clone(), authority, repository: String::new(), is_mirror: false, site };
        self.persist(&endpoint, |endpoint| self.get_at(endpoint, &url, offset))
    }

    fn get_at(&self, endpoint: &Endpoint, url: &Url, offset: u64) -> Result<Get, Error> {
        let what = url.without_query();
        let mut answer = self.request(endpoint, url, offset, &what)?;
        let mut offer = offered(&answer, offset);
        if matches!(offer, Some(Offer::Nothing)) && offset > 0 {
            // It sends another part, or none: then everything.
            drop(answer);
            answer = self.request(endpoint, url, 0, &what)?;
            offer = offered(&answer, 0);
        }
        let host = answer.host.clone();
        let unusable = |reason: String| Error::Protocol { host: host.clone(), what: what.clone(), reason };
        let Some(Offer::From(begins, total, end)) = offer else {
            return Err(unusable(format!("the status is {}, and there is nothing with it", answer.status())));
        };
        if let Some(encoding) =
            answer.header(&CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            return Err(unusable(format!("it comes with the encoding {:?}, which was not asked for", shown(encoding))));
        }
        let timeout = answer.timeout();
        let body = Body::new(answer.into_response(), end, begins, timeout, (&host, &what), &self.progress);
        Ok(Get { offset: begins, total, body })
    }

    fn request(&self, endpoint: &Endpoint, url: &Url, offset: u64, what: &str) -> Result<Answer, Error> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("*/*")), IDENTITY];
        if offset > 0 {
            headers.extend(HeaderValue::from_str(&format!("bytes={offset}-")).map(|range| (RANGE, range)));
        }
        let walk = Walk {
            method: Method::GET,
            headers: &headers,
            body: &Outgoing::None,
            authorization: None,
            origin: None,
            name: &endpoint.name,
            what,
        };
        let answer = self
            .walk(endpoint, &endpoint.site, url.clone(), walk)?
            .map_err(|fault| fault.into_error(&endpoint.name, what))?;
        let named = || (answer.host.clone(), what.to_owned());
        match answer.status() {
            200..=299 => Ok(answer),
            416 if offset > 0 => Ok(answer),
            404 | 410 => {
                let (host, what) = named();
                Err(Error::NotFound { host, what })
            }
            401 | 403 => {
                let (host, what) = named();
                Err(Error::Unauthorized { host, what, detail: answer.into_words(&[]) })
            }
            _ => Err(answer.into_status_error(what, self, &[])),
        }
    }
}

/// `None` where an answer is none to a question for a file.
fn offered(answer: &Answer, asked: u64) -> Option<Offer> {
    let length = || answer.header(&CONTENT_LENGTH)?.trim().parse::<u64>().ok();
    match answer.status() {
        200 => Some(Offer::From(0, length(), length())),
        206 if asked > 0 => {
            let rest = answer.header(&CONTENT_RANGE).and_then(Part::parse).and_then(|part| {
                let end = part.last.checked_add(1)?;
                // A part of the rest would look like the end of the file.
                let is_rest = part.first == asked && part.total.is_none_or(|total| total == end);
                is_rest.then_some(Offer::From(asked, part.total, Some(end)))
            });
            Some(rest.unwrap_or(Offer::Nothing))
        }
        416 => Some(Offer::Nothing),
        _ => None,
    }
}
