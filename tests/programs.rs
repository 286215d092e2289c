//! What a program gets that runs this one: errors and progress as JSON (docs/programs.md).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::corpus::repository;
use crate::support::registry::{Answer, Content, User};
use crate::support::{Layout, Run, Tar, scratch};

/// The lines of standard error, each of which is a JSON object.
#[track_caller]
fn lines(run: &Run) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{run}"));
    run.stderr().lines().map(parse).collect()
}

#[test]
fn errors_are_json_where_the_answer_is() {
    let user = User::new().with("BANGER_NO_DAEMON", "1");
    let closed = Answer::error(401, "UNAUTHORIZED", "who are you?").header("WWW-Authenticate", "Basic realm=\"x\"");
    let server = crate::support::registry::Server::start(move |_| closed.clone());
    let reference = server.reference("some/image");
    let repository = format!("{}/some/image", server.host());
    for (arguments, code, kind) in [
        (&["image", "show", "nosuch", "--json"][..], 3, "not_found"),
        (&["image", "rm", "nosuch", "--json"], 3, "not_found"),
        (&["kernel", "show", "nosuch", "--json"], 3, "not_found"),
        (&["build", "--json", "oci:missing", "-o", "disk"], 3, "not_found"),
        (&["pull", "oci:missing", "--json"], 3, "not_found"),
        (&["fetch", &reference, "--json", "--quiet"], 2, "usage"),
        (&["fetch", &reference, "--json", "--progress", "none"], 4, "unauthorized"),
        (&["resolve", "--json", &reference], 4, "unauthorized"),
        (&["tags", &repository, "--json"], 4, "unauthorized"),
        (&["resolve", "127.0.0.1:1/some/image", "--json", "--progress", "none"], 5, "network"),
        (&["ls", "missing", "--json"], 3, "not_found"),
        (&["cache", "ls", "--json", "--no-such-option"], 2, "usage"),
        (&["image", "--json"], 2, "usage"),
        (&["build", "--json", "--size", "2X", "oci:x", "-o", "disk"], 2, "usage"),
    ] {
        let run = user.run(arguments).expect(code);
        assert_eq!(run.stdout(), "", "{arguments:?}");
        let stderr = run.stderr();
        let problem: Value = serde_json::from_str(stderr.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {run}"));
        assert_eq!(problem["kind"], kind, "{arguments:?}: {run}");
        assert!(problem["message"].as_str().is_some_and(|message| !message.is_empty()), "{arguments:?}: {run}");
        assert!(!stderr.contains("error: ") && !stderr.contains("hint: "), "{arguments:?}: {run}");
        if kind == "unauthorized" || kind == "usage" {
            assert!(problem["hints"].as_array().is_some_and(|hints| !hints.is_empty()), "{arguments:?}: {run}");
        }
    }
    // What is for another program says nothing of how this one is to answer.
    let text = user.run(["run", "--no-such-option", "demo:", "--", "ls", "--json"]).expect(2);
    assert!(text.stderr().starts_with("error: "), "{text}");
}

/// Each event is one that the schema knows, which is also that of the daemon's.
#[test]
fn progress_is_json_where_it_is_asked_for() {
    let schema = std::fs::read(repository().join("docs/events.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let known: BTreeSet<&str> = schema["$defs"]["Event"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["properties"]["type"]["enum"][0].as_str().unwrap())
        .collect();
    let scratch = scratch();
    let layers = [Tar::new().file("a", "a"), Tar::new().file("b", "b")];
    let server = Content::of(Layout::of(scratch.path().join("layout"), layers).path()).serve();
    let reference = server.reference("some/image");
    let user = User::new().with("BANGER_NO_DAEMON", "1");
    for (arguments, expected) in [
        (&["fetch", &reference, "--json"][..], &["step", "answered", "downloads", "downloading", "complete"][..]),
        (&["build", &reference, "--json", "-o", "image", "--no-sync"], &["layers", "layer_finished"]),
        (&["pull", &reference, "--json", "--no-kernel"], &["step", "layers"]),
    ] {
        let mut command = user.command();
        let run = Run::of(command.args(arguments).args(["--progress", "json"]).current_dir(user.home())).ok();
        let events: Vec<Value> = lines(&run);
        let types: BTreeSet<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert!(types.is_subset(&known), "{types:?}");
        assert!(expected.iter().all(|one| types.contains(one)), "{arguments:?}: {types:?}");
        let answer: Value = serde_json::from_str(&run.stdout()).unwrap();
        assert!(answer.is_object(), "{run}");
        // Who answered; what was built a second time came from the cache.
        let is_build = arguments[0] == "build";
        assert_eq!(answer["from"][0].as_str(), (!is_build).then_some(server.host().as_str()), "{run}");
    }
    // The last line is the error: what has a kind is no event.
    let run = user.run(["fetch", &server.reference("some/image:nosuch"), "--json", "--progress", "json"]).expect(3);
    let last = lines(&run).pop().unwrap();
    assert_eq!((&last["kind"], &last["type"]), (&Value::from("not_found"), &Value::Null));

    let none = user.run(["fetch", &reference, "--json", "--progress", "none"]).ok();
    assert_eq!(none.stderr(), "");
    user.run(["fetch", &reference, "--progress", "sometimes"]).expect(2);
}

#[test]
fn credentials_that_nobody_was_shown_are_said_to_be_unused() {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [Tar::new().file("a", "a")]);
    let server = Content::of(layout.path()).serve();
    let reference = server.reference("some/image");
    let user = User::new();
    let creds = ["--creds", "somebody:secret"];
    let first = user.build(&reference, "image", &creds).ok();
    assert!(!first.stderr().contains("no registry was asked"), "{first}");
    user.build(&reference, "image", &creds).ok().says("no registry was asked, so --creds was not used");
    let asked = user.build(&reference, "image", &[&creds[..], &["--pull", "always"]].concat()).ok();
    assert!(!asked.stderr().contains("no registry was asked"), "{asked}");
}
