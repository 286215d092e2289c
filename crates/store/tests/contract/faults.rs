//! Each system call that changes files fails once, or is the last one before a kill: strace(1) does that, from outside.
//!
//! Afterwards the store is opened anew: what was there is there, what was to come is there as a whole or not at all, and
//! nothing else is left. Where a step failed and its process was killed before it closed the database, the same holds: what a
//! failed commit left in the log must not come back.

use crate::processes::Process;
use crate::support::*;
use banger_store::{Result, Store, completion};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What changes files, or opens what is changed. What the tests write themselves goes through `write`, which is not among them.
const CALLS: &str =
    "mkdir,openat,rename,unlink,unlinkat,rmdir,chmod,flock,pwrite64,ftruncate,fsync,fdatasync,fallocate";

/// Those that nothing is removed by: where one of them fails, what was made is removed at once.
const NOT_REMOVING: [&str; 6] = ["mkdir", "rename", "chmod", "pwrite64", "ftruncate", "fsync"];

/// What is done while calls fail, and what is there before and after it.
struct Case {
    step: &'static str,
    before: &'static [&'static str],
    after: &'static [&'static str],
}

const CASES: [Case; 6] = [
    Case { step: "publish", before: &["kept"], after: &["kept", "one"] },
    Case { step: "name", before: &["kept"], after: &["kept", "one"] },
    Case { step: "remove", before: &["kept", "one"], after: &["kept"] },
    Case { step: "promote", before: &["kept", "mine"], after: &["kept", "mine"] },
    Case { step: "kernel", before: &["kept"], after: &["kept"] },
    Case { step: "replace", before: &["kept", "one"], after: &[OLD, "kept", "one"] },
];

/// What a replaced image is listed by: its id.
const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// How many calls fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HowLong {
    Once,
    FromThenOn,
}

/// What a store has before a step.
fn prepare(step: &str, root: &Path) {
    let store = Store::open(root).unwrap();
    make(&store, "kept", &id('9')).unwrap();
    make_kernel(&store, "kept").unwrap();
    match step {
        "remove" | "replace" => drop(make(&store, "one", &id('a')).unwrap()),
        "promote" => {
            store.register(store.reserve("mine").unwrap(), &elsewhere(&id('e'), root)).unwrap();
        }
        _ => {}
    }
}

/// The step, in a process of its own.
pub(crate) fn step(step: &str, root: &Path, say: &dyn Fn(&str)) {
    let store = match Store::open(root) {
        Ok(store) => store,
        Err(error) => return say(&format!("failed: {error:?}")),
    };
    let done: Result<()> = match step {
        "publish" => make(&store, "one", &id('a')).map(drop),
        "name" => make(&store, "one", &id('9')).map(drop),
        "remove" => store.remove(&["one"]).map(drop),
        "promote" => promote(&store),
        "replace" => replace(&store, "one", &id('b')).map(drop),
        "kernel" => make_kernel(&store, "linux").map(drop),
        other => panic!("{other}"),
    };
    match done {
        Ok(()) => say("done"),
        Err(error) => {
            say(&format!("failed: {error:?}"));
            say(&format!("leftovers: {}", store.leftovers().unwrap().len()));
        }
    }
    // As a kill would: the database is not closed.
    if std::env::var_os(ABRUPT).is_some() {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    }
}

const ABRUPT: &str = "BANGER_TEST_STORE_ABRUPT";

fn promote(store: &Store) -> Result<()> {
    let old = store.find("mine")?;
    let banger_store::image::Stage::New(staging) = store.stage(&id('a'), &|| true)? else { panic!("there") };
    fill(staging.path(), &id('a'));
    staging.promote(&old, &row(&id('a'))).map(drop)
}

/// Copies a directory of directories and files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

/// A store as it is before a step, and copies of it.
struct Bench {
    scratch: tempfile::TempDir,
    case: &'static Case,
}

impl Bench {
    fn new(case: &'static Case) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        prepare(case.step, &scratch.path().join("before"));
        Self { scratch, case }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let root = self.scratch.path().join(name);
        copy(&self.scratch.path().join("before"), &root);
        root
    }

    /// Runs the step under strace. What it said, and whether it ended well.
    fn run(&self, root: &Path, arguments: &[&str], abrupt: bool) -> (Vec<String>, bool) {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq"]).args(arguments).arg(std::env::current_exe().unwrap());
        if abrupt {
            command.env(ABRUPT, "");
        }
        Process::start_by(command, &format!("{} ", self.case.step), root).finish()
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// How often the thread that does the step makes each call.
    fn calls(&self, abrupt: bool) -> BTreeMap<String, usize> {
        let root = self.copy("counted");
        let log = self.log();
        let trace = format!("trace={CALLS}");
        let said = self.run(&root, &["-o", log.to_str().unwrap(), "-e", &trace], abrupt);
        assert_eq!(said, (vec!["done".to_owned()], !abrupt), "{}", self.case.step);
        fs::remove_dir_all(&root).unwrap();
        // The thread is the one that opens the database.
        let text = fs::read_to_string(&log).unwrap();
        let lines = || text.lines().filter_map(|line| line.trim_start().split_once(' '));
        let (thread, _) = lines().find(|(_, call)| call.contains("banger.db")).unwrap();
        let mut calls = BTreeMap::new();
        for (_, call) in lines().filter(|(number, _)| *number == thread) {
            if let Some((name, _)) = call.trim_start().split_once('(') {
                *calls.entry(name.to_owned()).or_default() += 1;
            }
        }
        calls
    }

    /// Every fault is tried, on a copy of the store each.
    fn each(&self, calls: &[&str], fault: &str, how_long: HowLong, abrupt: bool) -> usize {
        let counts = self.calls(abrupt);
        let mut tried = 0;
        for (call, count) in counts.iter().filter(|(call, _)| calls.contains(&call.as_str())) {
            for number in 1..=*count {
                let from_then_on = if how_long == HowLong::FromThenOn { "+" } else { "" };
                let inject = format!("inject={call}:{fault}:when={number}{from_then_on}");
                let root = self.copy("tried");
                let (log, trace) = (self.log(), format!("trace={call}"));
                let (said, well) = self.run(&root, &["-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject], abrupt);
                let context = format!("{} {inject}: {said:?}", self.case.step);
                eprintln!("{context}");
                if fault.starts_with("error") {
                    let log = fs::read_to_string(log).unwrap();
                    assert!(log.contains("(INJECTED)"), "{context}: nothing has failed");
                    if let (Some(left), true) = (said.get(1), NOT_REMOVING.contains(&call.as_str())) {
                        let is_sure = how_long == HowLong::Once || call == "mkdir";
                        assert!(left == "leftovers: 0" || !is_sure, "{context}: something is left");
                    }
                } else {
                    assert!(!well, "{context}: nobody was killed");
                }
                self.judge(&root, said.first().map(String::as_str), &context);
                fs::remove_dir_all(&root).unwrap();
                tried += 1;
            }
        }
        tried
    }

    /// What must hold, whatever was said before the end.
    fn judge(&self, root: &Path, said: Option<&str>, context: &str) {
        let listed = completion::names(root);
        let store = Store::open(root).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let images = names(&store);
        assert!(images == self.case.before || images == self.case.after, "{context}: {images:?}");
        assert_eq!(images, listed.images, "{context}: what was listed before is listed after");
        let kernels: Vec<String> = store.kernels().unwrap().into_iter().map(|row| row.name).collect();
        let is_after = match self.case.step {
            "kernel" => kernels == ["kept", "linux"],
            "promote" => store.find("mine").unwrap().managed,
            "replace" => store.find("one").unwrap().id == id('b'),
            _ => images == self.case.after,
        };
        assert!(kernels == ["kept"] || (is_after && kernels == ["kept", "linux"]), "{context}: {kernels:?}");
        match said {
            Some("done") => assert!(is_after, "{context}: it was told to be done"),
            Some(_) => assert!(!is_after, "{context}: it was told to have failed"),
            None => {}
        }
        check_still(&store);
        assert!(store.image(&id('9')).unwrap().is_some(), "{context}");
    }
}

/// strace is not to be done without: otherwise nothing here would be tested.
fn require_strace() {
    let found = Command::new("strace").arg("-V").output();
    assert!(found.is_ok_and(|output| output.status.success()), "strace is missing");
}

fn all_calls() -> Vec<&'static str> {
    CALLS.split(',').collect()
}

fn killed(case: &'static Case) {
    require_strace();
    let tried = Bench::new(case).each(&all_calls(), "signal=KILL", HowLong::Once, false);
    assert!(tried >= 20, "{tried} kills are too few");
}

fn failing(case: &'static Case) {
    require_strace();
    let bench = Bench::new(case);
    let tried = bench.each(&all_calls(), "error=ENOSPC", HowLong::Once, false);
    assert!(tried >= 20, "{tried} failures are too few");
    // A disk that is full stays full.
    let full = bench.each(&["mkdir", "pwrite64", "fallocate"], "error=ENOSPC", HowLong::FromThenOn, false);
    assert!(full >= 5, "{full} failures are too few");
    // What has failed to reach the disk may be there after a kill all the same.
    let tried = bench.each(&["fsync", "fdatasync", "pwrite64"], "error=EIO", HowLong::Once, true);
    assert!(tried >= 5, "{tried} failures are too few");
}

#[test]
fn publishing_an_image_killed_at_each_call() {
    killed(&CASES[0]);
}

#[test]
fn publishing_an_image_with_each_call_failing() {
    failing(&CASES[0]);
}

#[test]
fn naming_an_image_killed_at_each_call() {
    killed(&CASES[1]);
}

#[test]
fn naming_an_image_with_each_call_failing() {
    failing(&CASES[1]);
}

#[test]
fn removing_an_image_killed_at_each_call() {
    killed(&CASES[2]);
}

#[test]
fn removing_an_image_with_each_call_failing() {
    failing(&CASES[2]);
}

#[test]
fn promoting_an_image_killed_at_each_call() {
    killed(&CASES[3]);
}

#[test]
fn promoting_an_image_with_each_call_failing() {
    failing(&CASES[3]);
}

#[test]
fn publishing_a_kernel_killed_at_each_call() {
    killed(&CASES[4]);
}

#[test]
fn publishing_a_kernel_with_each_call_failing() {
    failing(&CASES[4]);
}

#[test]
fn replacing_an_image_killed_at_each_call() {
    killed(&CASES[5]);
}

#[test]
fn replacing_an_image_with_each_call_failing() {
    failing(&CASES[5]);
}
