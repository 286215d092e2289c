//! Where registries send their clients.

use banger_registry::credentials::Credential;
use banger_registry::{Error, Proxies, Settings};

use crate::server::{Proxy, Server, authority_file, reply};
use crate::support::{Bench, app, blob_of, named};

const BLOB: &[u8] = b"content of a blob";

#[test]
fn every_kind_of_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        for location in
            ["/elsewhere/blob", "//HOST/elsewhere/blob", "../../../../elsewhere/blob", "http://HOST/elsewhere/blob"]
        {
            let server = Server::start(move |request| match request.path.as_str() {
                "/elsewhere/blob" => reply(200, BLOB),
                _ => reply(status, "moved").with("Location", location.replace("HOST", request.header("host"))),
            });
            let bench = Bench::new();
            let (bytes, result) = bench.read(&app(&server), &blob_of(BLOB), 0);
            assert!(result.is_ok(), "{status} {location}: {result:?}");
            assert_eq!(bytes, BLOB);
            assert_eq!(server.connections(), 1, "connections are used again");
        }
    }
}

#[test]
fn credentials_stay_with_the_host_that_they_are_for() {
    let store = Server::start(|request| match request.header("range") {
        "bytes=7-" => {
            let range = format!("bytes 7-{}/{}", BLOB.len() - 1, BLOB.len());
            reply(206, &BLOB[7..]).with("Content-Range", range)
        }
        _ => reply(500, ""),
    });
    let there = store.authority();
    let server = Server::start(move |request| match (request.header("authorization"), request.path.as_str()) {
        ("", _) => reply(401, "").with("WWW-Authenticate", "Basic"),
        (_, "/second") => reply(302, "").with("Location", format!("http://{there}/signed?x=y")),
        (_, _) => reply(302, "").with("Location", "/second"),
    });
    let anna = Credential::Basic { username: "anna".to_owned(), password: "hunter2".to_owned() };
    let bench = Bench::with_credential(anna);
    let (bytes, result) = bench.read(&app(&server), &blob_of(BLOB), 7);
    assert_eq!((bytes.as_slice(), result.expect("the rest")), (&BLOB[7..], 7));
    let request = &store.requests()[0];
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/signed?x=y", ""));
    assert_ne!(server.requests()[2].header("authorization"), "", "the same host is shown them");
}

#[test]
fn a_loop_ends() {
    let server = Server::start(|request| reply(302, "").with("Location", request.path.clone()));
    let (_, result) = Bench::new().read(&app(&server), &blob_of(BLOB), 0);
    let error = result.expect_err("a loop");
    assert!(error.to_string().ends_with("it redirects more than 10 times"), "{error}");
    assert_eq!(server.lines().len(), 11);
}

#[test]
fn places_that_nobody_is_sent_to() {
    for (location, reason) in [
        ("file:///etc/passwd", "neither http nor https"),
        ("http://169.254.169.254/latest/meta-data", "is not configured as insecure"),
        ("http://user:password@127.0.0.1/", "a user name or a password in it"),
        ("https://", "not an address"),
    ] {
        let server = Server::start(move |_| reply(307, "").with("Location", location));
        let (_, result) = Bench::new().read(&app(&server), &blob_of(BLOB), 0);
        let error = result.expect_err(location);
        assert!(matches!(error, Error::Protocol { .. }) && error.to_string().contains(reason), "{error}");
    }
    let server = Server::start(|_| reply(302, ""));
    let error = Bench::new().client.head(&app(&server)).expect_err("nowhere");
    assert!(error.to_string().contains("does not say to where"), "{error}");
}

#[test]
fn what_began_with_tls_does_not_go_on_without() {
    let plain = Server::start(|_| reply(200, BLOB));
    let there = plain.authority();
    let server = Server::tls(move |_| reply(302, "").with("Location", format!("http://{there}/")));
    let address = server.address();
    let proxy = Proxy::start(move |_| Some(address));
    let url = format!("http://{}", proxy.address);
    let proxies = Proxies::from_environment(|name| (name == "HTTPS_PROXY").then(|| url.clone())).unwrap();
    let settings = Settings { ca: vec![authority_file()], ..Settings::default() };
    let (_, result) = Bench::with(settings, None, proxies).read(&named("registry.test"), &blob_of(BLOB), 0);
    let error = result.expect_err("refused");
    assert!(error.to_string().contains("it redirects from https to"), "{error}");
    assert!(plain.lines().is_empty());
}

#[test]
fn what_a_store_refuses_is_no_matter_of_logging_in() {
    let store = Server::start(|_| reply(403, "<Error><Code>AccessDenied</Code></Error>"));
    let there = store.authority();
    let server = Server::start(move |_| reply(307, "").with("Location", format!("http://{there}/x")));
    let (_, result) = Bench::new().read(&app(&server), &blob_of(BLOB), 0);
    let error = result.expect_err("refused");
    assert!(matches!(&error, Error::Status { status: 403, host, .. } if *host == store.authority()), "{error:?}");
}
