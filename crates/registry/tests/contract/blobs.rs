//! Blobs: whole, from an offset on, and broken off.

use std::io::Read;
use std::time::{Duration, Instant};

use banger_registry::Error;

use crate::server::{Content, Server, content, reply};
use crate::support::{Bench, app, blob_of, everything};

const BLOB: &[u8] = b"0123456789";

#[test]
fn a_blob_comes_whole_or_from_an_offset_on() {
    let server = Server::start(|request| match request.header("range") {
        "" => reply(200, BLOB),
        "bytes=4-" => reply(206, &BLOB[4..]).with("Content-Range", "bytes 4-9/10"),
        other => panic!("{other}"),
    });
    let bench = Bench::new();
    let (bytes, offset) = bench.read(&app(&server), &blob_of(BLOB), 0);
    assert_eq!((bytes.as_slice(), offset.unwrap()), (BLOB, 0));
    let (bytes, offset) = bench.read(&app(&server), &blob_of(BLOB), 4);
    assert_eq!((bytes.as_slice(), offset.unwrap()), (&BLOB[4..], 4));
    assert!(server.requests().iter().all(|request| request.header("accept-encoding") == "identity"));
    assert_eq!(server.connections(), 1);
}

#[test]
fn whoever_reads_just_the_bytes_of_a_blob_gives_the_connection_back_too() {
    let server = Server::start(|_| reply(200, BLOB));
    let bench = Bench::new();
    for _ in 0..3 {
        let mut body = bench.client.blob(&app(&server), &blob_of(BLOB), 0).expect("a blob");
        body.read_exact(&mut [0; 10]).expect("its bytes");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn another_part_than_was_asked_for_is_of_no_use() {
    let part = |range: &'static str| reply(206, &BLOB[3..]).with("Content-Range", range);
    for (what, first, requests) in [
        ("everything", reply(200, BLOB), 1),
        ("another offset", part("bytes 3-9/10"), 2),
        ("another end", part("bytes 4-8/10"), 2),
        ("another size", part("bytes 4-9/11"), 2),
        ("no range", reply(206, &BLOB[4..]), 2),
        ("nonsense", part("bytes */10"), 2),
        ("none", reply(416, "").with("Content-Range", "bytes */10"), 2),
    ] {
        let server = Server::start(move |request| match request.header("range") {
            "" => reply(200, BLOB),
            _ => first.clone(),
        });
        let (bytes, offset) = Bench::new().read(&app(&server), &blob_of(BLOB), 4);
        assert_eq!((bytes.as_slice(), offset.expect(what)), (BLOB, 0), "{what}");
        assert_eq!(server.lines().len(), requests, "{what}");
    }
    let server = Server::start(|_| reply(206, &BLOB[4..]).with("Content-Range", "bytes 4-9/10"));
    let error = Bench::new().read(&app(&server), &blob_of(BLOB), 0).1.expect_err("a part of what was asked for whole");
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn a_blob_that_breaks_off_leaves_what_has_arrived() {
    for broken in [Content::Cut(10, BLOB[..6].to_vec()), Content::Unsized(BLOB[..6].to_vec())] {
        let server = Server::start(move |_| content(broken.clone()));
        let (bytes, result) = Bench::new().read(&app(&server), &blob_of(BLOB), 0);
        assert_eq!(bytes, BLOB[..6]);
        let error = result.expect_err("broken off");
        assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    }
}

#[test]
fn lengths_that_are_lies_are_left_to_whoever_checks_the_digest() {
    for (body, expected) in [
        (Content::Bytes(BLOB[..6].to_vec()), 6),
        (Content::Bytes(BLOB.repeat(2)), 20),
        (Content::Chunked(BLOB[..6].to_vec()), 6),
        (Content::Chunked(BLOB.repeat(2)), 20),
        (Content::Unsized(BLOB.repeat(2)), 20),
    ] {
        let server = Server::start(move |_| content(body.clone()));
        let (bytes, result) = Bench::new().read(&app(&server), &blob_of(BLOB), 0);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(bytes.len(), expected);
    }
}

#[test]
fn a_blob_that_stalls_is_given_up() {
    let server = Server::start(|_| content(Content::Stalled(10, BLOB[..6].to_vec())));
    let bench = Bench::impatient(&server, Duration::from_millis(200));
    let (bytes, result) = bench.read(&app(&server), &blob_of(BLOB), 0);
    assert_eq!(bytes, BLOB[..6]);
    let error = result.expect_err("silence");
    assert!(everything(&error).contains("nothing came from it for 0.2 s"), "{error:?}");
}

#[test]
fn a_blob_that_trickles_is_given_up() {
    // A byte each 10 ms is never silent, and never ends.
    let server = Server::start(|_| content(Content::Trickle(1 << 20, Duration::from_millis(10))));
    let bench = Bench::impatient(&server, Duration::from_millis(300));
    let start = Instant::now();
    let (bytes, result) = bench.read(&app(&server), &blob_of(&vec![b'x'; 1 << 20]), 0);
    let error = result.expect_err("too slow");
    assert!(everything(&error).contains("it sends too slowly"), "{error:?}");
    assert!(!bytes.is_empty() && start.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_encoding_that_nobody_asked_for_is_refused() {
    let server = Server::start(|_| reply(200, BLOB).with("Content-Encoding", "gzip"));
    let error = Bench::new().read(&app(&server), &blob_of(BLOB), 0).1.expect_err("encoded");
    assert!(error.to_string().contains("encoding \"gzip\""), "{error}");
    let server = Server::start(|_| reply(200, BLOB).with("Content-Encoding", "identity"));
    assert_eq!(Bench::new().read(&app(&server), &blob_of(BLOB), 0).0, BLOB);
}

#[test]
fn a_large_blob_arrives_unchanged() {
    let blob: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for chunked in [false, true] {
        let sent = blob.clone();
        let server = Server::start(move |_| {
            content(if chunked { Content::Chunked(sent.clone()) } else { Content::Bytes(sent.clone()) })
        });
        let (bytes, result) = Bench::new().read(&app(&server), &blob_of(&blob), 0);
        assert!(result.is_ok() && bytes == blob, "{result:?}");
    }
}
