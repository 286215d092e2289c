//! Every step of a pull that changes files fails, or is the last before a kill: what was there is unharmed, what was to come is
//! there as a whole or not at all, and the next start removes what was left.

use super::bench::Bench;
use crate::judges;
use crate::support::Managed;
use crate::support::fault::{Fault, Strike, is_of, steps};

/// What changes files, or opens what is changed.
const CALLS: [&str; 20] = [
    "openat",
    "mkdir",
    "rename",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "fsync",
    "fdatasync",
    "syncfs",
    "ftruncate",
    "fallocate",
    "write",
    "pwrite64",
    "pwritev",
    "copy_file_range",
    "chmod",
    "fchmod",
    "flock",
    "fchown",
];

/// What brings bytes to the disk: where that fails, the disk is broken.
const WRITES: [&str; 8] =
    ["fsync", "fdatasync", "syncfs", "write", "pwrite64", "pwritev", "copy_file_range", "ftruncate"];

/// Calls that a pull can do without: each is part of a call as strace shows it, with the reason.
const DISPENSABLE: [(&str, &str); 11] = [
    ("fallocate(", "space is taken when it is written to; holes that are not made cost space, not content"),
    ("/state/banger/reserved", "a leftover that cannot be looked for stays until the next start"),
    ("/state/banger/images\"", "the same"),
    ("/state/banger/kernels\"", "the same"),
    ("LOCK_UN", "a lock ends with its file, too"),
    ("unlink(", "what is not removed now is a leftover"),
    ("unlinkat(", "the same"),
    ("oci/ingest/index.json", "the cache does without a name for what it has"),
    ("oci/index.json", "the same"),
    ("/state/banger/banger.db", "SQLite tries other ways, and what is in its log is recorded"),
    ("fsync(", "directories of the cache, and what SQLite does when it is closed"),
];

/// Exit codes of a pull whose call failed for want of space. SQLite does not hand on why a call failed, and settings that
/// cannot be read are no matter of space.
fn expected(call: &str) -> &'static [i32] {
    if call.contains("banger.db") || call.contains("config.toml") { &[1, 7] } else { &[7] }
}

fn strike(bench: &Bench, calls: &[&'static str], fault: Fault) {
    let log = bench.managed.user.path("log");
    bench.reset();
    let steps = steps(&bench.managed.user, &log, calls, &bench.arguments());
    assert!(bench.judge("without a fault"));
    let mut missed = Vec::new();
    for &(call, number) in &steps {
        bench.reset();
        let strike = Strike { call, fault, number };
        let struck = strike.run(&bench.managed.user, &log, &bench.arguments());
        let context = format!("{strike}: {:?}: {}", struck.calls, struck.run);
        let is_there = bench.judge(&context);
        eprintln!("{strike} {is_there} {:?} {:?}", struck.run.code(), struck.calls);
        if struck.calls.is_empty() {
            // Threads are not the same each time.
            missed.push(strike.to_string());
            continue;
        }
        if let Fault::Error(error) = fault {
            check_outcome(bench, &struck, error, is_there, &context);
        }
    }
    assert!(steps.len() >= 15, "{steps:?}");
    assert!(missed.len() * 4 < steps.len(), "not struck: {missed:?} of {steps:?}");
    bench.reset();
    bench.run().ok();
    assert!(bench.judge("afterwards"));
}

/// The pull has succeeded, though something it can do without failed; or it says what failed.
fn check_outcome(bench: &Bench, struck: &crate::support::fault::Struck, error: &str, is_there: bool, context: &str) {
    let code = struck.run.code();
    let own: Vec<&String> = struck.calls.iter().filter(|call| is_of(&bench.managed.user, call)).collect();
    assert!(!struck.run.stderr().contains("panicked"), "{context}");
    assert_eq!(is_there, code == Some(0), "{context}");
    if is_there {
        let can_do_without = |call: &&String| DISPENSABLE.iter().any(|(part, _)| call.contains(part));
        assert!(own.iter().all(can_do_without), "{context}");
        return;
    }
    assert!(struck.run.stderr().lines().any(|line| line.starts_with("error: ")), "{context}");
    let fitting = |code| error != "ENOSPC" || own.iter().any(|call| expected(call).contains(&code));
    // What the loader of the program could not open is no matter of the program's.
    assert!(own.is_empty() || code.is_some_and(|code| fitting(code) && code < 8), "{context}");
    if code == Some(7) && !own.iter().any(|call| call.contains("auth.json") || call.contains(".docker")) {
        assert!(struck.run.stderr().contains("hint: "), "{context}");
    }
}

#[test]
fn no_space_while_layers_are_pulled() {
    judges!("strace");
    strike(&Bench::layers(Managed::new()), &CALLS, Fault::Error("ENOSPC"));
}

#[test]
fn a_broken_disk_while_layers_are_pulled() {
    judges!("strace");
    strike(&Bench::layers(Managed::new()), &WRITES, Fault::Error("EIO"));
}

#[test]
fn killed_while_layers_are_pulled() {
    judges!("strace");
    strike(&Bench::layers(Managed::new()), &CALLS, Fault::Kill);
}

#[test]
fn no_space_while_a_bundle_is_pulled() {
    judges!("strace");
    strike(&Bench::bundle(Managed::new()), &CALLS, Fault::Error("ENOSPC"));
}

#[test]
fn a_broken_disk_while_a_bundle_is_pulled() {
    judges!("strace");
    strike(&Bench::bundle(Managed::new()), &WRITES, Fault::Error("EIO"));
}

#[test]
fn killed_while_a_bundle_is_pulled() {
    judges!("strace");
    strike(&Bench::bundle(Managed::new()), &CALLS, Fault::Kill);
}
