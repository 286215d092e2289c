//! Downloads between processes: one downloads, the others wait; a kill at any moment leaves what has come.
//!
//! The other processes are this test's own program, which runs [`child`] alone and is told by its environment what to do.

use crate::support::{Server, content, judge, names, noise};
use banger_catalog::address::Place;
use banger_catalog::{Answer, Downloads, Fetch, FetchError, Watch};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "BANGER_TEST_DOWNLOADS";
/// What a child says begins with this, so that it is told from what the test's frame says.
const SAYS: &str = "child: ";
const URL: &str = "https://e.org/x";

fn file() -> Vec<u8> {
    noise(2 << 20, 42)
}

/// A server that takes its time.
struct Slow(Server);

impl Fetch for Slow {
    fn get(&self, url: &str, offset: u64) -> Result<Answer, FetchError> {
        let answer = self.0.get(url, offset)?;
        println!("{SAYS}asks from {offset}");
        Ok(Answer { body: Box::new(SlowBody(answer.body)), ..answer })
    }
}

struct SlowBody(Box<dyn Read + Send>);

impl Read for SlowBody {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Long enough for another process to start meanwhile, on a busy machine too.
        std::thread::sleep(Duration::from_millis(10));
        let length = buffer.len().min(32 << 10);
        self.0.read(&mut buffer[..length])
    }
}

struct Says;

impl Watch for Says {
    fn received(&self, bytes: u64) {
        println!("{SAYS}received {bytes}");
    }
    fn shared(&self) {
        println!("{SAYS}shared");
    }
}

#[test]
#[ignore = "started by the others"]
fn child() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let server = Slow(Server::with(URL, &file()));
    let downloads = Downloads::new(Path::new(&directory));
    let downloaded = downloads.obtain(&Place::of_catalog(URL).unwrap(), &content(&file()), &server, &Says).unwrap();
    assert!(std::fs::read(downloaded.path()).unwrap() == file());
    println!("{SAYS}done");
}

fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env(DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

const CHILD: [&str; 5] = ["--exact", "processes::child", "--ignored", "--nocapture", "--test-threads=1"];

fn start(directory: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command(std::env::current_exe().unwrap(), &CHILD, directory).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).filter_map(|line| line.split_once(SAYS).map(|(_, said)| said.to_owned()));
    (child, said)
}

#[test]
fn one_process_downloads_and_the_others_use_it() {
    let scratch = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4).map(|_| start(scratch.path())).collect();
    let mut asked = Vec::new();
    for (mut child, said) in children {
        let said: Vec<String> = said.collect();
        assert!(child.wait().unwrap().success());
        assert_eq!(said.last().map(String::as_str), Some("done"));
        asked.extend(said.into_iter().filter(|said| said.starts_with("asks")));
    }
    assert_eq!(asked, ["asks from 0"]);
}

#[test]
fn after_a_kill_the_next_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let mut last = 0;
    for pieces in [1, 5, 20] {
        let (mut child, mut said) = start(scratch.path());
        let asks = said.next().unwrap();
        let from: u64 = asks.strip_prefix("asks from ").unwrap().parse().unwrap();
        assert!(from >= last, "{from} {last}");
        for _ in 0..pieces {
            let received: u64 = said.next().unwrap().strip_prefix("received ").unwrap().parse().unwrap();
            last += received;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let others = names(&scratch.path().join("downloads"));
        assert_eq!(others, [format!("{}.partial", content(&file()).sha256.hex())]);
    }
    let (mut child, said) = start(scratch.path());
    let said: Vec<String> = said.collect();
    assert!(child.wait().unwrap().success());
    let from: u64 = said[0].strip_prefix("asks from ").unwrap().parse().unwrap();
    assert!(from >= last);
}

#[test]
fn who_waits_takes_over_from_who_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut first, mut first_said) = start(scratch.path());
    assert_eq!(first_said.next().unwrap(), "asks from 0");
    assert!(first_said.next().unwrap().starts_with("received"));
    let (mut second, mut second_said) = start(scratch.path());
    assert_eq!(second_said.next().unwrap(), "shared");
    first.kill().unwrap();
    first.wait().unwrap();
    let rest: Vec<String> = second_said.collect();
    assert!(rest[0].starts_with("asks from ") && rest[0] != "asks from 0", "{}", rest[0]);
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_full_disk_costs_nothing_of_what_has_come() {
    if !judge("strace") {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let partial = scratch.path().join("downloads").join(format!("{}.partial", content(&file()).sha256.hex()));
    let mut last = 0;
    for number in [3, 4, 9] {
        let inject = format!("inject=pwrite64:error=ENOSPC:when={number}");
        let arguments =
            ["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject, program.to_str().unwrap()];
        let output = command("strace", &[&arguments[..], &CHILD].concat(), scratch.path()).output().unwrap();
        assert!(!output.status.success(), "{number}");
        let left = std::fs::read(&partial).unwrap();
        assert!(left.len() > last && left == file()[..left.len()], "{number}: {} {last}", left.len());
        last = left.len();
    }
    let (mut child, said) = start(scratch.path());
    assert_eq!(said.take(1).collect::<Vec<_>>(), [format!("asks from {last}")]);
    child.kill().unwrap();
    child.wait().unwrap();
}
