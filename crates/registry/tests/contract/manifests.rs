//! What a name means, and the documents behind it.

use banger_oci::limits::MANIFEST_BYTES;
use banger_oci::{Digest, ErrorKind, MediaType, Reference};
use banger_registry::Error;

use crate::server::{Content, Server, content, reply};
use crate::support::{Bench, MANIFEST, MANIFEST_TYPE, app, count, manifest_reply};

#[test]
fn a_head_says_the_digest_and_a_get_by_digest_brings_it() {
    let server = Server::start(|_| manifest_reply());
    let bench = Bench::new();
    let digest = Digest::sha256(MANIFEST);

    let found = bench.client.head(&app(&server)).expect("found");
    assert_eq!((found.digest, found.size), (digest, MANIFEST.len() as u64));
    assert_eq!(found.media_type, MediaType::ImageManifest);
    let document = bench.client.manifest(&app(&server), &digest, MANIFEST_BYTES).expect("fetched");
    assert_eq!((document.bytes.as_slice(), document.media_type), (MANIFEST, MediaType::ImageManifest));

    assert_eq!(
        server.lines(),
        ["HEAD /v2/team/app/manifests/1".to_owned(), format!("GET /v2/team/app/manifests/{digest}")]
    );
    for request in server.requests() {
        for accepted in [
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ] {
            assert!(request.header("accept").contains(accepted), "{accepted}");
        }
        assert_eq!(request.header("user-agent"), concat!("banger/", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.header("accept-encoding"), "identity");
        assert_eq!(request.header("authorization"), "");
    }
    assert_eq!(server.connections(), 1, "the connection is used again");
}

#[test]
fn where_a_head_is_of_no_use_a_get_is_made_and_hashed() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(&str, u16, Headers); 9] = [
        ("no digest", 200, &[("Content-Type", MANIFEST_TYPE), ("Content-Length", "43")]),
        ("no digest that is one", 200, &[("Content-Type", MANIFEST_TYPE), ("Docker-Content-Digest", "sha256:../x")]),
        (
            "no type",
            200,
            &[("Docker-Content-Digest", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],
        ),
        ("no length", 200, &[("Content-Type", MANIFEST_TYPE), ("Content-Length", "0")]),
        ("bad request", 400, &[]),
        ("forbidden", 403, &[]),
        ("not allowed", 405, &[]),
        ("not acceptable", 406, &[]),
        ("not implemented", 501, &[]),
    ];
    for (name, status, headers) in cases {
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => headers.iter().fold(reply(status, ""), |reply, (name, value)| reply.with(name, *value)),
            _ => reply(200, MANIFEST).with("Content-Type", format!("{MANIFEST_TYPE}; charset=utf-8")),
        });
        let found = Bench::new().client.head(&app(&server)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.digest, Digest::sha256(MANIFEST), "{name}");
        assert_eq!((found.media_type, found.size), (MediaType::ImageManifest, MANIFEST.len() as u64), "{name}");
        assert_eq!(server.lines(), ["HEAD /v2/team/app/manifests/1", "GET /v2/team/app/manifests/1"], "{name}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Server::start(|_| reply(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#));
    let error = Bench::new().client.head(&app(&server)).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), format!("{} has no team/app:1", server.authority()));
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn a_digest_that_contradicts_the_content_is_an_error() {
    let other = Digest::sha256(b"other").to_string();
    let server = Server::start(move |request| match request.method.as_str() {
        "HEAD" => reply(405, ""),
        _ => reply(200, MANIFEST).with("Content-Type", MANIFEST_TYPE).with("Docker-Content-Digest", other.clone()),
    });
    let error = Bench::new().client.head(&app(&server)).expect_err("contradiction");
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Integrity);
}

#[test]
fn a_pinned_digest_is_what_counts() {
    let server = Server::start(|_| manifest_reply());
    let reference = |digest: Digest| Reference::parse(&format!("{}/team/app:1@{digest}", server.authority())).unwrap();
    let bench = Bench::new();
    let digest = Digest::sha256(MANIFEST);
    assert_eq!(bench.client.head(&reference(digest)).expect("found").digest, digest);
    assert_eq!(server.lines(), [format!("HEAD /v2/team/app/manifests/{digest}")]);

    let other = Digest::sha256(b"other");
    let error = bench.client.head(&reference(other)).expect_err("something else");
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
    let error = bench.client.manifest(&reference(other), &other, MANIFEST_BYTES).expect_err("something else");
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
}

#[test]
fn a_document_over_the_limit_is_not_read() {
    let large = vec![b' '; MANIFEST_BYTES as usize + 1];
    for body in
        [Content::Bytes(large.clone()), Content::Chunked(large.clone()), Content::Unsized(large), Content::Endless]
    {
        let server = Server::start(move |_| content(body.clone()).with("Content-Type", MANIFEST_TYPE));
        let bench = Bench::new();
        for error in [
            bench.client.head(&app(&server)).expect_err("too large"),
            bench.client.manifest(&app(&server), &Digest::sha256(b""), MANIFEST_BYTES).expect_err("too large"),
        ] {
            assert!(matches!(error, Error::Protocol { .. }), "{error}");
            assert!(error.to_string().contains("more than the 4194304 bytes"), "{error}");
        }
    }
}

#[test]
fn schema_1_is_handed_on_as_what_it_is() {
    const TYPE: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    // The digest is that of what was signed, not of what is sent.
    let signed = Digest::sha256(b"signed");
    let server = Server::start(move |_| {
        reply(200, r#"{"schemaVersion":1}"#)
            .with("Content-Type", TYPE)
            .with("Docker-Content-Digest", signed.to_string())
    });
    let bench = Bench::new();
    let found = bench.client.head(&app(&server)).expect("found");
    assert_eq!((found.digest, found.media_type), (signed, MediaType::from(TYPE)));
    let error = bench.client.manifest(&app(&server), &signed, MANIFEST_BYTES).expect_err("schema 1");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("schema 1"), "{error}");
}

#[test]
fn an_encoding_that_nobody_asked_for_is_refused() {
    let server = Server::start(|_| manifest_reply().with("Content-Encoding", "gzip"));
    let error =
        Bench::new().client.manifest(&app(&server), &Digest::sha256(MANIFEST), MANIFEST_BYTES).expect_err("encoded");
    assert!(error.to_string().contains("encoding \"gzip\""), "{error}");
}

#[test]
fn a_document_that_breaks_off_is_fetched_again() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => content(Content::Cut(MANIFEST.len() as u64, MANIFEST[..10].to_vec())),
        _ => manifest_reply(),
    });
    let bench = Bench::new();
    bench.client.manifest(&app(&server), &Digest::sha256(MANIFEST), MANIFEST_BYTES).expect("fetched");
    assert_eq!(count(&server, "GET"), 2);
    assert_eq!(bench.events.texts().len(), 1);
}

#[test]
fn what_is_not_http_is_refused() {
    for garbage in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"] {
        let server = Server::start(move |_| content(Content::Raw(garbage.into())));
        let error = Bench::new().client.head(&app(&server)).expect_err("garbage");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    }
    let header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let server = Server::start(move |_| content(Content::Raw(header.clone().into())));
    let error = Bench::new().client.head(&app(&server)).expect_err("too long");
    assert!(error.to_string().contains("more than 65536 bytes"), "{error}");
}
