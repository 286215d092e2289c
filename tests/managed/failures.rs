//! Every step of a pull that changes files fails, or is the last before a kill: what was there is unharmed, what was to come is
//! there as a whole or not at all, and the next start removes what was left.

use super::bench::Bench;
use crate::judges;
use crate::support::Managed;
use crate::support::fault::{Fault, Strike, Struck, is_of, steps};

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

/// What a pull can do without: a call (any, where none is named), a part of what strace says of it, and the reason.
const DISPENSABLE: &[(&str, &str, &str)] = &[
    ("fallocate", "", "space is taken when it is written to; a hole that is not made costs space, not content"),
    ("", "/state/banger/reserved", "a leftover that cannot be looked for stays until the next start"),
    ("openat", "/state/banger/images\"", "the same"),
    ("openat", "/state/banger/kernels\"", "the same"),
    // It is opened in the same way when it is sealed: that this must not fail is shown by the store's own tests.
    ("openat", ".staging\", O_RDONLY|O_NONBLOCK", "what an earlier writer has hidden is looked for"),
    ("unlink", "", "what is not removed now is a leftover"),
    ("unlinkat", "", "the same"),
    ("rmdir", "", "the same"),
    ("flock", "LOCK_UN", "a lock ends with its file, too"),
    ("", "oci/ingest/index.json", "the cache does without a name for what it has"),
    ("openat", "oci/ingest/index.lock", "the same"),
    ("rename", "oci/index.json", "the same"),
    ("openat", "/.cache/banger/oci\"", "the same: it is opened to be synced"),
    ("fsync", "/.cache/banger/oci>", "the same"),
    ("", "/.cache/banger/catalogs", "a catalog that cannot be kept for later is known now"),
    ("mkdir", "/.cache", "the same"),
    ("openat", "auth.json", "catalogs are asked without a login"),
    ("openat", ".docker/config.json", "the same"),
    ("pwrite64", "banger.db>", "what is in SQLite's log need not be in the database yet"),
    ("fsync", "banger.db>", "the same"),
    ("ftruncate", "banger.db>", "the same"),
    ("fchown", "banger.db", "the file's owner is who has made it"),
    ("fsync", "/state/banger>", "SQLite makes its log anew when the database is opened, under the same name"),
    ("openat", "/state/banger\"", "the same: it is opened to be synced"),
    ("openat", "/oci/index.json", "the image is made; that the cache does not learn its name costs a download at most"),
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
    let (mut missed, mut odd) = (Vec::new(), Vec::new());
    for &(call, number) in &steps {
        bench.reset();
        let strike = Strike { call, fault, number };
        let struck = strike.run(&bench.managed.user, &log, &bench.arguments());
        let context = format!("{strike}: {:?}: {}", struck.calls, struck.run);
        let is_there = bench.judge(&context);
        if struck.calls.is_empty() {
            // Threads are not the same each time.
            missed.push(strike.to_string());
            continue;
        }
        if let Fault::Error(error) = fault
            && let Err(reason) = check_outcome(bench, &struck, error, is_there)
        {
            odd.push(format!("{reason}: {context}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
    assert!(steps.len() >= 15, "{steps:?}");
    assert!(missed.len() * 4 < steps.len(), "not struck: {missed:?} of {steps:?}");
    bench.reset();
    bench.run().ok();
    assert!(bench.judge("afterwards"));
}

/// The pull has succeeded, though something it can do without failed; or it says what failed.
fn check_outcome(bench: &Bench, struck: &Struck, error: &str, is_there: bool) -> Result<(), &'static str> {
    let must = |holds: bool, otherwise| if holds { Ok(()) } else { Err(otherwise) };
    let (code, said) = (struck.run.code(), struck.run.stderr());
    let own: Vec<&String> = struck.calls.iter().filter(|call| is_of(&bench.managed.user, call)).collect();
    must(!said.contains("panicked"), "a bug")?;
    must(is_there == (code == Some(0)), "it is there, or it says why not")?;
    if is_there {
        return must(own.iter().all(|call| is_dispensable(call)), "it did without that");
    }
    // What the loader of the program could not open is no matter of the program's.
    let Some(code) = code.filter(|_| !own.is_empty()) else { return Ok(()) };
    must(said.lines().any(|line| line.starts_with("error: ")), "it does not say why")?;
    let fitting = error != "ENOSPC" || own.iter().any(|call| expected(call).contains(&code));
    must(fitting && code < 8, "another exit code")?;
    let is_login = own.iter().any(|call| call.contains("auth.json") || call.contains(".docker"));
    must(code != 7 || is_login || said.contains("hint: "), "it does not say what to do")
}

fn is_dispensable(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    DISPENSABLE.iter().any(|(known, part, _)| (known.is_empty() || *known == name) && call.contains(part))
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
