//! Where a redirect may lead.
//!
//! A registry sends clients to wherever it stores its blobs, so that redirects are followed to any host. What protects
//! the client: the blob's digest; no secret goes to another host (or port, or scheme) than the one it was meant for; what
//! began with TLS goes on with TLS; and plain HTTP leads to hosts only that are configured as insecure, so that nobody is
//! sent to the internal addresses that speak it.

use crate::url::{Scheme, Url};
use crate::words::shown;

/// The address that an answer sends to; `doing` says what it does so for, in words behind "it".
///
/// # Errors
/// Why it is not followed, in words that follow "the answer cannot be used: ".
pub(crate) fn next(
    doing: &str,
    from: &Url,
    location: Option<&str>,
    is_insecure: impl FnOnce(&Url) -> bool,
) -> Result<Url, String> {
    let location = location.ok_or_else(|| format!("it {doing}, but does not say to where"))?;
    let to = from.join(location).map_err(|error| format!("it {doing} to where nobody is sent: {error}"))?;
    if to.scheme() == Scheme::Http {
        if from.scheme() == Scheme::Https {
            return Err(format!("it {doing} from https to {:?}", shown(&to.to_string())));
        }
        if !is_insecure(&to) {
            return Err(format!(
                "it {doing} to {:?}, which is not https, and {} is not configured as insecure",
                shown(&to.to_string()),
                to.authority()
            ));
        }
    }
    Ok(to)
}

/// Whether a status sends elsewhere.
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_never_leave_tls_nor_http() {
        let cases = [
            ("https://a/x", Some("https://b/y"), Ok("https://b/y")),
            ("https://a/x", Some("/y"), Ok("https://a/y")),
            ("http://a/x", Some("https://b/y"), Ok("https://b/y")),
            ("http://a/x", Some("http://insecure/y"), Ok("http://insecure/y")),
            ("http://a/x", Some("http://169.254.169.254/y"), Err("not configured as insecure")),
            ("https://a/x", Some("http://insecure/y"), Err("from https to")),
            ("https://a/x", Some("//b/y"), Ok("https://b/y")),
            ("https://a/x", Some("file:///etc/passwd"), Err("neither http nor https")),
            ("https://a/x", Some("https://u:p@b/"), Err("a user name or a password")),
            ("https://a/x", Some("https://"), Err("not an address")),
            ("https://a/x", None, Err("does not say to where")),
        ];
        for (from, location, expected) in cases {
            let from = Url::parse(from).expect("an address");
            let to = next("redirects", &from, location, |url| url.host() == "insecure").map(|url| url.to_string());
            match (to, expected) {
                (Ok(to), Ok(expected)) => assert_eq!(to, expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (to, _) => panic!("{location:?}: {to:?}"),
            }
        }
    }
}
