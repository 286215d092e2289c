//! Jobs: joined, refused, queued, watched, cancelled.

use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;

use banger_daemon::Options;
use serde_json::{Value, json};

use super::curl::{curl, lines, stream};
use super::served::{Served, wait_until};

impl Served {
    #[track_caller]
    fn pull(&self, request: &Value) -> (u16, Value) {
        let answer = curl(&self.socket, "/v1/image.pull", Some(&request.to_string()));
        (answer.status, answer.json())
    }

    #[track_caller]
    fn show(&self, id: &Value) -> Value {
        curl(&self.socket, &format!("/v1/job.show?id={id}"), None).json()
    }

    #[track_caller]
    fn cancel(&self, request: &Value) -> Value {
        curl(&self.socket, "/v1/job.cancel", Some(&request.to_string())).json()
    }

    #[track_caller]
    fn events(&self, id: &Value) -> Vec<Value> {
        curl(&self.socket, &format!("/v1/job.events?id={id}"), None).lines()
    }
}

#[test]
fn the_same_is_done_once_and_something_else_of_that_name_is_refused() {
    let served = Served::new();
    let source = served.until("go");
    let credential =
        |password: &str| json!({ "docker.io": { "type": "basic", "username": "u", "password": password } });
    let request =
        |password: &str| json!({ "source": source, "name": "a", "registry": { "credentials": credential(password) } });
    let (status, first) = served.pull(&request("one"));
    assert_eq!((status, &first["state"]), (202, &json!("running")));
    // Who asks is no part of what is asked.
    for same in [request("one"), request("two"), json!({ "source": source, "name": "a" })] {
        let (status, job) = served.pull(&same);
        assert_eq!((status, &job["id"]), (202, &first["id"]));
    }
    let (status, problem) = served.pull(&json!({ "source": "other", "name": "a" }));
    assert_eq!((status, &problem["kind"]), (409, &json!("conflict")));
    let (status, problem) = served.pull(&json!({ "source": source, "name": "a", "build": { "bare": true } }));
    assert_eq!((status, &problem["kind"]), (409, &json!("conflict")));
    let (status, other) = served.pull(&json!({ "source": "other", "name": "b" }));
    assert_eq!(status, 202);
    assert_ne!(other["id"], first["id"]);
    assert!(!served.show(&first["id"]).to_string().contains("password"));

    std::fs::write(served.path("go"), "").unwrap();
    assert_eq!(served.events(&first["id"]).pop().unwrap()["outcome"]["image"]["name"], "a");
    // What has ended is not joined: it is done again.
    let (_, again) = served.pull(&request("one"));
    assert_ne!(again["id"], first["id"]);
    assert_eq!(served.events(&again["id"]).pop().unwrap()["problem"]["kind"], "conflict");
}

#[test]
fn jobs_wait_for_others_and_can_be_cancelled_meanwhile() {
    let served = Served::with(&Options { jobs: NonZeroUsize::MIN, ..Options::default() });
    let pull = |name: &str| served.pull(&json!({ "source": served.until("go"), "name": name })).1;
    let (first, second, third) = (pull("a"), pull("b"), pull("c"));
    assert_eq!([&first["state"], &second["state"], &third["state"]], ["running", "queued", "queued"]);
    let cancelled = served.cancel(&json!({ "id": second["id"] }));
    assert_eq!((&cancelled["state"], &cancelled["problem"]["kind"]), (&json!("failed"), &json!("cancelled")));
    assert_eq!(
        served.events(&second["id"]),
        [json!({ "type": "failed", "problem": { "kind": "cancelled", "message": "cancelled" } })]
    );
    std::fs::write(served.path("go"), "").unwrap();
    assert_eq!(served.events(&third["id"]).pop().unwrap()["type"], "done");
    assert_eq!(served.show(&first["id"])["state"], "done");
    // What has ended stays as it is.
    assert_eq!(served.cancel(&json!({ "id": first["id"] }))["state"], "done");
}

#[test]
fn what_is_asked_while_it_is_cancelled_begins_afterwards() {
    let served = Served::new();
    let request = json!({ "source": served.until("go"), "name": "a" });
    let first = served.pull(&request).1;
    served.cancel(&json!({ "id": first["id"] }));
    let second = served.pull(&request).1;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(served.events(&first["id"]).pop().unwrap()["problem"]["kind"], "cancelled");
    std::fs::write(served.path("go"), "").unwrap();
    assert_eq!(served.events(&second["id"]).pop().unwrap()["type"], "done");
}

#[test]
fn a_job_goes_on_without_anybody_and_ends_when_all_who_watch_it_wish_so() {
    let served = Served::new();
    let job = served.pull(&json!({ "source": served.until("never"), "name": "a" })).1;
    let target = format!("/v1/job.events?id={}", job["id"]);
    let watchers = |count: u64| {
        wait_until("the watchers", || served.show(&job["id"])["watchers"] == json!(count));
    };
    let wish = json!({ "id": job["id"], "if_alone": true });
    let mut watching =
        [stream(&served.socket, &target), stream(&served.socket, &target), stream(&served.socket, &target)];
    watchers(3);
    // One wishes, and leaves.
    assert_eq!(served.cancel(&wish)["state"], "running");
    watching[0].kill().unwrap();
    watching[0].wait().unwrap();
    watchers(2);
    // One leaves without a wish: perhaps it only lost its terminal.
    watching[1].kill().unwrap();
    watching[1].wait().unwrap();
    watchers(1);
    assert_eq!(served.show(&job["id"])["state"], "running");
    assert_eq!(served.cancel(&wish)["state"], "cancelling");
    let mut told = String::new();
    watching[2].stdout.take().unwrap().read_to_string(&mut told).unwrap();
    watching[2].wait().unwrap();
    assert_eq!(lines(&told).pop().unwrap()["problem"]["kind"], "cancelled");
}

#[test]
fn all_are_told_the_same_story_whenever_they_come() {
    let served = Served::new();
    const BYTES: u64 = 200_000;
    let job = served.pull(&json!({ "source": format!("bytes:{BYTES}"), "name": "a" })).1;
    let target = format!("/v1/job.events?id={}", job["id"]);
    let early = stream(&served.socket, &target);
    let early = lines(&String::from_utf8(early.wait_with_output().unwrap().stdout).unwrap());
    let late = served.events(&job["id"]);
    for story in [&early, &late] {
        let of = |name: &str| story.iter().filter(|line| line["type"] == name).collect::<Vec<_>>();
        let sum: u64 = of("downloaded").iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
        assert_eq!(sum, BYTES);
        let rest: Vec<_> = story
            .iter()
            .filter(|line| line["type"] != "downloaded")
            .map(|line| line["type"].as_str().unwrap())
            .collect();
        assert_eq!(rest, ["step", "downloading", "complete", "done"]);
    }
    assert_eq!(late.len(), 5);
}

#[test]
fn a_reader_that_does_not_read_stops_nobody() {
    let served = Served::new();
    let job = served.pull(&json!({ "source": served.until("go"), "name": "a" })).1;
    let mut slow = UnixStream::connect(&served.socket).unwrap();
    write!(slow, "GET /v1/job.events?id={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", job["id"]).unwrap();
    wait_until("a watcher", || served.show(&job["id"])["watchers"] == json!(1));
    let other = served.pull(&json!({ "source": "bytes:100000", "name": "b" })).1;
    assert_eq!(served.events(&other["id"]).pop().unwrap()["type"], "done");
    std::fs::write(served.path("go"), "").unwrap();
    assert_eq!(served.events(&job["id"]).pop().unwrap()["type"], "done");
    let mut told = Vec::new();
    slow.read_to_end(&mut told).unwrap();
    assert!(String::from_utf8(told).unwrap().contains("\"type\":\"done\""));
}

#[test]
fn events_come_while_a_job_goes_on() {
    let served = Served::new();
    let job = served.pull(&json!({ "source": served.until("go"), "name": "a" })).1;
    let mut watching = stream(&served.socket, &format!("/v1/job.events?id={}", job["id"]));
    let mut told = BufReader::new(watching.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!((&first["type"], &first["step"]), (&json!("step"), &json!("download")));
    assert_eq!(served.show(&job["id"])["state"], "running");
    std::fs::write(served.path("go"), "").unwrap();
    let last: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!(last["type"], "done");
    assert!(told.next().is_none());
    watching.wait().unwrap();
}

#[test]
fn jobs_that_ended_long_ago_are_forgotten() {
    let served = Served::new();
    let ids: Vec<Value> = (0..105)
        .map(|number| {
            let job = served.pull(&json!({ "source": "x", "name": format!("n{number}") })).1;
            served.events(&job["id"]);
            job["id"].clone()
        })
        .collect();
    assert_eq!(curl(&served.socket, "/v1/job.list", None).json().as_array().unwrap().len(), 100);
    assert_eq!(served.show(&ids[0])["kind"], "not_found");
    assert_eq!(served.show(&ids[104])["state"], "done");
}
