//! Whether a credential is good is asked of the registry itself, and for nothing in particular.

use banger_oci::ErrorKind;
use banger_registry::credentials::Credential;
use banger_registry::{Host, Mirror, Proxies};

use crate::server::{Server, reply};
use crate::support::{Bench, app, everything, is_bearer, settings};

const GOOD: &str = "Basic YW5uYTpodW50ZXIy";

fn anna(password: &str) -> Bench {
    Bench::with_credential(Credential::Basic { username: "anna".to_owned(), password: password.to_owned() })
}

#[test]
fn a_token_is_asked_for_without_a_scope() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return match request.header("authorization") {
                GOOD => reply(200, r#"{"token":"t"}"#),
                _ => reply(401, r#"{"details":"incorrect username or password"}"#),
            };
        }
        let host = request.header("host");
        // Some name a scope even here, which not everybody who can log in may have.
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="reg",scope="repository:a/b:pull""#);
        if is_bearer(request, "t") { reply(200, "{}") } else { reply(401, "").with("WWW-Authenticate", challenge) }
    });
    assert!(anna("hunter2").client.check(&app(&server)).unwrap());
    assert_eq!(server.lines(), ["GET /v2/", "GET /token?service=reg", "GET /v2/"]);

    let error = anna("hunter3").client.check(&app(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().ends_with("incorrect username or password"), "{error}");
    assert!(!everything(&error).contains("hunter3"));
}

#[test]
fn a_password_is_tried() {
    let server = Server::start(|request| match request.header("authorization") {
        GOOD => reply(200, "{}"),
        _ => reply(401, "").with("WWW-Authenticate", "Basic realm=\"Registry\""),
    });
    assert!(anna("hunter2").client.check(&app(&server)).unwrap());
    let error = anna("hunter3").client.check(&app(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(server.lines(), ["GET /v2/"; 4]);
}

#[test]
fn a_registry_that_asks_nobody_has_checked_nothing() {
    let server = Server::start(|_| reply(200, "{}"));
    assert!(!anna("hunter2").client.check(&app(&server)).unwrap());
    assert_eq!(server.requests()[0].header("authorization"), "");
}

#[test]
fn mirrors_are_not_asked() {
    let (server, mirror) = (Server::start(|_| reply(200, "{}")), Server::start(|_| reply(200, "{}")));
    let mirrors = vec![Mirror { location: mirror.authority(), tags: true }];
    let host = Host { mirrors, ..Host::default() };
    let bench = Bench::with(settings([(server.authority(), host)]), None, Proxies::none());
    bench.client.check(&app(&server)).unwrap();
    assert!(mirror.lines().is_empty());
    assert_eq!(server.lines(), ["GET /v2/"]);
}
