//! Every request of a pull fails, in each way that there is: once, and from then on. Nothing half comes of it, and the next pull
//! succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::bench::{Bench, layers, site};
use crate::support::concurrent::all_at_once;
use crate::support::registry::{Answer, Content, Request, Server};
use crate::support::{Layout, Managed};

/// How a server fails.
type Way = fn() -> Answer;

/// The ways, by what they are called.
const WAYS: [(&str, Way); 5] = [
    ("breaks off in the head", || Answer::cut(200, "", 1000)),
    ("breaks off in the body", || Answer::cut(200, "{\"schemaVersion\": 2", 5000)),
    ("500", || Answer::new(500, "it does not work")),
    ("404", || Answer::new(404, "not here")),
    ("something else", || Answer::new(200, "<!DOCTYPE html><p>Log in to the network")),
];

/// Which requests fail.
#[derive(Clone, Default)]
struct Faults {
    /// Requests so far.
    count: Arc<AtomicUsize>,
    /// The first that fails, from 1; 0 for none.
    first: Arc<AtomicUsize>,
    /// Whether the later ones fail, too.
    from_then_on: Arc<AtomicBool>,
    way: Arc<AtomicUsize>,
}

impl Faults {
    fn set(&self, way: usize, first: usize, from_then_on: bool) {
        self.count.store(0, Ordering::SeqCst);
        self.way.store(way, Ordering::SeqCst);
        self.from_then_on.store(from_then_on, Ordering::SeqCst);
        self.first.store(first, Ordering::SeqCst);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn answer(&self) -> Option<Answer> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let first = self.first.load(Ordering::SeqCst);
        let fails = first > 0 && (number == first || number > first && self.from_then_on.load(Ordering::SeqCst));
        fails.then(|| WAYS[self.way.load(Ordering::SeqCst)].1())
    }
}

/// Each request of the pull fails.
fn check(way: usize, bench: &Bench, faults: &Faults) {
    bench.reset();
    bench.run().ok();
    assert!(bench.judge("without a fault"));
    let requests = faults.count();
    assert!(requests >= 3, "{requests} requests are too few");
    for first in 1..=requests {
        for from_then_on in [false, true] {
            bench.reset();
            faults.set(way, first, from_then_on);
            let run = bench.run();
            faults.set(way, 0, false);
            let how_long = if from_then_on { "from then on" } else { "once" };
            let context = format!("request {first} of {requests}, {how_long}, {}: {run}", WAYS[way].0);
            let is_there = bench.judge(&context);
            assert_eq!(is_there, run.code() == Some(0), "{context}");
            assert!(!run.stderr().contains("panicked"), "{context}");
            if is_there {
                continue;
            }
            // The network, what is not there, or what is not what it should be.
            assert!(matches!(run.code(), Some(3 | 5 | 6)), "{context}");
            assert!(run.stderr().lines().any(|line| line.starts_with("error: ")), "{context}");
            bench.run().ok();
            assert!(bench.judge(&context));
        }
    }
}

/// All ways at once: most of it is waiting until it is tried again.
fn check_all(bench: impl Fn() -> (Bench, Faults) + Sync) {
    let ways: Vec<usize> = (0..WAYS.len()).collect();
    all_at_once(&ways, |way| {
        let (bench, faults) = bench();
        check(*way, &bench, &faults);
    });
}

fn served(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Server, Faults) {
    let faults = Faults::default();
    let script = faults.clone();
    (Server::start(move |request| script.answer().unwrap_or_else(|| answer(request))), faults)
}

#[test]
fn every_request_to_a_registry_fails() {
    check_all(|| {
        let managed = Managed::new();
        let layout = Layout::of(managed.user.path("layout"), layers(2, 100_000));
        let content = Content::of(layout.path());
        let (server, faults) = served(move |request| content.answer(request));
        (Bench::of_layers(managed, server), faults)
    });
}

#[test]
fn every_request_for_a_bundle_fails() {
    check_all(|| {
        let managed = Managed::new();
        let site = site(&managed);
        let (server, faults) = served(move |request| match std::fs::read(site.join(&request.path()[1..])) {
            Ok(bytes) => Answer::new(200, bytes),
            Err(_) => Answer::new(404, "no such file"),
        });
        (Bench::of_bundle(managed, server), faults)
    });
}
