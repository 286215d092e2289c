//! The tags of a repository (distribution specification 1.1, "Listing Tags").
//!
//! A registry gives them in pages; each page but the last has a header `Link` with where the next one is. That is an
//! address that a server made up, so only its path is taken: the host stays the one that was asked.

use banger_oci::Reference;
use banger_oci::limits::MANIFEST_BYTES;
use serde::Deserialize;
use ureq::http::header::LINK;

use super::Client;
use super::conversation::{Answer, Ask};
use crate::body::read_limited;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::{TAG_PAGES, TAGS_ON_A_PAGE};
use crate::words::shown;

/// What a registry lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// The tags, in the registry's order.
    pub tags: Vec<String>,
    /// Whether these are all: a registry may have more pages than are asked for.
    pub is_complete: bool,
}

#[derive(Deserialize)]
struct Page {
    // Go writes a nil slice as null.
    tags: Option<Vec<String>>,
}

impl Client {
    /// Lists the tags of a repository, of which `reference` names any image. Mirrors are asked first that may say what a
    /// tag means.
    ///
    /// # Errors
    /// As for [`Client::head`]; or a page is malformed, too large, or leads back to one before it.
    pub fn tags(&self, reference: &Reference) -> Result<Tags, Error> {
        self.each(reference, false, |endpoint| self.tags_at(endpoint, reference))
    }

    fn tags_at(&self, endpoint: &Endpoint, reference: &Reference) -> Result<Tags, Error> {
        let what = reference.name();
        let mut path = format!("{}?n={TAGS_ON_A_PAGE}", endpoint.path("tags", "list"));
        let mut seen = vec![path.clone()];
        let mut tags = Vec::new();
        while seen.len() <= TAG_PAGES {
            let ask = Ask::list(path, &what);
            let answer = self.converse(endpoint, &ask)?;
            let next = next_page(&answer).map_err(|reason| answer.unusable(&ask, reason))?;
            let malformed = |reason: &str| Error::Protocol {
                host: endpoint.name.clone(),
                what: what.clone(),
                reason: reason.to_owned(),
            };
            let timeout = answer.timeout();
            let bytes = read_limited(answer.into_response().into_body(), MANIFEST_BYTES, timeout)
                .map_err(|fault| fault.into_error(&endpoint.name, &what))?
                .ok_or_else(|| malformed(&format!("it has more than the {MANIFEST_BYTES} bytes that are allowed")))?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|_| malformed("it is no list of tags"))?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                None => return Ok(Tags { tags, is_complete: true }),
                Some(next) if seen.contains(&next) => return Err(malformed("its pages lead in a circle")),
                Some(next) => path = next,
            }
            seen.push(path.clone());
        }
        Ok(Tags { tags, is_complete: false })
    }
}

/// The path of the next page, where there is one (RFC 8288).
fn next_page(answer: &Answer) -> Result<Option<String>, String> {
    let Some(target) = answer.header(&LINK).and_then(next_target) else { return Ok(None) };
    let url = answer.url.join(target).map_err(|error| format!("its next page is at no address: {error}"))?;
    // Behind a proxy, a registry may not know by which scheme it is asked.
    if url.host() != answer.url.host() {
        return Err(format!("its next page is on another host: {}", shown(target)));
    }
    Ok(Some(url.path_and_query().to_owned()))
}

/// The target of the link whose relation is `next`.
fn next_target(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let relations = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (header, expected) in [
            (r#"</v2/x/tags/list?last=b&n=2>; rel="next""#, Some("/v2/x/tags/list?last=b&n=2")),
            (r#"<https://a/first>; rel=first, </second>; title=x; REL=Next"#, Some("/second")),
            (r#"</x>; rel="prev next""#, Some("/x")),
            (r#"</x>; rel="previous""#, None),
            ("garbage", None),
            ("", None),
        ] {
            assert_eq!(next_target(header), expected, "{header}");
        }
    }
}
