//! The cache between processes: one writes, the others wait; a kill at any moment leaves nothing half done.
//!
//! The other processes are this test's own program, which runs [`child`] alone and is told by its environment what to do.

use crate::cache::{Scratch, begin, layer, names, noise, store};
use banger_oci::cache::{Cache, Ingest};
use banger_oci::{Descriptor, Digest};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const TASK: &str = "BANGER_TEST_CACHE_TASK";
const DIRECTORY: &str = "BANGER_TEST_CACHE_DIRECTORY";
/// What a child says begins with this, so that it is told from what the test's frame says.
const SAYS: &str = "child: ";

const BLOB: usize = 2 << 20;
const PIECE: usize = 32 << 10;

fn content() -> Vec<u8> {
    noise(BLOB, 42)
}

#[test]
#[ignore = "started by the others"]
fn child() {
    let (task, directory) = (std::env::var(TASK).unwrap(), std::env::var_os(DIRECTORY).unwrap());
    let directory = Path::new(&directory);
    let say = |text: &str| println!("{SAYS}{text}");
    match task.as_str() {
        "write" => {
            let cache = Cache::open(directory).unwrap();
            say("ready");
            match cache.ingest(&layer(&content()), &mut || say("waits")).unwrap() {
                Ingest::Present(_) => say("present"),
                Ingest::Begin(mut partial) => {
                    say("writes");
                    let content = content();
                    for piece in content[usize::try_from(partial.length()).unwrap()..].chunks(PIECE) {
                        partial.append(piece).unwrap();
                        std::thread::sleep(Duration::from_millis(3));
                    }
                    partial.commit().unwrap();
                    say("wrote");
                }
            }
        }
        "churn" => loop {
            let cache = Cache::open(directory).unwrap();
            say("ready");
            let content = content();
            let blob = layer(&content);
            let Ingest::Begin(mut partial) = cache.ingest(&blob, &mut || {}).unwrap() else { panic!("it was removed") };
            for piece in content[usize::try_from(partial.length()).unwrap()..].chunks(PIECE) {
                partial.append(piece).unwrap();
            }
            partial.commit().unwrap();
            for name in ["one", "two"] {
                cache.name_image(name, &blob).unwrap();
                assert!(cache.unname(name).unwrap());
            }
            fs::remove_file(directory.join(blob.digest.blob_path())).unwrap();
        },
        "open" => {
            for number in 0.. {
                Cache::open(&directory.join(format!("{}-{number}", std::process::id()))).unwrap();
                say("ready");
            }
        }
        names => {
            let cache = Cache::open(directory).unwrap();
            for number in 0..NAMES {
                let name = format!("{names}:{number}");
                cache.name_image(&name, &layer(name.as_bytes())).unwrap();
            }
        }
    }
}

const NAMES: usize = 20;

/// Another process, and what it says.
struct Process {
    child: Child,
    says: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(task: &str, directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "cache_processes::child", "--nocapture"])
            .env(TASK, task)
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, says }
    }

    fn next(&mut self) -> Option<String> {
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

    fn finish(mut self) -> Vec<String> {
        let said = std::iter::from_fn(|| self.next()).collect();
        assert!(self.child.wait().unwrap().success());
        said
    }
}

#[test]
fn four_processes_write_a_blob_once() {
    let scratch = Scratch::new();
    let processes: Vec<_> = (0..4).map(|_| Process::start("write", scratch.path())).collect();
    let said: Vec<_> = processes.into_iter().map(Process::finish).collect();
    let count = |what: &str| said.iter().filter(|said| said.iter().any(|word| word == what)).count();
    assert_eq!((count("writes"), count("wrote"), count("present")), (1, 1, 3), "{said:?}");
    assert_eq!(scratch.files(), (vec![layer(&content()).digest.hex()], vec![]));
    assert_eq!(scratch.cache.verify(&mut |_, _| {}).unwrap().damaged, []);
}

#[test]
fn who_waits_goes_on_when_the_writer_is_killed() {
    let scratch = Scratch::new();
    let content = content();
    let blob = layer(&content);
    let mut writer = Process::start("write", scratch.path());
    writer.wait_until("writes");
    let (told, tell) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn({
        let (cache, blob) = (scratch.cache.clone(), blob.clone());
        move || match cache.ingest(&blob, &mut || told.send(()).unwrap()).unwrap() {
            Ingest::Begin(partial) => partial,
            Ingest::Present(_) => panic!("it cannot be there yet"),
        }
    });
    tell.recv().unwrap();
    while scratch.partial_file(&blob.digest).metadata().unwrap().len() < 100_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!waiter.is_finished());
    writer.kill();
    let mut partial = waiter.join().unwrap();
    assert!(tell.try_recv().is_err(), "it was told once");
    assert!(partial.was_resumed());
    assert!((100_000..blob.size).contains(&partial.length()), "{}", partial.length());
    partial.append(&content[usize::try_from(partial.length()).unwrap()..]).unwrap();
    partial.commit().unwrap();
    assert!(scratch.cache.contains(&blob));
}

/// Every blob that can be seen is right, and nothing else can be seen.
fn check(directory: &Path, expected: &Descriptor) {
    for name in names(&directory.join("blobs/sha256")) {
        let content = fs::read(directory.join("blobs/sha256").join(&name)).unwrap();
        assert_eq!(Digest::sha256(&content).hex(), name);
    }
    let left = names(&directory.join("ingest"));
    let partial = format!("sha256-{}", expected.digest.hex());
    let allowed = ["index.json", "index.lock", "lock", "oci-layout", &partial].map(str::to_owned);
    assert!(left.iter().all(|name| allowed.contains(name)), "{left:?}");
    let top = names(directory);
    assert_eq!(top, ["blobs", "index.json", "ingest", "oci-layout"]);
}

#[test]
fn a_kill_at_any_moment_leaves_nothing_half_done() {
    let scratch = Scratch::new();
    let content = content();
    let blob = layer(&content);
    let (mut resumed, mut begun_anew) = (0, 0);
    for round in 0..30 {
        let mut process = Process::start("churn", scratch.path());
        process.wait_until("ready");
        // Any moment: the step has nothing in common with the time that a round takes.
        std::thread::sleep(Duration::from_micros(round * 1_700));
        process.kill();

        check(scratch.path(), &blob);
        let cache = Cache::open(scratch.path()).unwrap();
        assert!(cache.images().unwrap().len() <= 1);
        assert_eq!(cache.verify(&mut |_, _| {}).unwrap().damaged, []);
        for name in ["one", "two"] {
            cache.unname(name).unwrap();
        }
        match cache.ingest(&blob, &mut || panic!("nobody writes it")).unwrap() {
            Ingest::Present(_) => fs::remove_file(scratch.blob_file(&blob.digest)).unwrap(),
            Ingest::Begin(mut partial) if round % 2 == 0 => {
                let length = usize::try_from(partial.length()).unwrap();
                *(if length > 0 { &mut resumed } else { &mut begun_anew }) += 1;
                partial.append(&content[length..]).unwrap();
                partial.commit().unwrap();
                fs::remove_file(scratch.blob_file(&blob.digest)).unwrap();
            }
            // The next process goes on with it.
            Ingest::Begin(_) => {}
        }
    }
    eprintln!("{resumed} of 30 kills left the beginning of a blob, {begun_anew} left nothing");
    store(&scratch.cache, &content);
    scratch.cache.prune(false, false, &mut || {}).unwrap();
    assert_eq!(scratch.files(), (vec![], vec![]));
}

#[test]
fn a_kill_while_a_cache_is_made_leaves_what_can_become_one() {
    let scratch = tempfile::tempdir().unwrap();
    for round in 0..15 {
        let mut process = Process::start("open", scratch.path());
        process.wait_until("ready");
        std::thread::sleep(Duration::from_micros(round * 370));
        process.kill();
    }
    let made = names(scratch.path());
    assert!(made.len() >= 15);
    for name in made {
        let cache = Cache::open(&scratch.path().join(name)).unwrap();
        let blob = layer(b"content");
        begin(&cache, &blob).append(b"content").unwrap();
        check(cache.path(), &blob);
    }
}

#[test]
fn names_given_at_the_same_time_are_all_kept() {
    let scratch = Scratch::new();
    let tasks = ["a", "b", "c", "d"];
    let processes: Vec<_> = tasks.iter().map(|task| Process::start(task, scratch.path())).collect();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let cache = scratch.cache.clone();
            std::thread::spawn(move || {
                for number in 0..NAMES {
                    cache.name_image(&format!("thread{thread}:{number}"), &layer(b"x")).unwrap();
                }
            })
        })
        .collect();
    processes.into_iter().for_each(|process| drop(process.finish()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(scratch.cache.images().unwrap().len(), 8 * NAMES);
    for task in tasks {
        let name = format!("{task}:{}", NAMES - 1);
        assert_eq!(scratch.cache.image(&name).unwrap().unwrap().digest, Digest::sha256(name.as_bytes()));
    }
}

#[test]
fn several_processes_may_make_the_same_cache() {
    let scratch = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let directory = scratch.path().join(round.to_string());
        let processes: Vec<_> = ["a", "b", "c"].iter().map(|task| Process::start(task, &directory)).collect();
        processes.into_iter().for_each(|process| drop(process.finish()));
        assert_eq!(Cache::open(&directory).unwrap().images().unwrap().len(), 3 * NAMES);
    }
}
