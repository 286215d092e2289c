//! What is tried again, how often, and after which time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use banger_oci::ErrorKind;
use banger_registry::Error;

use crate::server::{Content, Reply, Server, content, reply};
use crate::support::{Bench, app, manifest_reply, named};

/// A server that fails so many times, and then answers.
fn failing(times: usize, failure: Reply) -> Server {
    let tries = AtomicUsize::new(0);
    Server::start(
        move |_| {
            if tries.fetch_add(1, Ordering::SeqCst) < times { failure.clone() } else { manifest_reply() }
        },
    )
}

#[test]
fn a_server_that_fails_twice_is_forgiven() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = failing(2, reply(status, r#"{"errors":[{"message":"hiccup"}]}"#));
        let bench = Bench::new();
        bench.client.head(&app(&server)).unwrap_or_else(|error| panic!("{status}: {error}"));
        let host = server.authority();
        // A HEAD has no words.
        let event = format!("{host} again: it answered {status}");
        assert_eq!(bench.events.texts(), [event.clone(), event], "{status}");
        let slept = bench.clock.slept();
        assert!(
            (500..1500).contains(&slept[0].as_millis()) && (1000..3000).contains(&slept[1].as_millis()),
            "{slept:?}"
        );
    }
}

#[test]
fn the_third_failure_is_believed() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = failing(9, reply(status, ""));
        let bench = Bench::new();
        let error = bench.client.head(&app(&server)).expect_err("failed");
        assert!(matches!(error, Error::Status { status: said, .. } if said == status), "{error}");
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(server.lines().len(), 3);
    }
}

#[test]
fn connections_that_end_are_made_again() {
    for failure in [Content::HangUp, Content::Raw(b"HTTP/1.1 200 OK\r\nContent-".to_vec())] {
        let server = failing(2, content(failure.clone()));
        let bench = Bench::new();
        bench.client.head(&app(&server)).unwrap_or_else(|error| panic!("{failure:?}: {error}"));
        assert_eq!(bench.events.texts().len(), 2, "{failure:?}");
        let server = failing(9, content(failure));
        let error = Bench::new().client.head(&app(&server)).expect_err("failed");
        assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    }
}

#[test]
fn a_port_where_nobody_listens_is_tried_three_times() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::new();
    let error = bench.client.head(&named(&address.to_string())).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(crate::support::everything(&error).contains("refused"), "{error:?}");
    assert_eq!(bench.clock.slept().len(), 2);
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(|_| content(Content::Silence));
    let bench = Bench::impatient(&server, Duration::from_millis(200));
    let error = bench.client.head(&app(&server)).expect_err("silence");
    let text = crate::support::everything(&error);
    assert!(text.contains("nothing came from it for 0.2 s"), "{text}");
    assert_eq!(bench.clock.slept().len(), 2);
}

#[test]
fn a_wait_that_is_asked_for_is_kept() {
    for (value, seconds) in [("42", 42), ("60", 60), ("Sun, 06 Nov 1994 08:50:07 GMT", 30)] {
        let server = failing(1, reply(429, "").with("Retry-After", value));
        let bench = Bench::new();
        bench.client.head(&app(&server)).expect("found");
        assert_eq!(bench.clock.slept(), [Duration::from_secs(seconds)], "{value}");
        let asks = format!("{} asks for {seconds}s: it answered 429", server.authority());
        assert_eq!(bench.events.texts(), [asks]);
    }
    for value in ["0", "soon", "Sun, 06 Nov 1994 08:00:00 GMT"] {
        let server = failing(1, reply(503, "").with("Retry-After", value));
        let bench = Bench::new();
        bench.client.head(&app(&server)).expect("found");
        assert!(bench.events.texts()[0].contains(" again: "), "{value}");
    }
}

#[test]
fn a_wait_of_days_is_an_error_that_says_so() {
    for value in ["61", "259200", "Wed, 09 Nov 1994 08:49:37 GMT", "99999999999999999999999999"] {
        let server = failing(9, reply(429, "").with("Retry-After", value));
        let bench = Bench::new();
        let error = bench.client.head(&app(&server)).expect_err("too long");
        assert!(matches!(error, Error::Busy { status: 429, .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(bench.clock.slept().is_empty());
        assert_eq!(server.lines().len(), 1);
        if value.contains("259200") || value.contains("Wed") {
            assert!(error.to_string().ends_with("again for 3 days"), "{error}");
        }
    }
}

#[test]
fn what_will_not_change_is_not_tried_again() {
    for status in [404, 410, 451] {
        let server = failing(9, reply(status, ""));
        let bench = Bench::new();
        bench.client.head(&app(&server)).expect_err("failed");
        assert!(bench.clock.slept().is_empty(), "{status}");
    }
}
