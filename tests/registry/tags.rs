//! `banger tags`: what a registry lists, page by page.

use serde_json::{Value, json};

use super::Sample;
use crate::judges;
use crate::support::registry::debian::CREDENTIALS;
use crate::support::registry::{Answer, Debian, Server, User};

/// A registry that gives its tags two at a time, with `link` as the way to the next two.
fn paged(tags: &'static [&'static str], link: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        if !request.path().ends_with("/tags/list") {
            return Answer::error(404, "UNSUPPORTED", "no such endpoint");
        }
        let last = request.target.split("last=").nth(1).and_then(|last| last.split('&').next()?.parse().ok());
        let first: usize = last.unwrap_or(0);
        let page = &tags[first..tags.len().min(first + 2)];
        let answer = Answer::new(200, json!({ "name": "some/image", "tags": page }).to_string());
        if first + 2 < tags.len() { answer.header("Link", &link(request.host(), first + 2)) } else { answer }
    })
}

#[test]
fn pages_are_followed_in_the_registrys_order() {
    for link in [
        (|_: &str, last| format!("</v2/some/image/tags/list?n=2&last={last}>; rel=\"next\""))
            as fn(&str, usize) -> String,
        |_, last| format!("<list?last={last}>; rel=next"),
        |host, last| format!("<https://{host}/v2/some/image/tags/list?last={last}>; rel=\"next\""),
    ] {
        let server = paged(&["z", "1.0", "a", "latest", "b"], link);
        let user = User::new();
        let name = format!("{}/some/image", server.host());
        assert_eq!(user.run(["tags", &name]).ok().stdout(), "z\n1.0\na\nlatest\nb\n");
        let answer: Value = serde_json::from_str(&user.run(["tags", &name, "--json"]).ok().stdout()).unwrap();
        let expected = json!({
            "repository": name, "tags": ["z", "1.0", "a", "latest", "b"], "complete": true, "from": [server.host()],
        });
        assert_eq!(answer, expected);
    }
}

#[test]
fn pages_that_lead_nowhere_are_refused() {
    for (link, says) in [
        (
            (|_: &str, _| "</v2/some/image/tags/list?n=1000>; rel=next".to_owned()) as fn(&str, usize) -> String,
            "circle",
        ),
        (|_, _| "<http://169.254.169.254/latest>; rel=next".to_owned(), "another host"),
    ] {
        let server = paged(&["a", "b", "c"], link);
        User::new().run(["tags", &format!("{}/some/image", server.host())]).expect(6).says(says);
    }
    // Endless, but each page has something new: what came is shown, and that it is not all.
    let server = Server::start(|request| {
        let page: usize = request.target.split("page=").nth(1).and_then(|page| page.parse().ok()).unwrap_or(0);
        Answer::new(200, json!({ "tags": [page.to_string()] }).to_string())
            .header("Link", &format!("<{}?page={}>; rel=next", request.path(), page + 1))
    });
    let run = User::new().run(["tags", &format!("{}/some/image", server.host())]).ok().says("the registry has more");
    assert!(run.stdout().starts_with("0\n1\n2\n"), "{run}");
    assert!(server.requests().len() <= 300, "{}", server.requests().len());
}

#[test]
fn a_mirror_is_asked_first_and_named() {
    let upstream = paged(&["a", "b"], |_, _| String::new());
    let mirror = paged(&["a"], |_, _| String::new());
    let user = User::new();
    user.configure(&format!("[registry.{:?}]\nmirrors = [{:?}]\n", upstream.host(), mirror.host()));
    let run = user.run(["tags", &format!("{}/some/image", upstream.host())]).ok();
    assert_eq!(run.stdout(), "a\n");
    run.says(&format!("the mirror {} answers for {}", mirror.host(), upstream.host()));
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn debians_registry_lists_what_was_pushed() {
    judges!("docker-registry", "skopeo");
    let sample = Sample::small();
    let registry = Debian::with_password();
    for tag in ["1", "2", "latest"] {
        registry.push(&sample.layout, "latest", &format!("some/image:{tag}"));
    }
    let user = User::new();
    let name = format!("{}/some/image", registry.host());
    user.run(["tags", &name]).expect(4).says("banger login");
    let listed = user.run(["tags", &name, "--creds", CREDENTIALS]).ok().stdout();
    let mut tags: Vec<_> = listed.lines().collect();
    tags.sort();
    assert_eq!(tags, ["1", "2", "latest"]);
    user.run(["tags", &format!("{}/no/such", registry.host()), "--creds", CREDENTIALS]).expect(3).says("no/such");
    user.run(["tags", &format!("{name}:1")]).expect(2).says(&format!("`banger tags {name}`"));
    user.run(["tags", "oci:layout"]).expect(2);
}
