//! What is shown to registries that want to know who asks, and when it is renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use banger_oci::ErrorKind;
use banger_registry::Error;
use banger_registry::credentials::Credential;

use crate::server::{Reply, Request, Server, reply};
use crate::support::{Bench, app, blob_of, count, everything, is_bearer, manifest_reply};

fn anna() -> Credential {
    Credential::Basic { username: "anna".to_owned(), password: "hunter2".to_owned() }
}

/// The answer of a registry that wants a token from its own `/token`.
fn challenge(request: &Request) -> Reply {
    let host = request.header("host");
    let realm = format!(r#"Bearer realm="http://{host}/token",service="reg",scope="repository:team/app:pull""#);
    reply(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
        .with("WWW-Authenticate", realm)
}

/// A registry whose tokens are `t1`, `t2`, …; whether one will do is for the test to say.
fn registry(good: impl Fn(&Request, usize) -> bool + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.path.starts_with("/token") {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return reply(200, format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        if good(request, issued.load(Ordering::SeqCst)) { manifest_reply() } else { challenge(request) }
    })
}

#[test]
fn an_anonymous_token_is_fetched_once_and_used_for_everything() {
    let server = registry(|request, _| is_bearer(request, "t1"));
    let bench = Bench::new();
    for _ in 0..3 {
        bench.client.head(&app(&server)).expect("found");
    }
    assert_eq!(
        server.lines(),
        [
            "HEAD /v2/team/app/manifests/1",
            "GET /token?service=reg&scope=repository:team/app:pull",
            "HEAD /v2/team/app/manifests/1",
            "HEAD /v2/team/app/manifests/1",
            "HEAD /v2/team/app/manifests/1",
        ]
    );
    assert_eq!(server.requests()[1].header("authorization"), "");
}

#[test]
fn a_password_is_shown_to_the_token_server_alone() {
    let server = registry(|request, _| is_bearer(request, "t1"));
    Bench::with_credential(anna()).client.head(&app(&server)).expect("found");
    let shown: Vec<_> = server.requests().iter().map(|request| request.header("authorization").to_owned()).collect();
    assert_eq!(shown, ["", "Basic YW5uYTpodW50ZXIy", "Bearer t1"]);
}

#[test]
fn an_identity_token_is_exchanged_by_post() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return reply(200, r#"{"access_token":"fresh","refresh_token":"other"}"#);
        }
        if is_bearer(request, "fresh") { manifest_reply() } else { challenge(request) }
    });
    Bench::with_credential(Credential::IdentityToken("hunter&2".to_owned())).client.head(&app(&server)).expect("found");
    let request = &server.requests()[1];
    assert_eq!(server.lines()[1], "POST /token");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(
        request.body,
        "grant_type=refresh_token&client_id=banger&service=reg&scope=repository:team/app:pull&refresh_token=hunter%262"
    );
}

#[test]
fn basic_is_answered_with_the_password() {
    let server = Server::start(|request| match request.header("authorization") {
        "Basic YW5uYTpodW50ZXIy" => manifest_reply(),
        _ => reply(401, "").with("WWW-Authenticate", "Basic realm=\"Registry\""),
    });
    let bench = Bench::with_credential(anna());
    bench.client.head(&app(&server)).expect("found");
    bench.client.head(&app(&server)).expect("found");
    assert_eq!(count(&server, "HEAD"), 3, "the second time without being asked");

    let error = Bench::new().client.head(&app(&server)).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().ends_with("it wants a user name and a password"), "{error}");
    let identity = Bench::with_credential(Credential::IdentityToken("x".to_owned()));
    let error = identity.client.head(&app(&server)).expect_err("no password");
    assert!(error.to_string().contains("only an identity token"), "{error}");
}

#[test]
fn a_token_that_ends_in_mid_pull_is_renewed_once_per_request() {
    // A token is good for two requests.
    let uses = AtomicUsize::new(0);
    let server = registry(move |request, issued| {
        issued > 0 && is_bearer(request, &format!("t{issued}")) && uses.fetch_add(1, Ordering::SeqCst) % 3 != 2
    });
    let bench = Bench::new();
    let blob = blob_of(crate::support::MANIFEST);
    for _ in 0..6 {
        assert!(bench.read(&app(&server), &blob, 0).1.is_ok());
    }
    assert!(count(&server, "GET /token") > 2);

    let never = registry(|_, _| false);
    let error = Bench::new().client.head(&app(&never)).expect_err("never good enough");
    assert!(error.to_string().ends_with(": authentication required"), "{error}");
    // A HEAD and the GET that asks for the reason, each with a token of its own.
    assert_eq!((count(&never, "GET /token"), count(&never, "HEAD"), count(&never, "GET /v2")), (2, 2, 2));
}

#[test]
fn a_forbidden_old_token_is_renewed() {
    let stale = Arc::new(AtomicUsize::new(0));
    let revoked = Arc::clone(&stale);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            return reply(200, format!(r#"{{"token":"t{}","expires_in":3000}}"#, revoked.load(Ordering::SeqCst)));
        }
        match request.header("authorization") {
            "" => challenge(request),
            shown if shown == format!("Bearer t{}", revoked.load(Ordering::SeqCst)) => manifest_reply(),
            _ => reply(403, r#"{"errors":[{"message":"Your authorization token has expired."}]}"#),
        }
    });
    let bench = Bench::new();
    bench.client.head(&app(&server)).expect("found");
    stale.fetch_add(1, Ordering::SeqCst);
    let error = bench.client.head(&app(&server)).expect_err("a young token is not doubted");
    assert!(error.to_string().ends_with(": Your authorization token has expired."), "{error}");
    assert_eq!(count(&server, "GET /token"), 1);
    bench.clock.advance(61);
    bench.client.head(&app(&server)).expect("renewed");
    assert_eq!(count(&server, "GET /token"), 2);
}

#[test]
fn a_forbidden_old_password_is_asked_for_again() {
    // As with ECR, whose helper gives out passwords that end: here the same one comes, and the refusal stands.
    let server = Server::start(|request| match request.header("authorization") {
        "" => reply(401, "").with("WWW-Authenticate", "Basic"),
        _ => reply(403, "no"),
    });
    let bench = Bench::with_credential(anna());
    bench.client.head(&app(&server)).expect_err("forbidden");
    let before = server.lines().len();
    bench.clock.advance(61);
    bench.client.head(&app(&server)).expect_err("forbidden");
    // The HEAD, once more with a new password, and a GET for the words.
    assert_eq!(server.lines().len() - before, 3);
}

#[test]
fn a_token_is_not_used_beyond_its_end() {
    let server = registry(|request, issued| is_bearer(request, &format!("t{issued}")));
    let bench = Bench::new();
    bench.client.head(&app(&server)).expect("found");
    bench.clock.advance(290);
    bench.client.head(&app(&server)).expect("found");
    assert_eq!(count(&server, "GET /token"), 1);
    bench.clock.advance(10);
    bench.client.head(&app(&server)).expect("found");
    assert_eq!(count(&server, "GET /token"), 2);
    assert_eq!(server.requests().iter().filter(|request| is_bearer(request, "t1")).count(), 2);
}

#[test]
fn threads_share_a_token() {
    let server = registry(|request, _| is_bearer(request, "t1"));
    let bench = Bench::new();
    let reference = app(&server);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bench.client.head(&reference).expect("found"));
        }
    });
    assert_eq!(count(&server, "GET /token"), 1);
}

#[test]
fn each_repository_has_its_token() {
    let server = registry(|request, issued| issued > 0 && request.header("authorization").starts_with("Bearer"));
    let bench = Bench::new();
    bench.client.head(&app(&server)).expect("found");
    let other = banger_oci::Reference::parse(&format!("{}/team/other:1", server.authority())).unwrap();
    bench.client.head(&other).expect("found");
    assert_eq!(count(&server, "GET /token"), 2);
}

#[test]
fn a_wrong_password_is_told_in_the_servers_words_without_the_password() {
    for (credential, secrets) in [
        (anna(), ["hunter2", "YW5uYTpodW50ZXIy"]),
        (Credential::IdentityToken("hunter2 &".to_owned()), ["hunter2 &", "hunter2%20%26"]),
    ] {
        let server = Server::start(|request| {
            if request.path.starts_with("/token") {
                let echo = format!("{} {}", request.header("authorization"), request.body);
                let secret = if request.method == "POST" { "hunter2 &" } else { "hunter2" };
                return reply(401, format!(r#"{{"details":"bad password {secret} {echo}"}}"#));
            }
            challenge(request)
        });
        let bench = Bench::with_credential(credential);
        let error = bench.client.head(&app(&server)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let text = everything(&error);
        assert!(text.contains("bad password ***"), "{text}");
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
        assert_eq!(server.lines().len(), 2, "a wrong password is not tried twice");
        assert!(!format!("{:?}", bench.client).contains("hunter2"));
    }
}

#[test]
fn a_refusal_without_a_reason_gets_one() {
    let server =
        Server::start(
            |request| {
                if request.path.starts_with("/token") { reply(403, "<html>") } else { challenge(request) }
            },
        );
    let error = Bench::new().client.head(&app(&server)).expect_err("refused");
    assert!(error.to_string().ends_with("it gives no token without credentials"), "{error}");
    let error = Bench::with_credential(anna()).client.head(&app(&server)).expect_err("refused");
    assert!(error.to_string().ends_with("it refuses the credentials"), "{error}");
    let bare = Server::start(|_| reply(401, ""));
    let error = Bench::with_credential(anna()).client.head(&app(&bare)).expect_err("refused");
    assert!(matches!(&error, Error::Unauthorized { detail, .. } if detail.contains("does not say how")), "{error}");
}
