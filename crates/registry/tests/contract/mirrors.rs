//! Mirrors: who is asked, and who is asked next.

use std::time::Duration;

use banger_oci::limits::MANIFEST_BYTES;
use banger_oci::{Digest, Reference};
use banger_registry::{Host, Mirror, Proxies};

use crate::server::{Content, Reply, Server, content, reply};
use crate::support::{Bench, MANIFEST, app, blob_of, manifest_reply, settings};

/// A bench where a registry has mirrors.
fn bench(registry: &Server, mirrors: &[(String, bool)]) -> Bench {
    let mirrors = mirrors.iter().map(|(location, tags)| Mirror { location: location.clone(), tags: *tags }).collect();
    let host = Host { mirrors, timeout: Duration::from_secs(1), ..Host::default() };
    Bench::with(settings([(registry.authority(), host)]), None, Proxies::none())
}

#[test]
fn the_first_mirror_that_has_it_is_enough() {
    let registry = Server::start(|_| manifest_reply());
    let first = Server::start(|_| reply(404, ""));
    let second = Server::start(|_| manifest_reply());
    let bench = bench(&registry, &[(format!("{}/hub/cache", first.authority()), true), (second.authority(), true)]);
    bench.client.head(&app(&registry)).expect("found");
    assert_eq!(first.lines(), ["HEAD /v2/hub/cache/team/app/manifests/1"]);
    assert_eq!(second.lines(), ["HEAD /v2/team/app/manifests/1"]);
    assert!(registry.lines().is_empty());
    let expected = format!("mirror passed over: {} has no {}", first.authority(), app(&registry));
    assert_eq!(bench.events.texts(), [expected]);
}

#[test]
fn a_mirror_that_fails_in_any_way_is_passed_over() {
    let other = manifest_reply();
    let other = Reply { content: Content::Bytes(b"{}".to_vec()), headers: Vec::new(), ..other };
    for (what, failure) in [
        ("not found", reply(404, "")),
        ("unauthorised", reply(401, "").with("WWW-Authenticate", "Basic")),
        ("forbidden", reply(403, "")),
        ("broken", reply(500, "")),
        ("overloaded", reply(503, "").with("Retry-After", "3")),
        ("limited", reply(429, "")),
        ("gone", content(Content::HangUp)),
        ("garbage", content(Content::Raw(b"hello\r\n\r\n".to_vec()))),
        ("other content", other),
        ("endless", content(Content::Endless)),
        ("astray", reply(307, "").with("Location", "file:///etc/passwd")),
    ] {
        let registry = Server::start(|_| manifest_reply());
        let mirror = Server::start(move |_| failure.clone());
        let bench = bench(&registry, &[(mirror.authority(), true)]);
        let digest = Digest::sha256(MANIFEST);
        let document = bench.client.manifest(&app(&registry), &digest, MANIFEST_BYTES);
        assert_eq!(document.unwrap_or_else(|error| panic!("{what}: {error}")).bytes, MANIFEST, "{what}");
        assert_eq!(registry.lines().len(), 1, "{what}");
        let warnings = bench.events.texts();
        assert!(warnings.len() == 1 && warnings[0].contains(&mirror.authority()), "{what}: {warnings:?}");
        assert!(bench.clock.slept().is_empty(), "{what}: nobody waits for a mirror");
    }
}

#[test]
fn a_mirror_that_cannot_be_reached_rests_for_a_while() {
    let registry = Server::start(|_| reply(200, "blob"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = bench(&registry, &[(nobody.to_string(), true)]);
    let read = || bench.read(&app(&registry), &blob_of(b"blob"), 0).1.expect("from the registry");
    read();
    read();
    assert_eq!(bench.events.texts().len(), 1);

    // It is back, and after a minute it is asked again.
    let listener = std::net::TcpListener::bind(nobody).expect("the same port");
    let asked = std::thread::spawn(move || listener.accept().is_ok());
    bench.clock.advance(61);
    read();
    assert!(asked.join().unwrap());
}

#[test]
fn a_mirror_without_tags_is_asked_for_digests_only() {
    let registry = Server::start(|_| manifest_reply());
    let mirror = Server::start(|_| manifest_reply());
    let bench = bench(&registry, &[(mirror.authority(), false)]);
    let found = bench.client.head(&app(&registry)).expect("found");
    assert!(mirror.lines().is_empty());
    bench.client.manifest(&app(&registry), &found.digest, MANIFEST_BYTES).expect("fetched");
    let pinned = Reference::parse(&format!("{}@{}", app(&registry).name(), found.digest)).unwrap();
    bench.client.head(&pinned).expect("found");
    assert_eq!(mirror.lines().len(), 2);
    assert_eq!(registry.lines(), ["HEAD /v2/team/app/manifests/1"]);
}

#[test]
fn a_mirror_that_lied_is_not_asked_again() {
    let registry = Server::start(|_| reply(200, "blob"));
    let mirror = Server::start(|_| reply(200, "lies"));
    let bench = bench(&registry, &[(mirror.authority(), true)]);
    let reference = app(&registry);
    let (bytes, _) = bench.read(&reference, &blob_of(b"blob"), 0);
    assert_eq!(bytes, b"lies");
    assert!(bench.client.distrust(&reference, &mirror.authority()));
    assert!(!bench.client.distrust(&reference, &registry.authority()));
    let (bytes, _) = bench.read(&reference, &blob_of(b"blob"), 0);
    assert_eq!(bytes, b"blob");
    assert_eq!(bench.events.texts().len(), 1);
}

#[test]
fn the_registrys_own_failure_is_what_is_told() {
    let registry = Server::start(|_| reply(404, ""));
    let mirror = Server::start(|_| reply(500, ""));
    let error = bench(&registry, &[(mirror.authority(), true)]).client.head(&app(&registry)).expect_err("nowhere");
    assert!(error.to_string().starts_with(&format!("{} has no", registry.authority())), "{error}");
}
