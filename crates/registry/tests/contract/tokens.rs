//! Token servers that misbehave, and challenges that lead astray.

use banger_oci::ErrorKind;
use banger_registry::Error;
use banger_registry::credentials::Credential;

use crate::server::{Content, Server, content, reply};
use crate::support::{Bench, app, count, everything, is_bearer, manifest_reply};

/// A registry with a challenge of the test's own, in which `HOST` is the registry itself.
fn challenging(challenge: &'static str) -> Server {
    Server::start(move |request| {
        if request.path.starts_with("/token") {
            return reply(200, r#"{"token":"good"}"#);
        }
        if is_bearer(request, "good") {
            return manifest_reply();
        }
        reply(401, "").with("WWW-Authenticate", challenge.replace("HOST", request.header("host")))
    })
}

#[test]
fn realms_that_nobody_is_sent_to() {
    for (challenge, reason) in [
        (r#"Bearer realm="http://169.254.169.254/latest/meta-data""#, "a token server without https"),
        (r#"Bearer realm="http://registry.internal/token""#, "a token server without https"),
        (r#"Bearer realm="file:///etc/passwd""#, "neither http nor https"),
        (r#"Bearer realm="gopher://HOST/""#, "neither http nor https"),
        (r#"Bearer realm="http://user:password@HOST/token""#, "a user name or a password in it"),
        (r#"Bearer realm="/token""#, "not an address"),
        (r#"Bearer service="x""#, "does not say where one is to be had"),
        (r#"Bearer realm="http://HOST/token"#, "no closing quote"),
        ("@garbage=", "is neither a challenge nor a parameter"),
        ("Digest realm=\"x\"", "by \"Digest\""),
    ] {
        let server = challenging(challenge);
        let anna = Credential::Basic { username: "anna".to_owned(), password: "hunter2".to_owned() };
        let error = Bench::with_credential(anna).client.head(&app(&server)).expect_err(challenge);
        assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{challenge}: {error}");
        assert!(!everything(&error).contains("hunter2"));
        assert_eq!(server.lines().len(), 1, "{challenge}");
    }
}

#[test]
fn challenges_that_are_understood_all_the_same() {
    for (challenge, asked) in [
        ("bearer REALM=http://HOST/token,service=a", "GET /token?service=a&scope=repository:team/app:pull"),
        (
            r#"Negotiate, Basic realm="x", Bearer realm="http://HOST/token?a=b""#,
            "GET /token?a=b&scope=repository:team/app:pull",
        ),
        (
            r#"Bearer realm="http://HOST/token",scope="repository:team/app:pull repository:team/base:pull""#,
            "GET /token?scope=repository:team/app:pull&scope=repository:team/base:pull",
        ),
    ] {
        let server = challenging(challenge);
        Bench::new().client.head(&app(&server)).unwrap_or_else(|error| panic!("{challenge}: {error}"));
        assert_eq!(count(&server, asked), 1, "{challenge}: {:?}", server.lines());
    }
}

#[test]
fn what_is_no_token_is_refused_without_being_shown() {
    let huge = format!(r#"{{"token":"{}"}}"#, "hunter2".repeat(10 << 20 >> 3));
    for (body, reason) in [
        (Content::Bytes(br#"{"token":"hunter2\nX-Evil: 1"}"#.to_vec()), "characters that no token has"),
        (Content::Bytes(br#"{"token":"hunter2\u0000"}"#.to_vec()), "characters that no token has"),
        (Content::Bytes(huge.clone().into_bytes()), "more than 65536 bytes"),
        (Content::Chunked(huge.into_bytes()), "more than 65536 bytes"),
        (Content::Endless, "more than 65536 bytes"),
        (Content::Bytes(b"hunter2".to_vec()), "not the JSON of a token"),
        (Content::Bytes(br#"{"expires_in":5}"#.to_vec()), "no token in it"),
    ] {
        let server = Server::start(move |request| {
            if request.path.starts_with("/token") {
                return content(body.clone());
            }
            let realm = format!("Bearer realm=\"http://{}/token\"", request.header("host"));
            reply(401, "").with("WWW-Authenticate", realm)
        });
        let error = Bench::new().client.head(&app(&server)).expect_err(reason);
        assert_eq!(error.kind(), ErrorKind::Integrity);
        let text = everything(&error);
        assert!(text.contains(reason) && !text.contains("hunter2"), "{}", &text[..text.len().min(500)]);
    }
}

#[test]
fn a_token_server_that_is_busy_is_asked_again() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            return match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => reply(429, "").with("Retry-After", "7"),
                _ => reply(200, r#"{"token":"good"}"#),
            };
        }
        if is_bearer(request, "good") {
            return manifest_reply();
        }
        let realm = format!("Bearer realm=\"http://{}/token\"", request.header("host"));
        reply(401, "").with("WWW-Authenticate", realm)
    });
    let bench = Bench::new();
    bench.client.head(&app(&server)).expect("found");
    assert_eq!(bench.events.texts(), [format!("{} asks for 7s: it answered 429", server.authority())]);
}

#[test]
fn a_password_does_not_follow_a_token_server_elsewhere() {
    let elsewhere = Server::start(|_| reply(200, r#"{"token":"good"}"#));
    let there = elsewhere.authority();
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            return reply(307, "").with("Location", format!("http://{there}/token"));
        }
        if is_bearer(request, "good") {
            return manifest_reply();
        }
        let realm = format!("Bearer realm=\"http://{}/token\"", request.header("host"));
        reply(401, "").with("WWW-Authenticate", realm)
    });
    let anna = Credential::Basic { username: "anna".to_owned(), password: "hunter2".to_owned() };
    Bench::with_credential(anna).client.head(&app(&server)).expect("found");
    assert_eq!(elsewhere.requests()[0].header("authorization"), "");
    // A form with an identity token in it is not sent on at all.
    let identity = Bench::with_credential(Credential::IdentityToken("hunter2".to_owned()));
    let error = identity.client.head(&app(&server)).expect_err("not followed");
    assert!(matches!(error, Error::Status { status: 307, .. }), "{error}");
    assert_eq!(elsewhere.lines().len(), 1);
}
