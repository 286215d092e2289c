//! How hosts are reached: TLS and whom it trusts, plain HTTP and who may speak it, proxies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use banger_oci::ErrorKind;
use banger_registry::{Host, Proxies, Settings};

use crate::server::{Proxy, Server, authority_file, reply};
use crate::support::{Bench, app, everything, manifest_reply, named, settings};

/// A proxy behind which `registry.test` is a server on loopback, and the proxies that lead to it.
fn proxied(address: SocketAddr) -> (Proxy, Proxies) {
    let proxy = Proxy::start(move |target| target.starts_with("registry.test:").then_some(address));
    let url = format!("http://anna:hunter2@{}", proxy.address);
    let proxies = Proxies::from_environment(|name| (name == "all_proxy").then(|| url.clone())).expect("proxies");
    (proxy, proxies)
}

fn own_authority() -> Settings {
    let host = Host { ca: vec![authority_file()], ..Host::default() };
    settings([("registry.test".to_owned(), host)])
}

#[test]
fn a_configured_authority_is_trusted() {
    let server = Server::tls(|_| manifest_reply());
    let (proxy, proxies) = proxied(server.address());
    Bench::with(own_authority(), None, proxies).client.head(&named("registry.test")).expect("found");
    assert_eq!(server.connections(), 1);
    let asked = proxy.asked.lock().unwrap()[0].clone();
    assert!(asked.starts_with("CONNECT registry.test:443 HTTP/1.1"), "{asked}");
    assert!(asked.contains("Proxy-Authorization: Basic YW5uYTpodW50ZXIy"), "{asked}");
}

#[test]
fn an_unknown_authority_is_not() {
    let server = Server::tls(|_| manifest_reply());
    let (_proxy, proxies) = proxied(server.address());
    let bench = Bench::with(Settings::default(), None, proxies);
    let error = bench.client.head(&named("registry.test")).expect_err("not trusted");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(everything(&error).contains("its certificate is from an authority that is not trusted here"), "{error:?}");
    assert!(server.lines().is_empty() && bench.clock.slept().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let server = Server::tls(|_| manifest_reply());
    let address = server.address();
    let proxy = Proxy::start(move |_| Some(address));
    let url = format!("http://{}", proxy.address);
    let proxies = Proxies::from_environment(|name| (name == "HTTPS_PROXY").then(|| url.clone())).expect("proxies");
    let settings = Settings { ca: vec![authority_file()], ..Settings::default() };
    let error = Bench::with(settings, None, proxies).client.head(&named("other.test")).expect_err("not trusted");
    assert!(everything(&error).contains("its certificate is for another name"), "{error:?}");
}

#[test]
fn a_file_that_is_no_certificate_is_named() {
    let host = Host { ca: vec!["/nowhere/ca.pem".into()], ..Host::default() };
    let settings = settings([("registry.test".to_owned(), host)]);
    let error = Bench::with(settings, None, Proxies::none()).client.head(&named("registry.test")).expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[test]
fn an_insecure_host_is_asked_with_tls_first() {
    // On loopback nothing needs to be configured, and nothing is checked.
    let server = Server::tls(|_| manifest_reply());
    let bench = Bench::new();
    bench.client.head(&app(&server)).expect("found");
    bench.client.head(&app(&server)).expect("found");
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_insecure_host_may_speak_plain_http() {
    let server = Server::start(|_| manifest_reply());
    let (proxy, proxies) = proxied(server.address());
    let insecure = Host { insecure: true, ..Host::default() };
    let settings = settings([("registry.test:5000".to_owned(), insecure)]);
    let bench = Bench::with(settings, None, proxies);
    for _ in 0..3 {
        bench.client.head(&named("registry.test:5000")).expect("found");
    }
    // One attempt with TLS, one connection without it.
    assert_eq!((proxy.asked.lock().unwrap().len(), server.connections()), (2, 1));
    assert!(bench.events.texts().is_empty());
}

#[test]
fn a_host_that_hangs_up_on_tls_is_asked_without() {
    let server = Server::taciturn(|_| manifest_reply());
    Bench::new().client.head(&app(&server)).expect("found");

    // Some servers with TLS say so, to whoever comes without, by this status: then the first failure is the one to tell.
    let server = Server::taciturn(|_| reply(400, "this is the port of HTTPS"));
    let error = Bench::new().client.head(&app(&server)).expect_err("broken");
    assert!(matches!(error, banger_registry::Error::Connection { .. }), "{error}");
}

#[test]
fn other_hosts_never_speak_plain_http() {
    let server = Server::start(|_| manifest_reply());
    let (_proxy, proxies) = proxied(server.address());
    let bench = Bench::with(Settings::default(), None, proxies);
    bench.client.head(&named("registry.test:5000")).expect_err("no TLS");
    assert!(server.lines().is_empty());
}

#[test]
fn a_server_with_tls_that_fails_is_not_asked_without() {
    let server = Server::tls(|_| reply(503, ""));
    let error = Bench::new().client.head(&app(&server)).expect_err("broken");
    assert!(matches!(error, banger_registry::Error::Status { status: 503, .. }), "{error}");
}

#[test]
fn a_proxy_that_does_not_connect_is_named_as_the_reason() {
    let proxy = Proxy::start(|_| None);
    let url = format!("http://{}", proxy.address);
    let proxies = Proxies::from_environment(|name| (name == "https_proxy").then(|| url.clone())).expect("proxies");
    let error =
        Bench::with(Settings::default(), None, proxies).client.head(&named("registry.test")).expect_err("no way");
    assert!(everything(&error).contains("the proxy does not connect to it"), "{error:?}");
}

#[test]
fn a_port_that_does_not_exist_is_not_taken_for_another() {
    let error = Bench::new().client.head(&named("localhost:99999")).expect_err("no such port");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().starts_with("host localhost:99999: "), "{error}");
}

#[test]
fn jobs_and_timeouts_are_those_of_the_host() {
    let host =
        |jobs| Host { jobs: std::num::NonZeroUsize::new(jobs), timeout: Duration::from_secs(1), ..Host::default() };
    let hosts = BTreeMap::from([("a.example".to_owned(), host(9)), ("b.example".to_owned(), host(0))]);
    let settings = Settings { hosts, jobs: std::num::NonZeroUsize::new(5), ca: Vec::new() };
    let bench = Bench::with(settings, None, Proxies::none());
    let jobs = |name: &str| bench.client.jobs(&named(name)).get();
    assert_eq!((jobs("a.example"), jobs("b.example"), jobs("c.example")), (9, 5, 5));
    assert_eq!(Bench::new().client.jobs(&named("c.example")), banger_registry::DEFAULT_JOBS);
}
