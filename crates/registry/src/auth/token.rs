//! Token servers: what they are asked, and what they answer (distribution project, "Token Authentication Specification").
//!
//! Anonymously and with a password a token is asked for by GET; an identity token is exchanged for one by POST, as OAuth2
//! refreshes (RFC 6749, section 6). What comes back is put into a header, so that a token is visible ASCII or refused.

use std::time::{Duration, SystemTime};

use banger_oci::Timestamp;
use serde::Deserialize;

use super::Realm;
use crate::limits::{TOKEN_LIFETIME, TOKEN_MARGIN};
use crate::url::{Url, form};

/// How programs are told apart that ask for tokens.
const CLIENT_ID: &str = "banger";

/// The address at which a token is asked for by GET.
pub(crate) fn address(realm: &Realm) -> Url {
    let mut pairs = Vec::new();
    pairs.extend(realm.service.as_deref().map(|service| ("service", service)));
    pairs.extend(realm.scopes.iter().map(|scope| ("scope", scope.as_str())));
    realm.url.with_query(&pairs)
}

/// The form by which an identity token is exchanged.
pub(crate) fn exchange_form(realm: &Realm, identity_token: &str) -> String {
    let scope = realm.scopes.join(" ");
    let mut pairs = vec![("grant_type", "refresh_token"), ("client_id", CLIENT_ID)];
    pairs.extend(realm.service.as_deref().map(|service| ("service", service)));
    pairs.extend([("scope", scope.as_str()), ("refresh_token", identity_token)]);
    pairs.iter().map(|(name, value)| format!("{name}={}", form(value))).collect::<Vec<_>>().join("&")
}

/// A token, and how long it is good for from now on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) lifetime: Duration,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Number>,
    issued_at: Option<String>,
}

/// Reads a token server's answer.
///
/// # Errors
/// What is wrong with it, in words that follow "the answer cannot be used: ", without any part of the token.
pub(crate) fn parse(body: &[u8], now: SystemTime) -> Result<Token, &'static str> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "it is not the JSON of a token")?;
    let given = |token: Option<String>| token.filter(|token| !token.is_empty());
    let text = given(answer.token).or_else(|| given(answer.access_token)).ok_or("there is no token in it")?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its token has characters that no token has");
    }
    let seconds = answer.expires_in.and_then(|number| number.as_u64().or(number.as_f64().map(|number| number as u64)));
    let whole = seconds.filter(|seconds| *seconds > 0).map_or(TOKEN_LIFETIME, Duration::from_secs);
    let lifetime =
        whole.saturating_sub(age(answer.issued_at.as_deref(), now).filter(|age| *age < whole).unwrap_or_default());
    // A token that lives for moments only is used to its end.
    let lifetime =
        if lifetime > TOKEN_MARGIN.saturating_mul(2) { lifetime.saturating_sub(TOKEN_MARGIN) } else { lifetime };
    Ok(Token { text, lifetime })
}

/// How old a token is, as far as two clocks tell it that may differ: one from the future is new.
fn age(issued_at: Option<&str>, now: SystemTime) -> Option<Duration> {
    let issued = u64::try_from(Timestamp::parse_rfc3339(issued_at?)?.seconds).ok()?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    now.checked_sub(Duration::from_secs(issued))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        // 2026-01-01T00:10:00Z
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_226_200)
    }

    fn realm(service: Option<&str>, scopes: &[&str]) -> Realm {
        Realm {
            url: Url::parse("https://auth.example/token?x=1").expect("an address"),
            service: service.map(str::to_owned),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_asked() {
        let realm = realm(Some("registry & co"), &["repository:a/b:pull", "repository:c:pull"]);
        assert_eq!(
            address(&realm).to_string(),
            "https://auth.example/token?x=1&service=registry%20%26%20co&scope=repository:a/b:pull&scope=repository:c:pull"
        );
        assert_eq!(
            exchange_form(&realm, "se=cr&et"),
            "grant_type=refresh_token&client_id=banger&service=registry%20%26%20co\
             &scope=repository:a/b:pull%20repository:c:pull&refresh_token=se%3Dcr%26et"
        );
        assert_eq!(address(&self::realm(None, &["s"])).to_string(), "https://auth.example/token?x=1&scope=s");
    }

    #[test]
    fn lifetimes() {
        let cases = [
            (r#"{"token":"t"}"#, 55),
            (r#"{"token":"t","expires_in":300}"#, 295),
            (r#"{"token":"t","expires_in":300.7}"#, 295),
            (r#"{"token":"t","expires_in":0}"#, 55),
            (r#"{"token":"t","expires_in":-5}"#, 55),
            (r#"{"token":"t","expires_in":8}"#, 8),
            (r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:08:00Z"}"#, 175),
            // The clocks differ: by more than the token's life, or in the other direction.
            (r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#, 295),
            (r#"{"token":"t","expires_in":300,"issued_at":"2026-01-01T01:00:00Z"}"#, 295),
            (r#"{"token":"t","expires_in":300,"issued_at":"yesterday"}"#, 295),
        ];
        for (body, seconds) in cases {
            let token = parse(body.as_bytes(), now()).map(|token| token.lifetime);
            assert_eq!(token, Ok(Duration::from_secs(seconds)), "{body}");
        }
    }

    #[test]
    fn either_name_of_the_token_will_do() {
        for body in [
            r#"{"token":"t","access_token":"u"}"#,
            r#"{"access_token":"t"}"#,
            r#"{"token":"","access_token":"t"}"#,
            r#"{"token":null,"access_token":"t","refresh_token":"r","scope":"x"}"#,
        ] {
            assert_eq!(parse(body.as_bytes(), now()).map(|token| token.text).as_deref(), Ok("t"), "{body}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for (body, reason) in [
            (r#"{"token":"se\ncret"}"#, "characters that no token has"),
            (r#"{"token":"se\u0000cret"}"#, "characters that no token has"),
            (r#"{"token":"se cret"}"#, "characters that no token has"),
            (r#"{"token":"sécret"}"#, "characters that no token has"),
            (r#"{"token":""}"#, "no token"),
            (r#"{}"#, "no token"),
            (r#"{"token":1}"#, "not the JSON"),
            (r#"["secret"]"#, "not the JSON"),
            ("secret", "not the JSON"),
            ("", "not the JSON"),
        ] {
            let error = parse(body.as_bytes(), now()).map(|token| token.text).expect_err(body);
            assert!(error.contains(reason), "{body}: {error}");
        }
    }
}
