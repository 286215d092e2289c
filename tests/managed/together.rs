//! Several at once: through one daemon, without one, and both.

use std::process::{Child, Output, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use super::bench::{SMALL, import, layers};
use crate::judges;
use crate::registry::random;
use crate::support::concurrent::{all_at_once, wait_until};
use crate::support::registry::user::soundness;
use crate::support::registry::{Content, Server};
use crate::support::{Layout, Managed, Run, judge};

/// Bytes of the layer that takes its time.
const LARGE: usize = 400_000;

/// Commands that each of many does.
const ROUNDS: usize = 8;

/// What is said where somebody else was faster: a name that is taken or being made, something that is gone, or in use.
const EXPECTED: [&str; 8] = [
    "named \"",
    "is being made by somebody else",
    "there is no image",
    "there is no kernel",
    "is in use",
    "does something else with",
    "was removed while it was needed",
    "that is named like",
];

/// A registry with several images, and one that is large.
fn registry(managed: &Managed) -> Server {
    let mut content = Content::default();
    for number in 0..3_u64 {
        let layout = Layout::of(managed.user.path(&format!("layout-{number}")), layers(number, 20_000));
        content.add(&Content::of(layout.path()), "latest", &format!("v{number}"));
    }
    let layout = Layout::of(managed.user.path("layout-large"), layers(9, LARGE));
    content.add(&Content::of(layout.path()), "latest", "large");
    content.serve()
}

fn spawn(managed: &Managed, arguments: &[&str]) -> Child {
    let mut command = managed.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What came of it: exit code, standard output, standard error.
fn outcome(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A pull of an image of this server, as somebody would type it.
fn pull<'a>(reference: &'a str, name: &'a str) -> Vec<&'a str> {
    [&["pull", reference, "--name", name, "--no-kernel"][..], &SMALL].concat()
}

fn jobs(managed: &Managed) -> Vec<Value> {
    managed.json(["job", "ls"])
}

/// The job that is being done, when there is one.
#[track_caller]
fn running(managed: &Managed) -> String {
    let find = || jobs(managed).into_iter().find(|job| job["state"] == "running");
    wait_until("a job is being done", || find().is_some());
    find().unwrap()["id"].to_string()
}

/// Ends the daemon.
fn end(managed: &Managed) {
    let pid = managed.json(["info"])[0]["pid"].to_string();
    judge::ask("kill", ["-TERM", &pid]).ok();
}

/// Ten through the daemon, and ten without it.
#[test]
fn twenty_at_once() {
    judges!("kill");
    let managed = Managed::with_daemon();
    import(&managed, "linux");
    let server = registry(&managed);
    let commands = Mutex::new(std::collections::BTreeMap::<String, [usize; 2]>::new());
    let workers: Vec<u64> = (0..20).collect();
    all_at_once(&workers, |worker| {
        let mut state = worker + 1;
        let mut pick = |most: u64| random(&mut state) % most;
        for _ in 0..ROUNDS {
            let (name, other) = (format!("n{}", pick(4)), format!("n{}", pick(4)));
            let reference = server.reference(&format!("some/image:v{}", pick(3)));
            let kernel = if pick(2) == 0 { "--no-kernel" } else { "--kernel-ref=linux" };
            let mut arguments: Vec<&str> = match pick(8) {
                0..=2 => [&["pull", &reference, "--name", &name, kernel, "--quiet"][..], &SMALL].concat(),
                3 => vec!["image", "ls"],
                4 => vec!["image", "show", &name],
                5 => vec!["image", "rm", &name],
                6 => vec!["image", "rename", &name, &other],
                _ => vec!["prune", "--force"],
            };
            if worker % 2 == 1 {
                arguments.push("--no-daemon");
            }
            let run = managed.run(&arguments);
            let said = run.stderr();
            let is_fine = match run.code() {
                Some(0) => true,
                Some(1 | 3) => EXPECTED.iter().any(|text| said.contains(text)),
                _ => false,
            };
            assert!(is_fine, "{run}");
            let mut commands = commands.lock().unwrap();
            commands.entry(arguments[..2].join(" ").replace(&reference, "")).or_default()
                [usize::from(run.code() != Some(0))] += 1;
        }
    });
    let commands = commands.into_inner().unwrap();
    assert!(commands.get("pull ").is_some_and(|[done, _]| *done >= 4), "{commands:?}");
    managed.assert_sound();
    soundness(&managed.user.cache()).unwrap();
    // Nobody's lock or name is left: all can be had again.
    for name in managed.images() {
        managed.run(["image", "rm", &name]).ok();
    }
    for name in ["n0", "n1", "n2", "n3"] {
        managed.run(pull(&server.reference("some/image:v0"), name)).ok();
    }
    managed.assert_sound();
    end(&managed);
}

/// The same request joins the job; each blob is asked for once; both have the same image, and both are told how far it is.
#[test]
fn a_second_caller_joins() {
    judges!("kill");
    let managed = Managed::with_daemon();
    let server = registry(&managed);
    server.limit_rate(200_000);
    let reference = server.reference("some/image:large");
    let arguments = [pull(&reference, "one"), vec!["--json"]].concat();
    let first = spawn(&managed, &arguments);
    wait_until("a part is here", || server.sent() > 20_000);
    let second = spawn(&managed, &arguments);
    let job = running(&managed);
    wait_until("both wait", || jobs(&managed)[0]["watchers"] == 2);
    let watcher = spawn(&managed, &["job", "watch", &job, "--json"]);
    // Something else of the same name is not done at the same time.
    let other = server.reference("some/image:v1");
    managed.run(pull(&other, "one")).expect(1).says(&format!("job {job} does something else with one"));
    managed.run(args_without_daemon(&pull(&other, "one"))).expect(1).says("is being made by somebody else");
    server.limit_rate(0);
    let (first, second, watcher) = (outcome(first), outcome(second), outcome(watcher));
    assert_eq!((first.0, second.0), (Some(0), Some(0)), "{first:?} {second:?}");
    let image = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(image(&first.1), image(&second.1));
    assert!(second.2.contains("2 layers"), "who comes later is told what was told before: {second:?}");
    assert_eq!(watcher.0, Some(0), "{watcher:?}");
    let events: Vec<Value> = watcher.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for kind in ["step", "downloads", "downloading", "downloaded", "complete", "layers", "layer_finished"] {
        assert!(events.iter().any(|event| event["type"] == kind), "{kind}: {events:?}");
    }
    let large = server.blobs().iter().filter(|request| request.sent() > LARGE as u64).count();
    assert_eq!(large, 1);
    let asked = server.blobs().into_iter().map(|request| request.blob().unwrap().to_owned());
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    asked.for_each(|digest| *counts.entry(digest).or_default() += 1);
    assert!(counts.values().all(|count| *count == 1), "each blob once: {counts:?}: {:#?}", server.requests());
    let pulls = jobs(&managed);
    assert_eq!(pulls.len(), 1, "{pulls:?}");
    assert_eq!(managed.images(), ["one"]);
    managed.assert_sound();
    end(&managed);
}

fn args_without_daemon<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--no-daemon"]].concat()
}

/// Without a daemon one of two has the name, and the other is told so.
#[test]
fn two_processes_and_one_name() {
    let managed = Managed::new();
    let server = registry(&managed);
    server.limit_rate(200_000);
    let reference = server.reference("some/image:large");
    let first = spawn(&managed, &pull(&reference, "one"));
    wait_until("a part is here", || server.sent() > 20_000);
    let before = server.requests().len();
    managed.run(pull(&server.reference("some/image:v1"), "one")).expect(1).says("is being made by somebody else");
    assert!(server.requests()[before..].iter().all(|request| !request.target.contains("v1")), "nothing is asked");
    // Another name for the same thing waits for it.
    let second = spawn(&managed, &pull(&reference, "two"));
    server.limit_rate(0);
    let (first, second) = (outcome(first), outcome(second));
    assert_eq!((first.0, second.0), (Some(0), Some(0)), "{first:?} {second:?}");
    assert_eq!(managed.show("one")["id"], managed.show("two")["id"]);
    managed.assert_sound();
}

/// Whoever cancels does not wait for a server that has no end, and nothing is left.
#[test]
fn cancelled() {
    judges!("kill");
    for way in ["job cancel", "Ctrl-C", "Ctrl-C without a daemon"] {
        let managed = if way.ends_with("daemon") { Managed::new() } else { Managed::with_daemon() };
        import(&managed, "linux");
        let server = registry(&managed);
        // The layer would take over half a minute.
        server.limit_rate(10_000);
        let reference = server.reference("some/image:large");
        let mut command = managed.user.bare_command();
        command.args(pull(&reference, "one")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_until("a part is here", || server.sent() > 0);
        if way == "job cancel" {
            let job = running(&managed);
            managed.run(["job", "cancel", &job]).ok();
            let (code, _, said) = outcome(child);
            assert_eq!(code, Some(1), "{way}: {said}");
            assert!(said.contains("cancelled"), "{way}: {said}");
            let job = managed.json(["job", "show", &job]).remove(0);
            assert_eq!((&job["state"], &job["problem"]["kind"]), (&Value::from("failed"), &Value::from("cancelled")));
        } else {
            judge::ask("kill", ["-INT", &child.id().to_string()]).ok();
            let (code, _, said) = outcome(child);
            assert_eq!(code, Some(130), "{way}: {said}");
        }
        assert!(server.sent() < LARGE as u64, "{way}: it has not waited for the end");
        // It is not the next start that tidies up.
        assert_eq!(managed.files(), ["linux"], "{way}");
        assert_eq!(managed.images(), [""; 0], "{way}");
        managed.assert_sound();
        // The name is free, and what has arrived is of use.
        server.limit_rate(0);
        managed.run(pull(&reference, "one")).ok();
        managed.assert_sound();
        if !way.ends_with("daemon") {
            end(&managed);
        }
    }
}

/// One of two who wait does not want to any more: that is no matter for the other.
#[test]
fn one_of_two_leaves() {
    judges!("kill");
    let managed = Managed::with_daemon();
    let server = registry(&managed);
    server.limit_rate(50_000);
    let reference = server.reference("some/image:large");
    let begin = || {
        let mut command = managed.user.bare_command();
        command.args(pull(&reference, "one")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let (first, second) = (begin(), begin());
    wait_until("both wait", || jobs(&managed).first().is_some_and(|job| job["watchers"] == 2));
    judge::ask("kill", ["-INT", &first.id().to_string()]).ok();
    let (code, _, said) = outcome(first);
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(jobs(&managed)[0]["state"], "running");
    // And one who is killed does not even say so.
    let mut third = begin();
    wait_until("both wait", || jobs(&managed)[0]["watchers"] == 2);
    third.kill().unwrap();
    third.wait().unwrap();
    server.limit_rate(0);
    let (code, _, said) = outcome(second);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(managed.images(), ["one"]);
    managed.assert_sound();
    end(&managed);
}

/// An image is not removed under whoever exports it, nor its files under another name.
#[test]
fn removed_while_it_is_read() {
    let managed = Managed::new();
    let server = registry(&managed);
    managed.run(pull(&server.reference("some/image:large"), "one")).ok();
    managed.run(pull(&server.reference("some/image:large"), "two")).ok();
    let workers: Vec<usize> = (0..8).collect();
    let (removed, exported) = (Mutex::new(0), Mutex::new(0));
    all_at_once(&workers, |worker| {
        let file = managed.user.path(&format!("export-{worker}"));
        for _ in 0..4 {
            let run = if worker % 2 == 0 {
                let arguments = crate::args!["image", "export", "one", "-o", &file, "--force", "--quiet"];
                Run::of(managed.command(arguments).stdin(Stdio::null()))
            } else {
                managed.run(["image", "rm", "two"])
            };
            match (worker % 2, run.code()) {
                (0, Some(0)) => *exported.lock().unwrap() += 1,
                (1, Some(0)) => *removed.lock().unwrap() += 1,
                (1, Some(3)) => {}
                _ => panic!("{run}"),
            }
        }
    });
    assert_eq!((removed.into_inner().unwrap(), exported.into_inner().unwrap()), (1, 16));
    assert_eq!(managed.images(), ["one"]);
    managed.assert_sound();
}
