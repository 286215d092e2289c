//! Servers that break, wait and forget: what can be mended is, and the rest ends soon, with a reason.

use std::net::TcpListener;
use std::time::Duration;

use super::case::{Case, check};
use super::{IMAGE, Sample};
use crate::judges;
use crate::support::registry::content::MANIFEST;
use crate::support::registry::http::Server;
use crate::support::registry::{Answer, Request, User};

/// What the second layer is asked for, and its bytes.
fn large(sample: &Sample) -> (String, Vec<u8>) {
    let digest = sample.content.blobs_of("latest")[2].clone();
    let bytes = sample.content.bytes(&digest).to_owned();
    (digest, bytes)
}

/// The large layer breaks off in the middle; then, when the rest is asked for, this is the answer.
fn broken_then(
    name: &str,
    sample: &Sample,
    then: impl Fn(&Request, &[u8]) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> Case {
    let (digest, bytes) = large(sample);
    Case::new(name, &sample.content).answers(move |request| {
        if request.blob() != Some(&digest) {
            return None;
        }
        match request.offset() {
            None if request.number == 0 => Some(Answer::cut(200, &bytes[..bytes.len() / 2], bytes.len())),
            None => None,
            Some(_) => then(request, &bytes),
        }
    })
}

/// How many requests for blobs have had a `Range`.
fn ranges(server: &Server) -> usize {
    server.blobs().iter().filter(|request| request.offset().is_some()).count()
}

#[test]
fn a_download_that_breaks_off_is_continued() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let (digest, bytes) = large(&sample);
    let total = bytes.len();
    let wrong = |range: String| {
        move |request: &Request, bytes: &[u8]| {
            let offset = request.offset().unwrap();
            Some(Answer::new(206, &bytes[offset..]).header("Content-Range", &range))
        }
    };
    let drips = bytes.clone();
    check(
        &sample,
        vec![
            broken_then("the rest", &sample, |_, _| None).works(&[]).also(move |server, run| {
                assert_eq!(ranges(server), 1, "{run}");
                let sent: u64 = server.blobs().iter().filter(|r| r.blob() == Some(&digest)).map(Request::sent).sum();
                assert_eq!(sent, total as u64, "no byte twice: {run}");
            }),
            broken_then("all of it, with 200", &sample, |_, bytes| Some(Answer::new(200, bytes))).works(&[]),
            broken_then("206 with another range", &sample, wrong(format!("bytes 0-{}/{total}", total - 1))).works(&[]),
            broken_then(
                "206 with another total",
                &sample,
                wrong(format!("bytes {}-{}/{}", total / 2, total, total + 1)),
            )
            .works(&[]),
            broken_then("206 with a range that is none", &sample, wrong("bytes */*".to_owned())).works(&[]),
            broken_then("206 without a range", &sample, |request, bytes| {
                Some(Answer::new(206, &bytes[request.offset().unwrap()..]))
            })
            .works(&[]),
            broken_then("416", &sample, |_, _| Some(Answer::error(416, "RANGE_INVALID", "no"))).works(&[]),
            broken_then("other bytes from there", &sample, |request, bytes| {
                let (offset, total) = (request.offset().unwrap(), bytes.len());
                let range = format!("bytes {offset}-{}/{total}", total - 1);
                Some(Answer::new(206, vec![b'x'; total - offset]).header("Content-Range", &range))
            })
            .fails(6, &["is damaged or was tampered with"]),
            // Each attempt brings a little more: that is worth another one.
            Case::new("breaks off again and again", &sample.content)
                .answers(move |request| {
                    let asked = request.blob().is_some_and(|_| request.is_get());
                    let offset = request.offset().unwrap_or(0);
                    if !asked || offset + 60_000 >= drips.len() || !request.target.contains(&sha(&drips)) {
                        return None;
                    }
                    let (bytes, rest) = (&drips[offset..offset + 60_000], drips.len() - offset);
                    let range = format!("bytes {offset}-{}/{}", drips.len() - 1, drips.len());
                    let status = if offset == 0 { 200 } else { 206 };
                    Some(Answer::cut(status, bytes, rest).header("Content-Range", &range))
                })
                .works(&[]),
        ],
    );
}

fn sha(bytes: &[u8]) -> String {
    crate::support::layout::sha256(bytes)
}

#[test]
fn a_server_that_has_no_time() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let busy = |status: u16, times: usize, wait: &'static str, what: fn(&Request) -> bool| {
        Case::new(format!("{status} {times} times, {wait:?}"), &sample.content).answers(move |request| {
            let busy = what(request) && request.number < times;
            let answer = Answer::error(status, "TOOMANYREQUESTS", "You have reached your limit");
            busy.then(|| if wait.is_empty() { answer } else { answer.header("Retry-After", wait) })
        })
    };
    let is_blob = |request: &Request| request.blob().is_some();
    let is_manifest = |request: &Request| request.manifest().is_some() && request.is_get();
    let asks = |case: Case| case.works(&["HOST asks to wait 1 s"]);
    check(
        &sample,
        vec![
            asks(busy(429, 1, "1", is_blob)),
            asks(busy(429, 1, "1", is_manifest)),
            asks(busy(429, 1, "1", |request| request.method == "HEAD")),
            asks(busy(503, 1, "1", is_blob)),
            busy(500, 1, "", is_blob).works(&["trying HOST again in "]),
            busy(502, 1, "", is_manifest).works(&["trying HOST again in "]),
            busy(503, 2, "", is_blob).works(&["trying HOST again in "]),
            busy(504, 1, "", is_blob).works(&[]),
            busy(408, 1, "", is_blob).works(&[]),
            // Days, a time long ago, and what is neither a number nor a date.
            busy(429, 99, "604800", is_blob).fails(5, &["HOST", "429"]),
            busy(429, 99, "604800", is_manifest).fails(5, &["HOST", "429"]),
            busy(429, 1, "Wed, 21 Oct 2015 07:28:00 GMT", is_blob).works(&[]),
            busy(429, 1, "soon", is_blob).works(&[]),
            busy(429, 1, "-1", is_blob).works(&[]),
            busy(429, 99, "99999999999999999999999", is_blob).fails(5, &["HOST"]),
            busy(429, 99, "", is_blob).fails(5, &["HOST", "You have reached your limit"]),
            busy(500, 99, "", is_blob).fails(5, &["HOST", "500"]).also(|server, run| {
                let first = server.blobs()[0].target.clone();
                let tries = server.blobs().iter().filter(|request| request.target == first).count();
                assert_eq!(tries, 3, "{run}");
            }),
            // Nothing that another try could mend.
            busy(400, 99, "", is_blob).fails(5, &["HOST", "400"]).also(|server, run| {
                assert!(server.blobs().iter().all(|request| request.number == 0), "{run}");
            }),
            busy(404, 99, "", is_blob).fails(3, &["HOST"]),
            busy(404, 99, "", |request| request.manifest().is_some()).fails(3, &["HOST", "some/image"]),
        ],
    );
}

#[test]
fn a_server_that_hangs_up_or_falls_asleep() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let (digest, bytes) = large(&sample);
    let slow = digest.clone();
    let soon = "timeout = 1";
    let hangs_up = || Answer::cut(200, "", 1000).header("Content-Type", MANIFEST);
    check(
        &sample,
        vec![
            Case::new("hangs up once", &sample.content)
                .answers(move |request| (request.number == 0 && request.blob().is_some()).then(hangs_up))
                .works(&[]),
            Case::new("hangs up always", &sample.content)
                .answers(move |request| request.blob().is_some().then(hangs_up))
                .fails(5, &["HOST"]),
            Case::new("is silent once", &sample.content)
                .configured(soon)
                .answers(|request| (request.number == 0 && request.blob().is_some()).then(Answer::silence))
                .works(&["trying HOST again in "]),
            Case::new("is silent", &sample.content)
                .configured(soon)
                .answers(|request| request.blob().is_some().then(Answer::silence))
                .fails(5, &["HOST"]),
            Case::new("is silent from the beginning", &sample.content)
                .configured(soon)
                .answers(|_| Some(Answer::silence()))
                .fails(5, &["HOST"]),
            Case::new("a layer that trickles", &sample.content)
                .configured(soon)
                .answers(move |request| {
                    let trickle = || Answer::trickle(bytes.clone(), Duration::from_millis(100));
                    (request.blob() == Some(&slow)).then(trickle)
                })
                .fails(5, &["HOST"]),
            Case::new("a manifest that trickles", &sample.content)
                .configured(soon)
                .answers(|request| {
                    let trickle = || Answer::trickle(vec![b' '; 4000], Duration::from_millis(100));
                    (request.is_get() && request.manifest().is_some())
                        .then(|| trickle().header("Content-Type", MANIFEST))
                })
                .fails(5, &["HOST"]),
            Case::new("an error that trickles", &sample.content)
                .configured(soon)
                .answers(|request| {
                    let trickle = || Answer::trickle(vec![b' '; 4000], Duration::from_millis(100)).with_status(400);
                    request.blob().is_some().then(trickle)
                })
                .fails(5, &["HOST"]),
        ],
    );
}

#[test]
fn a_server_that_is_not_there() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let user = User::new();
    let reference = format!("127.0.0.1:{port}/{IMAGE}");
    user.build(&reference, "image", &[]).expect(5).says(&format!("127.0.0.1:{port}"));
    user.fetch(&reference, &[]).expect(5);
    user.run(["resolve", &reference]).expect(5);
    assert!(!user.path("image").exists());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // It accepts and hangs up.
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    user.fetch(&format!("{address}/{IMAGE}"), &[]).expect(5).says(&address.to_string());
}

/// It is said what the server says, but not more than can be read, and nothing that a terminal obeys.
#[test]
fn a_server_that_talks() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let says = |status: u16, message: &'static str| {
        Case::new(format!("{status} {message:?}"), &sample.content)
            .answers(move |request| request.blob().is_some().then(|| Answer::error(status, "DENIED", message)))
    };
    let endless = |status: u16| {
        Case::new(format!("{status} without an end"), &sample.content)
            .answers(move |request| request.blob().is_some().then(|| Answer::endless().with_status(status)))
    };
    check(
        &sample,
        vec![
            says(403, "pull access denied for some/image").fails(4, &["pull access denied for some/image"]),
            says(400, "the moon is full").fails(5, &["the moon is full"]),
            says(400, "clear\u{1b}[2J\u{7}\r\n\u{202e}the screen").fails(5, &["the screen"]),
            endless(400).fails(5, &["HOST"]),
            endless(404).fails(3, &["HOST"]),
            endless(403).fails(4, &["HOST"]),
        ],
    );
}

#[test]
fn a_server_that_sends_elsewhere() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let is_blob = |request: &Request| request.is_get() && request.blob().is_some();
    let to = |name: &str, location: &str, what: fn(&Request) -> bool| {
        let location = location.to_owned();
        Case::new(name, &sample.content).answers(move |request| {
            let location = location.replace("HOST", request.host()).replace("TARGET", &request.target);
            (what(request) && !request.target.contains("moved")).then(|| Answer::redirect(&location))
        })
    };
    let storage = sample.content.clone().serve();
    let elsewhere = format!("http://{}TARGET", storage.host());
    check(
        &sample,
        vec![
            to("to another server", &elsewhere, is_blob).works(&[]),
            to("to another path", "TARGET?moved", is_blob).works(&[]),
            to("to another path in full", "http://HOSTTARGET?moved", is_blob).works(&[]),
            to("to another path, manifests too", "TARGET?moved", |request| request.manifest().is_some()).works(&[]),
            to("in a circle", "TARGET", is_blob).fails(REDIRECTED, &["HOST", "redirect"]).also(|server, run| {
                assert!(server.blobs().len() < 100, "{} requests: {run}", server.blobs().len());
            }),
            to("to a file", "file:///etc/passwd", is_blob).fails(REDIRECTED, &["HOST"]),
            to("to what is no URL", "::::", is_blob).fails(REDIRECTED, &["HOST"]),
            to("to a user", "http://user:password@HOSTTARGET?moved", is_blob)
                .also(|server, _| {
                    assert!(server.blobs().iter().all(|request| request.header("authorization").is_none()));
                })
                .fails(REDIRECTED, &["HOST"]),
            Case::new("to nowhere", &sample.content)
                .answers(move |request| is_blob(request).then(|| Answer::new(307, "")))
                .fails(REDIRECTED, &["HOST"]),
            Case::new("farther and farther", &sample.content)
                .answers(move |request| is_blob(request).then(|| Answer::redirect(&format!("{}x", request.target))))
                .fails(REDIRECTED, &["HOST", "redirect"]),
        ],
    );
    assert!(!storage.blobs().is_empty());
}

/// A redirect that is not followed is an answer that cannot be used.
const REDIRECTED: i32 = 6;
