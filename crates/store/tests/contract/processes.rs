//! Other processes: they make, name and remove; they are killed at any moment, and leave nothing half done.
//!
//! They are this test's own program, which runs [`child`] alone and is told by its environment what to do.

use crate::support::*;
use banger_store::image::Stage;
use banger_store::{Error, Result, Store};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const TASK: &str = "BANGER_TEST_STORE_TASK";
const ROOT: &str = "BANGER_TEST_STORE_ROOT";
/// What a child says begins with this, so that it is told from what the test's frame says.
const SAYS: &str = "child: ";

/// How often each of those who work at once does everything.
const ROUNDS: u64 = 12;

#[test]
#[ignore = "started by the others"]
fn child() {
    let (task, root) = (std::env::var(TASK).unwrap(), std::env::var_os(ROOT).unwrap());
    let root = Path::new(&root);
    let say = |text: &str| println!("{SAYS}{text}");
    match task.split_once(' ') {
        None if task == "churn" => {
            let mut number = 0;
            loop {
                let store = Store::open(root).unwrap();
                say("ready");
                everything(&store, number).unwrap();
                number += 1;
            }
        }
        Some(("hold", id)) => {
            let store = Store::open(root).unwrap();
            let _reservation = store.reserve("held").unwrap();
            let staging = new(store.stage(id, &|| true).unwrap());
            fill(staging.path(), id);
            say("holds");
            std::thread::sleep(Duration::from_secs(3600));
        }
        Some(("work", seed)) => {
            work(&|| Store::open(root).unwrap(), seed.parse().unwrap());
            say("done");
        }
        Some((step, "")) => crate::faults::step(step, root, &say),
        other => panic!("{other:?}"),
    }
}

/// Another process, and what it says.
pub(crate) struct Process {
    child: Child,
    says: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(task: &str, root: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), task, root)
    }

    /// Starts it by a command that has this program, or another one that runs it, and goes on with its arguments.
    pub(crate) fn start_by(mut command: Command, task: &str, root: &Path) -> Self {
        let mut child = command
            .args(["--exact", "--ignored", "processes::child", "--nocapture"])
            .env(TASK, task)
            .env(ROOT, root)
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, says }
    }

    /// The next thing that it says.
    pub(crate) fn next(&mut self) -> Option<String> {
        // The frame writes no newline after the name of the test.
        self.says.by_ref().map(Result::unwrap).find_map(|line| Some(line.split_once(SAYS)?.1.to_owned()))
    }

    fn wait_until(&mut self, what: &str) {
        while self.next().unwrap() != what {}
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Everything that it says, and whether it ended well.
    pub(crate) fn finish(mut self) -> (Vec<String>, bool) {
        let said = std::iter::from_fn(|| self.next()).collect();
        (said, self.child.wait().unwrap().success())
    }
}

/// Everything that can be done to a store, from nothing to nothing.
fn everything(store: &Store, number: u64) -> Result<()> {
    let id = id(char::from_digit(10 + u32::try_from(number % 5).unwrap(), 16).unwrap());
    make(store, "one", &id)?;
    make(store, "two", &id)?;
    store.rename("two", store.reserve("three")?)?;
    make_kernel(store, "linux")?;
    let place = store.root().join("elsewhere");
    let unmanaged = store.register(store.reserve("four")?, &elsewhere(&"0".repeat(64), &place))?;
    let shared = store.image(&id)?.unwrap();
    store.promote(&shared, &unmanaged, &row(&id))?;
    drop(shared);
    store.remove_kernel("linux")?;
    store.remove(&["one"])?;
    store.remove(&["three", "four"])?;
    Ok(())
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_half_done() {
    let scratch = Scratch::new();
    make(&scratch.store, "kept", &id('9')).unwrap();
    make_kernel(&scratch.store, "kept").unwrap();
    let Scratch { directory, store } = scratch;
    // So that the child is the last to close the database, and is killed while it does.
    drop(store);
    let root = directory.path().join("store");
    let mut found = 0;
    for round in 0..40_u64 {
        let mut process = Process::start("churn", &root);
        process.wait_until("ready");
        // Any moment: the step has nothing in common with the time that a round takes.
        std::thread::sleep(Duration::from_micros(round * 1_730));
        process.kill();

        let store = Store::open(&root).unwrap();
        check_still(&store);
        let left: Vec<String> = names(&store).into_iter().filter(|name| name != "kept").collect();
        assert_eq!(names(&store).len(), left.len() + 1, "what was there is there");
        assert!(store.kernel("kept").unwrap().is_some());
        found += left.len();
        for name in left {
            store.remove(&[&name]).unwrap();
        }
        if store.kernel("linux").unwrap().is_some() {
            store.remove_kernel("linux").unwrap();
        }
        check_still(&store);
    }
    eprintln!("40 kills left {found} images that were complete");
}

#[test]
fn who_is_killed_holds_nothing() {
    let scratch = Scratch::new();
    let store = &scratch.store;
    let mut process = Process::start(&format!("hold {}", id('a')), &scratch.root());
    process.wait_until("holds");
    assert_eq!(sort(&store.reserve("held").unwrap_err()), "BeingMade");
    assert!(matches!(store.stage(&id('a'), &|| false), Err(Error::Cancelled)));
    assert_eq!(store.sweep().unwrap(), []);
    process.kill();
    let _reservation = store.reserve("held").unwrap();
    let Stage::New(staging) = store.stage(&id('a'), &|| panic!("nobody makes it")).unwrap() else { panic!("there") };
    assert_eq!(entries(staging.path()), Vec::<String>::new());
}

/// Makes, names, renames, removes, lists and sweeps at random, among others who do the same; and looks at each step whether all
/// is well.
pub(crate) fn work(open: &dyn Fn() -> Store, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let store = open();
    for _ in 0..ROUNDS {
        let name = ["one", "two", "three", "four"][usize::try_from(next(4)).unwrap()];
        let id = id(['a', 'b', 'c'][usize::try_from(next(3)).unwrap()]);
        let done = match next(8) {
            0..=2 => make(&store, name, &id).map(drop),
            3 => store.remove(&[name]).map(drop),
            4 => store.reserve(name).and_then(|reservation| store.rename("one", reservation)).map(drop),
            5 => make_kernel(&store, name).map(drop),
            6 => store.remove_kernel(name).map(drop),
            _ => open().sweep().map(drop),
        };
        match done.as_ref().map_err(sort).err().as_deref() {
            None | Some("NameTaken" | "BeingMade" | "NotFound" | "InUse") => {}
            Some(_) => panic!("{done:?}"),
        }
        check_now(&store);
    }
}

#[test]
fn several_processes_and_threads_at_once() {
    let scratch = Scratch::new();
    let root = scratch.root();
    let processes: Vec<_> = (1..=4).map(|seed| Process::start(&format!("work {seed}"), &root)).collect();
    std::thread::scope(|scope| {
        // Some with a database of their own, some with one for all.
        for seed in 11..=13 {
            let (root, store) = (&root, &scratch.store);
            scope.spawn(move || work(&|| Store::open(root).unwrap(), seed));
            scope.spawn(move || work(&|| store.clone(), seed + 10));
        }
    });
    for process in processes {
        assert_eq!(process.finish(), (vec!["done".to_owned()], true));
    }
    scratch.store.sweep().unwrap();
    check_still(&scratch.store);
}

#[test]
fn several_processes_may_make_the_same_store() {
    let scratch = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let root = scratch.path().join(format!("{round}/state/banger"));
        let processes: Vec<_> = (1..=3).map(|seed| Process::start(&format!("work {seed}"), &root)).collect();
        for process in processes {
            assert_eq!(process.finish(), (vec!["done".to_owned()], true));
        }
        check_still(&Store::open(&root).unwrap());
    }
}
