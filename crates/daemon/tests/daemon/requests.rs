//! Requests of all kinds, good and bad, and what is answered.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use banger_daemon::Options;
use serde_json::json;

use super::curl::{curl, curl_with};
use super::served::{Served, wait_until};

#[test]
fn everything_can_be_asked() {
    let served = Served::new();
    let get = |target: &str| {
        let answer = curl(&served.socket, target, None);
        assert_eq!((answer.status, answer.media_type.as_str()), (200, "application/json"), "{target}: {}", answer.body);
        answer.json()
    };
    let post = |operation: &str, body: &str| {
        let answer = curl(&served.socket, &format!("/v1/{operation}"), Some(body));
        assert_eq!(answer.media_type, "application/json", "{operation}: {}", answer.body);
        (answer.status, answer.json())
    };
    assert_eq!(get("/v1/image.list"), json!([]));
    assert_eq!(post("image.register", r#"{"name":"a","rootfs":"/x.ext4"}"#).1["name"], "a");
    assert_eq!(post("image.rename", r#"{"image":"a","name":"b"}"#).1["name"], "b");
    assert_eq!(get("/v1/image.show?image=b")["managed"], false);
    assert_eq!(get("/v1/catalog.list")["warnings"], json!(["a catalog cannot be read"]));
    assert_eq!(get("/v1/system.info")["pid"], json!(std::process::id()));
    assert_eq!(get("/v1/system.df")["parts"][0]["part"], "images");
    assert_eq!(post("system.prune", "{}").1["freed"], 3);
    for (operation, body, outcome) in [
        ("image.pull", r#"{"source":"x","name":"c"}"#, "image"),
        ("image.promote", r#"{"image":"b"}"#, "image"),
        ("image.export", r#"{"image":"b","output":"/o"}"#, "exported"),
        ("image.push", r#"{"image":"b","reference":"r/x:1"}"#, "pushed"),
        ("bundle.make", r#"{"image":"b","directory":"/d"}"#, "archive"),
        ("kernel.pull", r#"{"name":"k"}"#, "kernel"),
        ("kernel.import", r#"{"from":"/k","name":"l"}"#, "kernel"),
        ("kernel.export", r#"{"name":"k","directory":"/d"}"#, "archive"),
    ] {
        let (status, job) = post(operation, body);
        assert_eq!((status, &job["operation"]), (202, &json!(operation)));
        let events = curl(&served.socket, &format!("/v1/job.events?id={}", job["id"]), None);
        assert_eq!((events.status, events.media_type.as_str()), (200, "application/jsonl"));
        let last = events.lines().pop().unwrap();
        assert_eq!(last["type"], "done", "{operation}: {last}");
        assert!(last["outcome"].get(outcome).is_some(), "{operation}: {last}");
        assert_eq!(get(&format!("/v1/job.show?id={}", job["id"]))["outcome"], last["outcome"]);
    }
    assert_eq!(get("/v1/kernel.list").as_array().unwrap().len(), 2);
    assert_eq!(post("kernel.remove", r#"{"name":"k"}"#).1["freed"], 7);
    assert_eq!(post("image.remove", r#"{"image":"b"}"#).1["names"], json!(["b"]));
    assert_eq!(get("/v1/job.list").as_array().unwrap().len(), 8);
}

#[test]
fn failures_have_the_status_of_their_kind() {
    let served = Served::new();
    for (kind, status) in [
        ("usage", 400),
        ("not_found", 404),
        ("conflict", 409),
        ("unauthorized", 403),
        ("network", 502),
        ("integrity", 422),
        ("unsupported", 422),
        ("no_space", 507),
        ("cancelled", 409),
        ("other", 500),
    ] {
        let body = json!({ "name": "a", "rootfs": format!("kind:{kind}") }).to_string();
        let answer = curl(&served.socket, "/v1/image.register", Some(&body));
        assert_eq!((answer.status, answer.media_type.as_str()), (status, "application/problem+json"), "{kind}");
        assert_eq!(answer.json(), json!({ "kind": kind, "message": format!("failed by {kind}") }));
    }
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let served = Served::new();
    let json = "content-type: application/json";
    let large = served.path("large");
    std::fs::write(&large, format!(r#"{{"image":"{}"}}"#, "x".repeat(2 << 20))).unwrap();
    let large = format!("@{}", large.display());
    let cases: &[(&str, &[&str], u16, &str)] = &[
        ("/", &[], 404, "there is no /"),
        ("/v1/image.lists", &[], 404, "there is no /v1/image.lists"),
        ("/v2/image.list", &[], 404, "there is no /v2/image.list"),
        ("/v1/image.list", &["--request", "DELETE"], 405, "DELETE is not for /v1/image.list"),
        ("/v1/image.list", &["--header", json, "--data", "{}"], 405, "POST is not for"),
        ("/v1/image.remove", &[], 405, "GET is not for"),
        ("/v1/image.show", &[], 400, "missing field `image`"),
        ("/v1/image.show?image=a&image=b", &[], 400, "duplicate field"),
        ("/v1/image.show?image=a&more=b", &[], 400, "unknown field"),
        ("/v1/image.show?image=none", &[], 404, "there is no \"none\""),
        ("/v1/job.show?id=-1", &[], 400, "the query makes no sense"),
        ("/v1/job.show?id=x", &[], 400, "the query makes no sense"),
        ("/v1/job.show?id=7", &[], 404, "there is no job 7"),
        ("/v1/job.events?id=7", &[], 404, "there is no job 7"),
        ("/v1/job.cancel", &["--header", json, "--data", r#"{"id":7}"#], 404, "there is no job 7"),
        ("/v1/image.remove", &["--data", "image=a"], 415, "must be application/json"),
        ("/v1/image.remove", &["--header", "content-type: application/jsonl", "--data", "{}"], 415, "must be"),
        ("/v1/image.remove", &["--header", "content-type:", "--data", r#"{"image":"a"}"#], 415, "must be"),
        ("/v1/image.remove", &["--header", json, "--data", ""], 400, "EOF while parsing"),
        ("/v1/image.remove", &["--header", json, "--data", "{"], 400, "EOF while parsing"),
        ("/v1/image.remove", &["--header", json, "--data", "{} {}"], 400, "missing field `image`"),
        ("/v1/image.remove", &["--header", json, "--data", r#"{"image":"a"} x"#], 400, "trailing characters"),
        ("/v1/image.remove", &["--header", json, "--data", r#"{"image":"a","most":1}"#], 400, "unknown field `most`"),
        ("/v1/image.remove", &["--header", json, "--data", r#"{"image":7}"#], 400, "invalid type"),
        ("/v1/image.remove", &["--header", json, "--data", r#"["a"]"#], 400, "[\"a\"] stands where"),
        ("/v1/image.pull", &["--header", json, "--data", r#"{"source":"x","kernel":["k"]}"#], 400, "[\"k\"] stands"),
        (
            "/v1/image.pull",
            &["--header", json, "--data", r#"{"source":"x","registry":{"pull":{"never":null}}}"#],
            400,
            "{\"never\":null} stands",
        ),
        ("/v1/image.remove", &["--header", json, "--data-binary", &large], 413, "over 1048576 bytes"),
        (
            "/v1/image.remove",
            &["--header", json, "--header", "transfer-encoding: chunked", "--data-binary", &large],
            413,
            "over 1048576 bytes",
        ),
    ];
    for (target, arguments, status, said) in cases {
        let answer = curl_with(&served.socket, target, arguments);
        assert_eq!(
            (answer.status, answer.media_type.as_str()),
            (*status, "application/problem+json"),
            "{target} {said}"
        );
        let problem = answer.json();
        assert!(problem["message"].as_str().unwrap().contains(said), "{target}: {problem}");
        assert_eq!(answer.allow.is_empty(), *status != 405, "{target}: {}", answer.allow);
    }
    // A whole number is one with a point, too.
    for (number, status) in [("7.0", 404), ("7e0", 404), ("7.5", 400), ("-7.0", 400), ("1e30", 400), ("\"7\"", 400)] {
        let answer = curl(&served.socket, "/v1/job.cancel", Some(&format!(r#"{{"id":{number}}}"#)));
        assert_eq!(answer.status, status, "{number}: {}", answer.body);
    }
    // A charset is said by many, and does no harm.
    let body = ["--header", "content-type: Application/JSON; charset=UTF-8", "--data", r#"{"image":"a"}"#];
    assert_eq!(curl_with(&served.socket, "/v1/image.remove", &body).status, 404);
}

/// schemathesis lost an answer that had been given before the body came.
#[test]
fn who_sends_slowly_gets_the_answer_too() {
    let served = Served::new();
    for (head, status) in [
        ("POST /v1/image.remove HTTP/1.1\r\ncontent-type: text/plain", "415"),
        ("POST /v1/image.list HTTP/1.1", "405"),
        ("POST /nothing HTTP/1.1", "404"),
        ("GET /v1/image.list HTTP/1.1", "200"),
    ] {
        let mut stream = UnixStream::connect(&served.socket).unwrap();
        write!(stream, "{head}\r\nhost: x\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{{").unwrap();
        // Long enough for an answer that does not wait.
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(b"\"a\":1}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
    }
}

#[test]
fn a_bug_ends_neither_the_daemon_nor_its_silence() {
    let served = Served::new();
    let answer = curl(&served.socket, "/v1/image.register", Some(r#"{"name":"a","rootfs":"panic"}"#));
    assert_eq!((answer.status, answer.json()["kind"].as_str()), (500, Some("other")));
    let job = curl(&served.socket, "/v1/image.pull", Some(r#"{"source":"panic"}"#)).json();
    let last = curl(&served.socket, &format!("/v1/job.events?id={}", job["id"]), None).lines().pop().unwrap();
    assert_eq!((last["type"].as_str(), last["problem"]["kind"].as_str()), (Some("failed"), Some("other")));
}

#[test]
fn a_thousand_idle_connections_and_half_requests_are_in_nobodys_way() {
    let served = Served::new();
    let idle: Vec<UnixStream> = (0..1000)
        .map(|number| {
            let mut stream = UnixStream::connect(&served.socket).unwrap();
            let halves = ["", "G", "GET /v1/image.list HTTP/1.1\r\nhost: x\r\n", "POST /v1/image.remove HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"image\":"];
            stream.write_all(halves[number % halves.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(curl(&served.socket, "/v1/image.list", None).status, 200);
    drop(idle);
    assert_eq!(curl(&served.socket, "/v1/image.list", None).status, 200);
}

#[test]
fn who_asks_nothing_is_disconnected() {
    let served = Served::with(&Options { patience: Duration::from_millis(50), ..Options::default() });
    for half in ["", "GET /v1/image.list HTTP/1.1\r\n"] {
        let mut stream = UnixStream::connect(&served.socket).unwrap();
        stream.write_all(half.as_bytes()).unwrap();
        // Until the other side closes it.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    let mut kept = UnixStream::connect(&served.socket).unwrap();
    kept.write_all(b"GET /v1/image.list HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let served = Served::with(&Options { connections: 3, ..Options::default() });
    let idle: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&served.socket).unwrap()).collect();
    let answer = curl(&served.socket, "/v1/image.list", None);
    assert_eq!((answer.status, answer.media_type.as_str()), (503, "application/problem+json"));
    assert_eq!(answer.json()["message"], "there are too many connections");
    drop(idle);
    wait_until("room for a connection", || curl(&served.socket, "/v1/image.list", None).status == 200);
}

#[test]
fn a_head_that_has_no_end_is_refused() {
    let served = Served::new();
    let mut stream = UnixStream::connect(&served.socket).unwrap();
    let mut head = b"GET / HTTP/1.1\r\nx: ".to_vec();
    head.resize(1 << 20, b'y');
    // It may be refused before it was sent.
    let _ = stream.write_all(&head);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}
