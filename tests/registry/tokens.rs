//! Tokens: asked for as the challenge says, used for what they are for, renewed when they are refused, shown to nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::case::{Case, check};
use super::{IMAGE, Sample};
use crate::judges;
use crate::support::registry::http::Server;
use crate::support::registry::{Answer, Proxy, Request, User};

/// What the registry wants to hear before it says anything.
const CHALLENGE: &str = r#"Bearer realm="http://HOST/token",service="the tests",scope="repository:some/image:pull""#;

/// A refusal with this challenge, in which `HOST` is the server.
fn refusal(request: &Request, challenge: &str) -> Answer {
    Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", &challenge.replace("HOST", request.host()))
}

/// Gives out tokens, and knows for how long each is good.
#[derive(Clone)]
struct Issuer {
    /// Tokens are `token-0`, `token-1`, …; each with its time.
    issued: Arc<Mutex<Vec<Instant>>>,
    valid: Duration,
    /// Under what name the answer has it.
    field: &'static str,
}

impl Issuer {
    fn new() -> Self {
        Self { issued: Arc::default(), valid: Duration::from_secs(3600), field: "token" }
    }

    /// Tokens are good for so long, whatever they say themselves.
    fn valid_for(valid: Duration) -> Self {
        Self { valid, ..Self::new() }
    }

    fn issue(&self) -> Answer {
        let mut issued = self.issued.lock().unwrap();
        issued.push(Instant::now());
        let token = format!("token-{}", issued.len() - 1);
        Answer::new(200, json!({ self.field: token, "expires_in": 300 }).to_string())
            .header("Content-Type", "application/json")
    }

    /// Whether a request comes with a good token.
    fn accepts(&self, request: &Request) -> bool {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer token-"));
        let issued = self.issued.lock().unwrap();
        token
            .and_then(|number| issued.get(number.parse::<usize>().ok()?))
            .is_some_and(|time| time.elapsed() < self.valid)
    }

    /// As a script: tokens at `/token`, everything else for those who have one.
    fn answer(&self, request: &Request) -> Option<Answer> {
        if request.path() == "/token" {
            return Some(self.issue());
        }
        (!self.accepts(request)).then(|| refusal(request, CHALLENGE))
    }
}

/// Requests for tokens.
fn asked(server: &Server) -> Vec<Request> {
    server.requests().into_iter().filter(|request| request.path() == "/token").collect()
}

/// Requests that are not for tokens.
fn others(server: &Server) -> Vec<Request> {
    server.requests().into_iter().filter(|request| request.path() != "/token").collect()
}

/// A query, or a form, in parts that can be read.
fn parts(query: &str) -> Vec<String> {
    let mut parts: Vec<_> = query.split('&').map(decoded).collect();
    parts.sort();
    parts
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = String::from_utf8(vec![*high, *low]).unwrap();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                rest = tail;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_token_is_asked_for_once_and_used_for_all() {
    let sample = Sample::small();
    for field in ["token", "access_token"] {
        let issuer = Issuer { field, ..Issuer::new() };
        let script = issuer.clone();
        let server = sample.content.clone().serve_with(move |request| script.answer(request));
        sample.check(&User::new(), &server.reference(IMAGE), &[]);
        let asked = asked(&server);
        assert_eq!(asked.len(), 1, "{field}: {asked:#?}");
        assert!(asked[0].is_get() && asked[0].header("authorization").is_none(), "{asked:#?}");
        let (_, query) = asked[0].target.split_once('?').unwrap();
        assert_eq!(parts(query), ["scope=repository:some/image:pull", "service=the tests"]);
        let with_token = server.blobs().iter().filter(|request| issuer.accepts(request)).count();
        assert_eq!(with_token, sample.content.blobs_of("latest").len());
    }
}

#[test]
fn a_password_goes_to_the_token_server_alone() {
    let sample = Sample::small();
    let script = Issuer::new();
    let server = sample.content.clone().serve_with(move |request| script.answer(request));
    let user = User::new();
    sample.check(&user, &server.reference(IMAGE), &["--creds", "somebody:secret"]);
    let asked = asked(&server);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(asked[0].header("authorization"), Some("Basic c29tZWJvZHk6c2VjcmV0"));
    for request in others(&server) {
        assert!(request.header("authorization").is_none_or(|value| value.starts_with("Bearer ")), "{request:?}");
    }
}

/// What is not good for the one image is asked for again for the other.
#[test]
fn each_repository_has_a_token_of_its_own() {
    let sample = Sample::small();
    let issuer = Issuer::new();
    let script = issuer.clone();
    let server = sample.content.clone().serve_with(move |request| {
        if request.path() == "/token" || script.accepts(request) {
            return script.answer(request);
        }
        let repository = if request.path().contains("/other/") { "other/image" } else { "some/image" };
        Some(refusal(request, &CHALLENGE.replace("some/image", repository)))
    });
    let user = User::new();
    let [one, two] = ["some/image:latest", "other/image:latest"].map(|name| server.reference(name));
    user.run(["fetch", &one, &two]).ok();
    let scopes: Vec<_> =
        asked(&server).iter().map(|request| parts(request.target.split_once('?').unwrap().1)[0].clone()).collect();
    assert!(scopes.contains(&"scope=repository:some/image:pull".to_owned()), "{scopes:?}");
}

#[test]
fn a_token_that_expires_in_mid_pull_is_renewed() {
    let sample = Sample::of(super::layers(3_000_000));
    let issuer = Issuer::valid_for(Duration::from_millis(300));
    let script = issuer.clone();
    let server = sample.content.clone().serve_with(move |request| script.answer(request));
    // Slow enough that the first token does not live to see the end; one after the other, so that it is needed.
    server.limit_rate(3_000_000);
    sample.check(&User::new(), &server.reference(IMAGE), &["--jobs", "1"]);
    let tokens = asked(&server).len();
    assert!((2..8).contains(&tokens), "{tokens} tokens");
}

/// The connection breaks, and when the rest is asked for, the token is too old.
#[test]
fn a_token_that_expires_within_a_blob_is_renewed() {
    let sample = Sample::small();
    let issuer = Issuer::new();
    let (script, digest) = (issuer.clone(), sample.content.blobs_of("latest")[2].clone());
    let bytes = sample.content.bytes(&digest).to_owned();
    let server = sample.content.clone().serve_with(move |request| {
        let refused = script.answer(request);
        if refused.is_none() && request.blob() == Some(&digest) && request.offset().is_none() {
            script.issued.lock().unwrap().iter_mut().for_each(|time| *time -= Duration::from_secs(4000));
            return Some(Answer::cut(200, &bytes[..bytes.len() / 2], bytes.len()));
        }
        refused
    });
    sample.check(&User::new(), &server.reference(IMAGE), &[]);
    assert_eq!(asked(&server).len(), 2);
    assert!(server.blobs().iter().any(|request| request.offset().is_some() && request.sent() > 0));
}

#[test]
fn a_refusal_that_no_token_mends_is_the_end() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let refused = |name: &str, what: fn(&Request) -> bool| {
        let issuer = Issuer::new();
        Case::new(name, &sample.content)
            .answers(
                move |request| {
                    if what(request) { Some(refusal(request, CHALLENGE)) } else { issuer.answer(request) }
                },
            )
            .fails(4, &["HOST", "authentication required"])
            .also(|server, run| {
                let tokens = asked(server).len();
                assert!(tokens <= 10, "{tokens} tokens: {run}");
            })
    };
    let after_some = Arc::new(AtomicUsize::new(0));
    let issuer = Issuer::new();
    check(
        &sample,
        vec![
            refused("everything", |request| request.path() != "/token"),
            refused("blobs", |request| request.blob().is_some()),
            Case::new("the third blob and all that follow", &sample.content)
                .answers(move |request| {
                    let is_blob = request.is_get() && request.blob().is_some();
                    if is_blob && issuer.accepts(request) && after_some.fetch_add(1, Ordering::Relaxed) >= 2 {
                        return Some(refusal(request, CHALLENGE));
                    }
                    issuer.answer(request)
                })
                .fails(4, &["HOST"]),
            Case::new("tokens are given to nobody", &sample.content)
                .answers(|request| {
                    Some(if request.path() == "/token" {
                        Answer::error(403, "DENIED", "not for you")
                    } else {
                        refusal(request, CHALLENGE)
                    })
                })
                .fails(4, &["HOST", "not for you"]),
            Case::new("with 403, which a new token does not mend", &sample.content)
                .answers({
                    let issuer = Issuer::new();
                    move |request| {
                        let forbidden = request.blob().is_some() && issuer.accepts(request);
                        let answer = forbidden.then(|| Answer::error(403, "DENIED", "requested access is denied"));
                        answer.or_else(|| issuer.answer(request))
                    }
                })
                .fails(4, &["HOST", "requested access is denied"]),
        ],
    );
}

#[test]
fn challenges_of_all_sorts() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let challenged = |challenge: &'static str| {
        let issuer = Issuer::new();
        Case::new(challenge.chars().take(60).collect::<String>(), &sample.content).answers(move |request| {
            let answer = issuer.answer(request)?;
            Some(if request.path() == "/token" { answer } else { refusal(request, challenge) })
        })
    };
    let long: &'static str = Box::leak("Bearer x=\"".chars().chain(std::iter::repeat_n('y', 40_000)).collect());
    let mut cases = Vec::new();
    for good in [
        CHALLENGE,
        r#"bearer REALM="http://HOST/token""#,
        r#"Bearer   realm="http://HOST/token" ,  service="a \"quoted\" one""#,
        r#"Bearer realm=http://HOST/token,scope="a:b:pull c:d:pull,push""#,
        r#"Bearer scope="repository:some/image:pull",error="invalid_token",realm="http://HOST/token""#,
        r#"Negotiate, Bearer realm="http://HOST/token""#,
        r#"Unheard-Of realm="x", Bearer realm="http://HOST/token""#,
        r#"Bearer realm="http://HOST/token", Basic realm="x""#,
    ] {
        cases.push(challenged(good).works(&[]));
    }
    for bad in [
        "",
        "Bearer",
        "Bearer realm",
        "Bearer realm=",
        "Bearer realm=\"\"",
        "Bearer realm=\"http://HOST/token",
        "Bearer service=\"no realm\"",
        "=,=,=\"\"\"",
        ",,,,,,",
        "\u{fffd}\u{1b}[2J",
        "Digest realm=\"x\", nonce=\"y\"",
        "Negotiate",
        long,
    ] {
        // What cannot be understood, or is not known, is not an answer that one could act upon.
        cases.push(challenged(bad).fails(6, &["HOST"]));
    }
    check(&sample, cases);
}

/// A server that says where to get a token cannot send the program anywhere it likes.
#[test]
fn realms_that_are_not_followed() {
    let sample = Sample::small();
    for realm in [
        "http://169.254.169.254/latest/api/token",
        "http://metadata.test/computeMetadata/v1/",
        "file:///etc/passwd",
        "ftp://HOST/token",
        "gopher://HOST/token",
        "/token",
        "token",
        "://",
        "http://",
        "https://",
        "http://[::1",
        "http://HOST\u{1}/token",
    ] {
        let challenge = format!(r#"Bearer realm="{realm}",service="x""#);
        let server = sample.content.clone().serve_with(move |request| Some(refusal(request, &challenge)));
        let host = server.host();
        // Nothing can be reached but by this proxy, and it remembers.
        let proxy = Proxy::start(&[(&host, &host)]);
        let user = User::new().behind(&proxy);
        let run = user.build(&server.reference(IMAGE), "image", &["--creds", "somebody:secret"]);
        assert_eq!(run.code(), Some(6), "{realm}: {run}");
        assert!(run.stderr().contains(&host), "{realm}: {run}");
        assert!(!run.stderr().contains("secret") && !run.stderr().contains("root:"), "{realm}: {run}");
        let asked: Vec<_> = proxy.asked().into_iter().filter(|asked| *asked != host).collect();
        assert_eq!(asked, Vec::<String>::new(), "{realm}");
        for request in server.requests() {
            assert!(request.header("authorization").is_none(), "{realm}: {request:?}");
        }
    }
}

#[test]
fn tokens_that_are_none() {
    judges!("prlimit", "cmp");
    let sample = Sample::small();
    let given = |name: &str, body: Vec<u8>| {
        Case::new(name, &sample.content).answers(move |request| {
            Some(if request.path() == "/token" {
                Answer::new(200, body.clone()).header("Content-Type", "application/json")
            } else {
                refusal(request, CHALLENGE)
            })
        })
    };
    let token = |token: &str| json!({ "token": token }).to_string().into_bytes();
    let mut cases = vec![
        Case::new("without an end", &sample.content)
            .answers(|request| {
                Some(if request.path() == "/token" { Answer::endless() } else { refusal(request, CHALLENGE) })
            })
            .fails(6, &["HOST", "token"]),
    ];
    for (name, body) in [
        ("with a newline", token("good\r\nX-Injected: yes")),
        ("with a NUL", token("good\0")),
        ("with a letter that is none of ASCII's", token("gööd")),
        ("of 10 MiB", token(&"x".repeat(10 << 20))),
        ("empty", token("")),
        ("missing", b"{}".to_vec()),
        ("a number", br#"{"token":7}"#.to_vec()),
        ("nothing at all", Vec::new()),
        ("a web page", b"<html>".to_vec()),
    ] {
        cases.push(given(name, body).fails(6, &["HOST", "token"]).also(|server, _| {
            assert!(server.requests().iter().all(|request| request.header("x-injected").is_none()));
        }));
    }
    check(&sample, cases);
}

/// A redirect to another server takes no secret there, be it on the same machine.
#[test]
fn secrets_are_not_taken_to_other_hosts() {
    let sample = Sample::small();
    for basic in [false, true] {
        let storage = sample.content.clone().serve();
        let there = storage.host();
        let issuer = Issuer::new();
        let server = sample.content.clone().serve_with(move |request| {
            if basic {
                if request.header("authorization") != Some("Basic c29tZWJvZHk6c2VjcmV0") {
                    return Some(refusal(request, "Basic realm=\"x\""));
                }
            } else if let Some(answer) = issuer.answer(request) {
                return Some(answer);
            }
            request.blob().map(|_| Answer::redirect(&format!("http://{there}{}", request.target)))
        });
        sample.check(&User::new(), &server.reference(IMAGE), &["--creds", "somebody:secret"]);
        assert_eq!(storage.blobs().len(), sample.content.blobs_of("latest").len());
        for request in storage.requests() {
            let secrets: Vec<_> =
                request.headers().filter(|(name, _)| matches!(*name, "authorization" | "cookie")).collect();
            assert!(secrets.is_empty(), "{request:?}");
        }
        assert!(server.blobs().iter().all(|request| request.header("authorization").is_some()));
    }
}

/// The other server wants to know as well: it is told nothing, and its refusal is the end.
#[test]
fn another_host_that_asks_is_told_nothing() {
    let sample = Sample::small();
    let storage = sample.content.clone().serve_with(|request| Some(refusal(request, "Basic realm=\"x\"")));
    let there = storage.host();
    let server = sample.content.clone().serve_with(move |request| {
        if request.header("authorization").is_none() {
            return Some(refusal(request, "Basic realm=\"x\""));
        }
        request.blob().map(|_| Answer::redirect(&format!("http://{there}{}", request.target)))
    });
    User::new().build(&server.reference(IMAGE), "image", &["--creds", "somebody:secret"]).expect(5);
    assert!(storage.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(storage.blobs().len() < 20);
}

#[test]
fn an_identity_token_is_exchanged() {
    let sample = Sample::small();
    let issuer = Issuer { field: "access_token", ..Issuer::new() };
    let script = issuer.clone();
    let server = sample.content.clone().serve_with(move |request| script.answer(request));
    let user = User::new();
    let auth = json!({ "auths": { server.host(): { "auth": "PHRva2VuPjo=", "identitytoken": "the identity" } } });
    user.write(".docker/config.json", auth.to_string());
    sample.check(&user, &server.reference(IMAGE), &[]);
    let asked = asked(&server);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(asked[0].method, "POST");
    assert!(asked[0].header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")));
    let form = parts(&asked[0].body);
    for part in [
        "grant_type=refresh_token",
        "refresh_token=the identity",
        "service=the tests",
        "scope=repository:some/image:pull",
    ] {
        assert!(form.contains(&part.to_owned()), "{part} is not in {form:?}");
    }
    assert!(form.iter().any(|part| part.starts_with("client_id=")), "{form:?}");
    for request in server.requests() {
        assert!(!request.target.contains("identity"), "{request:?}");
        assert!(request.header("authorization").is_none_or(|value| value.starts_with("Bearer token-")), "{request:?}");
    }
}

/// A registry whose tokens are for reading what everybody may read takes no password for it.
#[test]
fn basic_is_used_when_asked_for() {
    let sample = Sample::small();
    let server = sample.content.clone().serve_with(|request| {
        let good = request.header("authorization") == Some("Basic c29tZWJvZHk6c2VjcmV0");
        (!good).then(|| refusal(request, "Basic realm=\"the tests\""))
    });
    let reference = server.reference(IMAGE);
    User::new().build(&reference, "image", &[]).expect(4).says(&server.host());
    server.forget();
    sample.check(&User::new(), &reference, &["--creds", "somebody:secret"]);
    assert_eq!(server.requests()[0].header("authorization"), None, "nothing is told before it is asked for");
    let run = User::new().build(&reference, "image", &["--creds", "somebody:wrong-one"]).expect(4);
    assert!(!run.stderr().contains("wrong-one"), "{run}");
}
