//! Files of any server: which answers are taken for the rest of one, and which addresses are asked.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use banger_oci::ErrorKind;
use banger_registry::credentials::Credential;
use banger_registry::{Error, Host, Proxies, Settings};

use crate::server::{Content, Reply, Request, Server, authority_file, content, reply};
use crate::support::{Bench, everything, settings};

const FILE: &[u8] = b"0123456789";

/// A file of a server that knows ranges.
fn ranged(request: &Request) -> Reply {
    match request.header("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')) {
        None => reply(200, FILE),
        Some(first) => match FILE.get(first.parse().unwrap()..) {
            Some(rest) if !rest.is_empty() => reply(206, rest).with("Content-Range", format!("bytes {first}-9/10")),
            _ => reply(416, "").with("Content-Range", "bytes */10"),
        },
    }
}

/// Offset, total, content.
fn get(bench: &Bench, url: &str, offset: u64) -> Result<(u64, Option<u64>, Vec<u8>), Error> {
    let mut get = bench.client.get(url, offset)?;
    let mut bytes = Vec::new();
    get.body.read_to_end(&mut bytes).map_err(|error| get.body.broken(error))?;
    Ok((get.offset, get.total, bytes))
}

fn address(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.authority())
}

#[test]
fn a_file_and_the_rest_of_one() {
    let server = Server::start(ranged);
    let bench = Bench::new();
    let url = address(&server, "/catalog.json?x=1");
    for (offset, expected) in [(0, (0, 10)), (4, (4, 10)), (9, (9, 10)), (10, (0, 10)), (11, (0, 10))] {
        let (begins, total, bytes) = get(&bench, &url, offset).expect("got");
        assert_eq!((begins, total), (expected.0, Some(expected.1)), "{offset}");
        assert_eq!(bytes, FILE[begins as usize..], "{offset}");
    }
    let first = &server.requests()[0];
    assert_eq!(first.path, "/catalog.json?x=1");
    assert_eq!((first.header("range"), first.header("accept-encoding")), ("", "identity"));
}

#[test]
fn answers_that_are_no_rest_mean_everything() {
    let answers = [
        reply(200, FILE),
        reply(206, &FILE[3..]).with("Content-Range", "bytes 3-9/10"),
        reply(206, &FILE[4..8]).with("Content-Range", "bytes 4-7/10"),
        reply(206, &FILE[4..]).with("Content-Range", "bytes 9-4/10"),
        reply(206, &FILE[4..]),
        reply(416, ""),
    ];
    for answer in answers {
        let answer = std::sync::Arc::new(answer);
        let server = Server::start({
            let answer = answer.clone();
            move |request| if request.header("range").is_empty() { reply(200, FILE) } else { (*answer).clone() }
        });
        let got = get(&Bench::new(), &address(&server, "/f"), 4).expect("got");
        assert_eq!(got, (0, Some(10), FILE.to_vec()), "{answer:?}");
    }
    // Nobody has asked for a part.
    let server = Server::start(|_| reply(206, FILE).with("Content-Range", "bytes 0-9/10"));
    let error = get(&Bench::new(), &address(&server, "/f"), 0).expect_err("a part");
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
}

#[test]
fn sizes_that_are_not_said_are_not_known() {
    for body in [Content::Chunked(FILE.to_vec()), Content::Unsized(FILE.to_vec())] {
        let server = Server::start(move |_| content(body.clone()));
        assert_eq!(get(&Bench::new(), &address(&server, "/f"), 0).expect("got"), (0, None, FILE.to_vec()));
    }
    let server = Server::start(|_| reply(206, &FILE[4..]).with("Content-Range", "bytes 4-9/*"));
    assert_eq!(get(&Bench::new(), &address(&server, "/f"), 4).expect("got"), (4, None, FILE[4..].to_vec()));
    let server = Server::start(|_| content(Content::Cut(10, FILE[..7].to_vec())));
    let error = get(&Bench::new(), &address(&server, "/f"), 0).expect_err("cut");
    assert!(matches!(error, Error::Connection { .. }) && error.is_temporary(), "{error:?}");
}

#[test]
fn addresses_that_are_not_asked() {
    for (url, reason) in [
        ("http://catalog.example/c.json", "is not configured as insecure"),
        ("http://169.254.169.254/latest", "is not configured as insecure"),
        ("https://u:p@catalog.example/c.json", "a user name or a password"),
        ("file:///etc/passwd", "neither http nor https"),
        ("catalog.json", "not an address"),
        ("", "not an address"),
    ] {
        let error = Bench::new().client.get(url, 0).expect_err(url);
        assert!(matches!(error, Error::Settings { .. }) && error.to_string().contains(reason), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn an_insecure_host_may_speak_http() {
    let server = Server::start(ranged);
    let there = server.address();
    let proxy = crate::server::Proxy::start(move |_| Some(there));
    let address = format!("http://{}", proxy.address);
    let proxies = Proxies::from_environment(|name| (name == "HTTP_PROXY").then(|| address.clone())).unwrap();
    let host = Host { insecure: true, ..Host::default() };
    let settings = settings([("catalog.example".to_owned(), host)]);
    let bench = Bench::with(settings, None, proxies);
    assert_eq!(get(&bench, "http://catalog.example/f", 0).expect("got").2, FILE);
    assert!(proxy.asked.lock().unwrap()[0].starts_with("CONNECT catalog.example:80 "));
}

#[test]
fn redirects_are_followed_as_those_of_registries() {
    let server = Server::start(|request| match request.path.as_str() {
        "/moved" => reply(302, "").with("Location", "/f"),
        "/loop" => reply(302, "").with("Location", "/loop"),
        "/out" => reply(302, "").with("Location", "http://catalog.example/f"),
        "/file" => reply(302, "").with("Location", "file:///etc/passwd"),
        _ => ranged(request),
    });
    let bench = Bench::new();
    assert_eq!(get(&bench, &address(&server, "/moved"), 4).expect("got"), (4, Some(10), FILE[4..].to_vec()));
    for (path, reason) in [
        ("/loop", "redirects more than 10 times"),
        ("/out", "is not configured as insecure"),
        ("/file", "neither http nor https"),
    ] {
        let error = get(&bench, &address(&server, path), 0).expect_err(path);
        assert!(matches!(error, Error::Protocol { .. }) && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn tls_is_checked_and_not_left() {
    let plain = Server::start(ranged);
    let there = plain.authority();
    let server = Server::tls(move |request| match request.path.as_str() {
        "/down" => reply(302, "").with("Location", format!("http://{there}/f")),
        _ => ranged(request),
    });
    let address = server.address();
    let proxy = crate::server::Proxy::start(move |_| Some(address));
    let url = format!("http://{}", proxy.address);
    let bench = |ca| {
        let proxies = Proxies::from_environment(|name| (name == "HTTPS_PROXY").then(|| url.clone())).unwrap();
        Bench::with(Settings { ca, ..Settings::default() }, None, proxies)
    };
    let trusting = bench(vec![authority_file()]);
    assert_eq!(get(&trusting, "https://registry.test/f", 0).expect("got").2, FILE);
    let error = get(&trusting, "https://registry.test/down", 0).expect_err("refused");
    assert!(error.to_string().contains("from https to"), "{error}");
    assert!(plain.lines().is_empty());
    let error = get(&bench(Vec::new()), "https://registry.test/f", 0).expect_err("unknown authority");
    assert_eq!(
        error.kind(),
        if matches!(error, Error::Settings { .. }) { ErrorKind::Usage } else { ErrorKind::Network }
    );
}

#[test]
fn failures_are_told_and_secrets_are_not() {
    let credential = Credential::Basic { username: "anna".into(), password: "hunter2".into() };
    let bench = Bench::with_credential(credential);
    for (status, kind) in [
        (404, ErrorKind::NotFound),
        (410, ErrorKind::NotFound),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Unauthorized),
    ] {
        let server = Server::start(move |_| reply(status, "").with("WWW-Authenticate", "Basic realm=x"));
        let url = address(&server, "/f?signature=secret");
        let error = get(&bench, &url, 0).expect_err("refused");
        assert_eq!(error.kind(), kind, "{error:?}");
        let text = everything(&error);
        assert!(text.contains("/f") && !text.contains("secret"), "{text}");
        assert_eq!(server.lines().len(), 1);
        assert_eq!(server.requests()[0].header("authorization"), "");
    }
    let server = Server::start(|_| reply(200, FILE).with("Content-Encoding", "gzip"));
    let error = get(&bench, &address(&server, "/f"), 0).expect_err("compressed");
    assert!(error.to_string().contains("the encoding \"gzip\""), "{error}");
}

#[test]
fn a_server_that_fails_twice_is_forgiven() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(
        move |request| if tries.fetch_add(1, Ordering::SeqCst) < 2 { reply(503, "") } else { ranged(request) },
    );
    let bench = Bench::new();
    get(&bench, &address(&server, "/f"), 0).expect("got");
    assert_eq!(bench.clock.slept().len(), 2);
}
