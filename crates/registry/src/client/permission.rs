//! What is shown to a registry that wants to know who asks: a password, or a token that its token server gives.

use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method};

use super::Client;
use super::conversation::{Answer, Ask, Outgoing, Walk};
use crate::auth::cache::Purpose;
use crate::auth::{Grant, Realm, Wanted, basic, choose, token};
use crate::body::read_limited;
use crate::credentials::{Credential, Lapse};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::TOKEN_BYTES;

impl Client {
    /// What the server wants, according to its refusal. One that gives no reason means what it said before.
    pub(super) fn wanted(
        &self,
        endpoint: &Endpoint,
        ask: &Ask<'_>,
        answer: &Answer,
        grant: Option<&Grant>,
    ) -> Result<Wanted, Error> {
        if answer.challenges().next().is_none() {
            return grant.map(|grant| grant.wanted.clone()).ok_or_else(|| Error::Unauthorized {
                host: endpoint.name.clone(),
                what: ask.what.to_owned(),
                detail: "it wants to know who asks, but does not say how it wants to be told".to_owned(),
            });
        }
        let scope = format!("repository:{}:{}", endpoint.repository, ask.purpose.actions());
        let mut wanted = choose(answer.challenges(), &scope, |url| self.may_be_plain(endpoint, url))
            .map_err(|reason| answer.unusable(ask, reason))?;
        if let Wanted::Bearer(realm) = &mut wanted
            && !ask.has_scope
        {
            realm.scopes.clear();
        } else if let Wanted::Bearer(realm) = &mut wanted
            && ask.purpose == Purpose::Push
            && !realm.scopes.contains(&scope)
        {
            // To look whether a blob is there a registry wants less than it will want next.
            realm.scopes.push(scope);
        }
        Ok(wanted)
    }

    /// Gets what is wanted.
    pub(super) fn obtain(&self, endpoint: &Endpoint, what: &str, wanted: Wanted) -> Result<Grant, Error> {
        // Asked for each time: helpers give out passwords that end.
        let credential = match endpoint.credentials_name() {
            Some(name) => self.credentials.find(&name)?,
            None => None,
        };
        if let (None, Some(lapse)) = (&credential, self.lapse(endpoint)) {
            self.warn(format!("{}: asking {} without credentials", lapse.reason, endpoint.name));
        }
        let lacking = |detail: &str| Error::Unauthorized {
            host: endpoint.name.clone(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        match (wanted, credential) {
            (Wanted::Basic, Some(Credential::Basic { username, password })) => {
                Ok(Grant::basic(&username, &password, self.clock.now()))
            }
            (Wanted::Basic, Some(Credential::IdentityToken(_))) => {
                Err(lacking("it wants a user name and a password, but there is only an identity token for it"))
            }
            (Wanted::Basic, None) => Err(lacking("it wants a user name and a password")),
            (Wanted::Bearer(realm), credential) => self.token(endpoint, what, realm, credential),
        }
    }

    /// What kept credentials for an endpoint from being found.
    fn lapse(&self, endpoint: &Endpoint) -> Option<Lapse> {
        self.credentials.lapse(&endpoint.credentials_name()?)
    }

    /// The error of who was refused, with the reason where there are no credentials because something failed.
    pub(super) fn explain(&self, endpoint: &Endpoint, error: Error) -> Error {
        match (error, self.lapse(endpoint)) {
            (error @ Error::Unauthorized { .. }, Some(lapse)) => Error::Lapse { lapse, source: Box::new(error) },
            (error, _) => error,
        }
    }

    /// Gets a token from a token server.
    fn token(
        &self,
        endpoint: &Endpoint,
        what: &str,
        realm: Realm,
        credential: Option<Credential>,
    ) -> Result<Grant, Error> {
        let start = self.clock.now();
        let name = realm.url.authority();
        let token_for = format!("a token for {what}");
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        let mut authorization = None;
        let mut secrets = Vec::new();
        let encoded;
        let (method, url, form) = match &credential {
            Some(Credential::IdentityToken(identity)) => {
                headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
                encoded = crate::url::form(identity);
                secrets.extend([identity.as_str(), &encoded]);
                (Method::POST, realm.url.clone(), Some(token::exchange_form(&realm, identity)))
            }
            Some(Credential::Basic { username, password }) => {
                authorization = Some(basic(username, password));
                secrets.push(password.as_str());
                (Method::GET, token::address(&realm), None)
            }
            None => (Method::GET, token::address(&realm), None),
        };
        secrets.extend(authorization.iter().flat_map(|header| crate::auth::secrets(header)));
        let is_own_host = realm.url.host() == crate::url::host_of(&endpoint.authority);
        let mut site = endpoint.site.of_other(&self.settings, &realm.url);
        // Another port of an insecure host has no better certificate.
        site.insecure |= endpoint.site.insecure && is_own_host;
        let body = form.map_or(Outgoing::None, Outgoing::Form);
        let authorization = authorization.as_deref();
        let walk = Walk { method, headers: &headers, body: &body, authorization, origin: None, name, what: &token_for };
        let answer = self.walk(endpoint, &site, url, walk)?.map_err(|fault| fault.into_error(name, &token_for))?;
        let status = answer.status();
        match status {
            200..=299 => {}
            // Where OAuth2 says that an identity token is not good any more.
            401 | 403 | 400 if status != 400 || credential.is_some() => {
                let said = answer.into_words(&secrets);
                let refusal = if credential.is_some() {
                    "it refuses the credentials"
                } else {
                    "it gives no token without credentials"
                };
                let words = if said.is_empty() { refusal } else { &said };
                let detail = format!("token server {name}: {words}");
                return Err(Error::Unauthorized { host: endpoint.name.clone(), what: what.to_owned(), detail });
            }
            _ => return Err(answer.into_status_error(&token_for, self, &secrets)),
        }
        let unusable = |reason: &str| Error::Protocol {
            host: name.to_owned(),
            what: token_for.clone(),
            reason: reason.to_owned(),
        };
        let timeout = answer.timeout();
        let body = read_limited(answer.into_response().into_body(), TOKEN_BYTES, timeout)
            .map_err(|fault| fault.into_error(name, &token_for))?
            .ok_or_else(|| unusable(&format!("it has more than {TOKEN_BYTES} bytes")))?;
        let token = token::parse(&body, self.clock.date()).map_err(unusable)?;
        let until = start.checked_add(token.lifetime);
        Ok(Grant::bearer(&token.text, realm, start, until))
    }
}
