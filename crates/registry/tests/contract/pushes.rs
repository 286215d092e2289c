//! What is sent to a registry: in which requests, and what becomes of each that fails.

use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use banger_oci::{Digest, ErrorKind, MediaType, Reference};
use banger_registry::credentials::Credential;
use banger_registry::{Error, Host, Mirror, Proxies, Sent, Settings};

use crate::fake::{Fake, UPLOADS};
use crate::server::{Content, Request, Server, content, reply};
use crate::support::{Bench, MANIFEST, MANIFEST_TYPE, app, blob_of, everything, is_bearer, settings};

const BLOB: &[u8] = b"a blob";

/// Bytes that differ from each other at all places that matter.
fn long(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7) as u8 ^ (at >> 13) as u8).collect()
}

fn opened(bytes: &[u8]) -> impl Fn(u64) -> io::Result<Box<dyn Read + Send>> + '_ {
    |offset| Ok(Box::new(Cursor::new(bytes[offset as usize..].to_vec())))
}

fn push(bench: &Bench, server: &Server, bytes: &[u8]) -> Result<Sent, Error> {
    bench.client.push_blob(&app(server), &blob_of(bytes), None, &opened(bytes))
}

fn is_upload(request: &Request, method: &str) -> bool {
    request.method == method && request.path.starts_with(UPLOADS)
}

#[test]
fn a_blob_is_sent_once() {
    let fake = Fake::new();
    let bench = Bench::new();
    for bytes in [BLOB, b"", &long(300_000)] {
        assert_eq!(push(&bench, &fake.server, bytes).expect("sent"), Sent::Uploaded);
        assert_eq!(fake.blob(&Digest::sha256(bytes)).as_deref(), Some(bytes));
        assert_eq!(push(&bench, &fake.server, bytes).expect("there"), Sent::There);
    }
    assert_eq!(bench.events.sent(), 300_000);
    let each = ["HEAD blobs", "POST upload", "PUT upload", "HEAD blobs"];
    assert_eq!(fake.story(), [each, each, each].concat());
    let puts: Vec<_> = fake.server.requests().into_iter().filter(|request| request.method == "PUT").collect();
    // What the registry has put into its address stays.
    let digest = Digest::sha256(BLOB);
    assert_eq!(puts[0].path, format!("{UPLOADS}0?_state=s0&digest={digest}"));
    assert_eq!(puts[0].header("content-type"), "application/octet-stream");
    assert!(puts.iter().all(|put| put.header("transfer-encoding").is_empty()));
}

#[test]
fn a_blob_of_another_size_is_not_the_one() {
    let fake = Fake::with(|request, _| (request.method == "HEAD").then(|| reply(200, "xxx")));
    assert_eq!(push(&Bench::new(), &fake.server, BLOB).expect("sent"), Sent::Uploaded);
}

#[test]
fn a_blob_of_another_repository_is_taken_from_there() {
    let digest = Digest::sha256(BLOB);
    let other = |server: &Server| Reference::parse(&format!("{}/other:1", server.authority())).unwrap();
    let mounts = Server::start(|request| reply(if request.method == "HEAD" { 404 } else { 201 }, ""));
    let sent = Bench::new().client.push_blob(&app(&mounts), &blob_of(BLOB), Some(&other(&mounts)), &opened(BLOB));
    assert_eq!(sent.expect("mounted"), Sent::Mounted);
    assert_eq!(mounts.lines()[1], format!("POST {UPLOADS}?mount={digest}&from=other"));

    let fake = Fake::new();
    let sent =
        Bench::new().client.push_blob(&app(&fake.server), &blob_of(BLOB), Some(&other(&fake.server)), &opened(BLOB));
    assert_eq!(sent.expect("sent"), Sent::Uploaded);
    // Another registry has nothing to do with it.
    let fake = Fake::new();
    let sent = Bench::new().client.push_blob(&app(&fake.server), &blob_of(BLOB), Some(&other(&mounts)), &opened(BLOB));
    assert_eq!(sent.expect("sent"), Sent::Uploaded);
    assert_eq!(fake.server.lines()[1], format!("POST {UPLOADS}"));
}

#[test]
fn one_token_is_for_all_of_it() {
    let scopes = Arc::<Mutex<Vec<String>>>::default();
    let asked = Arc::clone(&scopes);
    let tokens = Server::start(move |request| {
        asked.lock().unwrap().push(request.path.clone());
        reply(200, r#"{"token":"t","expires_in":300}"#)
    });
    let realm = tokens.authority();
    let fake = Fake::with(move |request, _| {
        let scope = if request.method == "HEAD" { "pull" } else { "pull,push" };
        let challenge = format!("Bearer realm=\"http://{realm}/t\",scope=\"repository:team/app:{scope}\"");
        (!is_bearer(request, "t")).then(|| reply(401, "").with("WWW-Authenticate", challenge))
    });
    let bench = Bench::new();
    push(&bench, &fake.server, BLOB).expect("sent");
    bench.client.push_manifest(&app(&fake.server), &MediaType::ImageManifest, MANIFEST).expect("sent");
    assert_eq!(*scopes.lock().unwrap(), ["/t?scope=repository:team/app:pull&scope=repository:team/app:pull%2Cpush"]);
    // What is for pushes is not shown where nothing is pushed.
    bench.client.head(&app(&fake.server)).expect_err("no such image");
    assert_eq!(scopes.lock().unwrap().len(), 2);
}

#[test]
fn an_upload_may_go_elsewhere_but_no_secret_does() {
    let stored = Arc::<Mutex<Vec<Request>>>::default();
    let kept = Arc::clone(&stored);
    let store = Server::start(move |request| {
        kept.lock().unwrap().push(request.clone());
        reply(201, "")
    });
    let there = store.authority();
    for is_redirect in [false, true] {
        let there = there.clone();
        let fake = Fake::with(move |request, _| {
            if request.header("authorization").is_empty() {
                return Some(reply(401, "").with("WWW-Authenticate", "Basic realm=x"));
            }
            let to = format!("http://{there}/store/1?signature=s");
            let is_moved = if is_redirect { is_upload(request, "PUT") } else { is_upload(request, "POST") };
            is_moved.then(|| reply(if is_redirect { 307 } else { 202 }, "").with("Location", to))
        });
        let credential = Credential::Basic { username: "anna".into(), password: "hunter2".into() };
        push(&Bench::with_credential(credential), &fake.server, BLOB).expect("sent");
        let request = stored.lock().unwrap().pop().expect("it was asked");
        assert!(request.path.starts_with("/store/1?signature=s"), "{request:?}");
        assert_eq!((request.bytes.as_slice(), request.header("authorization")), (BLOB, ""));
    }
}

#[test]
fn addresses_of_uploads_that_are_not_used() {
    let cases = [
        (None, "does not say to where"),
        (Some("file:///etc/passwd"), "neither http nor https"),
        (Some("http://169.254.169.254/x"), "is not configured as insecure"),
        (Some("http://u:p@127.0.0.1/x"), "a user name or a password"),
    ];
    for (location, reason) in cases {
        let fake = Fake::with(move |request, _| {
            is_upload(request, "POST").then(|| match location {
                Some(location) => reply(202, "").with("Location", location),
                None => reply(202, ""),
            })
        });
        let error = push(&Bench::new(), &fake.server, BLOB).expect_err(reason);
        assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let fake = Fake::with(|request, _| is_upload(request, "PUT").then(|| reply(303, "").with("Location", "/x")));
    let error = push(&Bench::new(), &fake.server, BLOB).expect_err("not followed");
    assert!(error.to_string().contains("to something to be read"), "{error}");
}

/// A registry, or a proxy before it, that takes so much at once.
fn narrow(limit: usize) -> Fake {
    Fake::with(move |request, _| {
        let length: usize = request.header("content-length").parse().unwrap_or(0);
        (length > limit).then(|| reply(413, "<html>nginx</html>"))
    })
}

#[test]
fn what_is_too_large_at_once_goes_in_pieces() {
    let bytes = long(18 << 20);
    let fake = narrow(5 << 20);
    let bench = Bench::new();
    assert_eq!(push(&bench, &fake.server, &bytes).expect("sent"), Sent::Uploaded);
    assert_eq!(fake.blob(&Digest::sha256(&bytes)), Some(bytes.clone()));
    let pieces: Vec<_> = fake.server.requests().into_iter().filter(|request| request.method == "PATCH").collect();
    let ranges: Vec<_> = pieces.iter().map(|piece| piece.header("content-range")).collect();
    assert_eq!(
        ranges,
        [
            // 16 and 8 MiB are too much as well.
            "0-16777215",
            "0-8388607",
            "0-4194303",
            "4194304-8388607",
            "8388608-12582911",
            "12582912-16777215",
            "16777216-18874367"
        ]
    );
    assert_eq!(bench.clock.slept(), [], "nothing has failed");

    let error = push(&Bench::new(), &narrow(1000).server, &bytes).expect_err("too little");
    assert!(matches!(error, Error::Refused { status: 413, .. }), "{error:?}");
    assert!(error.to_string().contains("takes at once"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_registry_says_how_small_pieces_may_be() {
    let bytes = long(20 << 20);
    let fake = Fake::with(|request, _| {
        if is_upload(request, "POST") {
            let location = format!("{UPLOADS}0");
            return Some(reply(202, "").with("Location", location).with("OCI-Chunk-Min-Length", "18874368"));
        }
        (is_upload(request, "PUT") && request.header("content-length") != "0").then(|| reply(405, ""))
    });
    fake.state.lock().unwrap().uploads.push(Some(Vec::new()));
    push(&Bench::new(), &fake.server, &bytes).expect("sent");
    let requests = fake.server.requests();
    let ranges = requests.iter().filter(|request| request.method == "PATCH").map(|piece| piece.header("content-range"));
    assert_eq!(ranges.collect::<Vec<_>>(), ["0-18874367", "18874368-20971519"]);
}

#[test]
fn an_upload_that_is_forgotten_is_begun_again() {
    for status in [404, 416] {
        // Of uploads that end with their first request it knows nothing.
        let fake = Fake::with(move |request, _| {
            (is_upload(request, "PUT") && !request.bytes.is_empty()).then(|| reply(status, ""))
        });
        push(&Bench::new(), &fake.server, BLOB).expect("sent");
        assert_eq!(
            fake.story(),
            ["HEAD blobs", "POST upload", "PUT upload", "POST upload", "PATCH upload", "PUT upload"]
        );
        // It never knows any.
        let fake = Fake::with(move |request, _| {
            (is_upload(request, "PUT") || request.method == "PATCH").then(|| reply(status, r#"{"message":"unknown"}"#))
        });
        let error = push(&Bench::new(), &fake.server, BLOB).expect_err("never");
        assert!(matches!(&error, Error::Refused { detail, .. } if detail == "unknown"), "{error:?}");
        assert_eq!(fake.story().iter().filter(|line| *line == "POST upload").count(), 3);
    }
}

/// A registry that takes half of the first body only.
fn breaking(size: usize, says_where: bool) -> Fake {
    let breaks = AtomicUsize::new(0);
    Fake::with(move |request, _| {
        if request.method == "GET" && !says_where {
            return Some(reply(416, ""));
        }
        let is_first = request.header("expect") == "100-continue" && breaks.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| content(Content::Swallow(size / 2)).status(100))
    })
}

#[test]
fn an_upload_that_breaks_goes_on_where_it_ended() {
    let bytes = long(1 << 20);
    let fake = breaking(bytes.len(), true);
    let bench = Bench::new();
    push(&bench, &fake.server, &bytes).expect("sent");
    assert_eq!(fake.blob(&Digest::sha256(&bytes)), Some(bytes.clone()));
    assert_eq!(fake.story(), ["HEAD blobs", "POST upload", "PUT upload", "GET upload", "PUT upload"]);
    assert_eq!(fake.server.requests()[4].header("content-range"), "524288-1048575");
    assert_eq!(bench.events.texts().len(), 1, "{:?}", bench.events.texts());
    assert_eq!(bench.clock.slept().len(), 1);

    let fake = breaking(bytes.len(), false);
    push(&Bench::new(), &fake.server, &bytes).expect("sent");
    assert_eq!(fake.story(), ["HEAD blobs", "POST upload", "PUT upload", "GET upload", "POST upload", "PUT upload"]);
    assert_eq!(fake.server.requests()[5].header("content-range"), "");
}

#[test]
fn who_does_not_want_to_be_asked_is_not() {
    let fake = Fake::with(|request, _| (!request.header("expect").is_empty()).then(|| reply(417, "")));
    let bench = Bench::new();
    push(&bench, &fake.server, &long(1 << 20)).expect("sent");
    push(&bench, &fake.server, &long(2 << 20)).expect("sent");
    let asked = fake.server.requests().iter().filter(|request| !request.header("expect").is_empty()).count();
    assert_eq!(asked, 1);
}

#[test]
fn refusals_say_what_they_mean() {
    type Case = (&'static str, u16, &'static str, &'static str, ErrorKind);
    let cases: [Case; 10] = [
        ("POST", 404, r#"{"errors":[{"message":"name unknown"}]}"#, "answered 404: name unknown", ErrorKind::NotFound),
        ("POST", 404, "", "there is no such repository", ErrorKind::NotFound),
        ("POST", 405, "", "it may be a mirror, or read-only", ErrorKind::Unsupported),
        ("POST", 403, r#"{"errors":[{"message":"denied"}]}"#, "does not allow access", ErrorKind::Unauthorized),
        ("POST", 401, "", "does not say how", ErrorKind::Unauthorized),
        ("HEAD", 403, "", "does not allow access", ErrorKind::Unauthorized),
        ("PUT", 400, r#"{"errors":[{"code":"SIZE_INVALID"}]}"#, "SIZE_INVALID", ErrorKind::Unsupported),
        ("PUT", 413, "", "takes at once", ErrorKind::Unsupported),
        ("PUT", 507, "", "answered 507", ErrorKind::Unsupported),
        ("POST", 500, "", "answered 500", ErrorKind::Network),
    ];
    for (method, status, words, expected, kind) in cases {
        let fake = Fake::with(move |request, _| {
            let is_meant = request.method == method || method == "PUT" && request.method == "PATCH";
            is_meant.then(|| reply(status, words))
        });
        let error = push(&Bench::new(), &fake.server, BLOB).expect_err(expected);
        assert!(error.to_string().contains(expected), "{method} {status}: {error}");
        assert!(error.to_string().contains("an upload to"), "{method} {status}: {error}");
        assert_eq!(error.kind(), kind, "{method} {status}: {error}");
    }
}

#[test]
fn a_registry_that_is_busy_is_asked_again() {
    for method in ["HEAD", "POST", "PUT"] {
        let tries = AtomicUsize::new(0);
        let fake = Fake::with(move |request, _| {
            let fails = request.method == method && tries.fetch_add(1, Ordering::SeqCst) < 2;
            fails.then(|| reply(503, ""))
        });
        let bench = Bench::new();
        push(&bench, &fake.server, BLOB).unwrap_or_else(|error| panic!("{method}: {error}"));
        assert_eq!(bench.clock.slept().len(), 2, "{method}");
    }
}

#[test]
fn another_digest_than_that_of_what_was_sent() {
    let wrong = Digest::sha256(b"other").to_string();
    let fake = Fake::with(move |request, _| {
        (request.method == "PUT").then(|| reply(201, "").with("Docker-Content-Digest", &*wrong))
    });
    let bench = Bench::new();
    let blob = push(&bench, &fake.server, BLOB).expect_err("another");
    let manifest = bench.client.push_manifest(&app(&fake.server), &MediaType::ImageManifest, MANIFEST);
    for error in [blob, manifest.expect_err("another")] {
        assert!(matches!(error, Error::Integrity { .. }), "{error:?}");
    }
}

#[test]
fn what_cannot_be_read_is_not_the_registrys_fault() {
    type Source = fn(u64) -> io::Result<Box<dyn Read + Send>>;
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is broken"))
        }
    }
    let cases: [(Source, &str); 3] = [
        (|_| Ok(Box::new(&b"a b"[..])), "it ends after 3 bytes, 3 too early"),
        (|_| Ok(Box::new(Fails)), "the disk is broken"),
        (|_| Err(io::Error::from(io::ErrorKind::NotFound)), "not found"),
    ];
    for (open, reason) in cases {
        let fake = Fake::new();
        let bench = Bench::new();
        let error = bench.client.push_blob(&app(&fake.server), &blob_of(BLOB), None, &open).expect_err(reason);
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(everything(&error).contains(reason), "{}", everything(&error));
        assert!(bench.clock.slept().is_empty());
    }
    // What grows meanwhile is sent as it was announced.
    let fake = Fake::new();
    let longer = b"a blob and more".as_slice();
    Bench::new().client.push_blob(&app(&fake.server), &blob_of(BLOB), None, &opened(longer)).expect("sent");
    assert_eq!(fake.blob(&Digest::sha256(BLOB)).as_deref(), Some(BLOB));
}

#[test]
fn manifests_go_under_their_tag_or_digest() {
    let fake = Fake::new();
    let bench = Bench::new();
    let digest = Digest::sha256(MANIFEST);
    let by_digest = Reference::parse(&format!("{}/team/app@{digest}", fake.server.authority())).unwrap();
    for reference in [app(&fake.server), by_digest] {
        let pushed = bench.client.push_manifest(&reference, &MediaType::ImageManifest, MANIFEST).expect("sent");
        assert_eq!(pushed, digest);
    }
    let state = fake.state.lock().unwrap();
    let expected = (MANIFEST_TYPE.to_owned(), MANIFEST.to_vec());
    for name in ["1", &digest.to_string()] {
        assert_eq!(state.manifests.get(name), Some(&expected), "{name}");
    }
    drop(state);
    let other = format!("{}/team/app@{}", fake.server.authority(), Digest::sha256(b"other"));
    let other = Reference::parse(&other).unwrap();
    let error = bench.client.push_manifest(&other, &MediaType::ImageManifest, MANIFEST).expect_err("another");
    assert!(matches!(error, Error::Integrity { .. }), "{error:?}");
    assert_eq!(fake.server.lines().len(), 2);
}

#[test]
fn mirrors_are_sent_nothing() {
    let mirror = Server::start(|_| reply(200, ""));
    let fake = Fake::new();
    let mirrors = vec![Mirror { location: mirror.authority(), tags: true }];
    let host = Host { mirrors, ..Host::default() };
    let settings: Settings = settings([(fake.server.authority(), host)]);
    let bench = Bench::with(settings, None, Proxies::none());
    push(&bench, &fake.server, BLOB).expect("sent");
    bench.client.push_manifest(&app(&fake.server), &MediaType::ImageManifest, MANIFEST).expect("sent");
    assert_eq!(mirror.lines(), Vec::<String>::new());
}
