//! The daemon is killed at any moment: whoever waits for it is told, the next one finds nothing half.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::bench::{Bench, kernel_directory};
use crate::args;
use crate::judges;
use crate::registry::random;
use crate::support::concurrent::wait_until;
use crate::support::{Managed, Run, judge};

/// How many daemons are killed.
const KILLS: u64 = 30;

/// What the moments are made of. Another number gives other moments.
const SEED: u64 = 5;

/// How long what is done takes about, and a little longer: milliseconds.
const MOMENTS: u64 = 350;

/// The process of the daemon, which is started for that where there is none.
fn daemon(managed: &Managed) -> u64 {
    managed.json(["info"])[0]["pid"].as_u64().unwrap()
}

fn begin(managed: &Managed, arguments: &[std::ffi::OsString]) -> Child {
    let mut command = managed.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn killed_at_thirty_moments() {
    judges!("kill");
    let managed = Managed::with_daemon();
    let file = managed.user.path("disk.ext4");
    let kernel = kernel_directory(&managed);
    let bench = Bench::layers(managed);
    let managed = &bench.managed;
    let rootfs = managed.show("kept")["rootfs"].as_str().unwrap().to_owned();
    std::fs::copy(rootfs, &file).unwrap();
    let mut state = SEED;
    let mut killed = 0;
    for number in 0..KILLS {
        bench.reset();
        bench.server.limit_rate(0);
        let operation = ["pull", "pull", "rm", "promote", "import"][usize::try_from(number % 5).unwrap()];
        match operation {
            "rm" => drop(bench.run().ok()),
            "promote" => drop(managed.run(args!["image", "register", "new", &file, "--no-kernel"]).ok()),
            _ => {}
        }
        let arguments: Vec<std::ffi::OsString> = match operation {
            "pull" => bench.pull.iter().map(Into::into).collect(),
            "rm" => args!["image", "rm", "new"].into(),
            "promote" => args!["image", "promote", "new"].into(),
            _ => args!["kernel", "import", "--from", &kernel, "--name", "imported"].into(),
        };
        let pid = daemon(managed).to_string();
        bench.server.limit_rate(500_000);
        // What takes a few milliseconds is met in the middle now and then only if the moments are no longer.
        let most = if operation == "pull" { MOMENTS } else { 40 };
        let delay = Duration::from_millis(random(&mut state) % most);
        let child = begin(managed, &arguments);
        std::thread::sleep(delay);
        judge::ask("kill", ["-KILL", &pid]).ok();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let context =
            format!("kill {number}, {operation}, {delay:?} after it was asked for: {}: {said}", output.status);
        match output.status.code() {
            // It was done before, or it had not even begun, and another daemon did it.
            Some(0) => {}
            Some(1) => {
                killed += 1;
                assert!(said.contains("error: ") && said.contains("daemon"), "{context}");
            }
            _ => panic!("{context}"),
        }
        let is_there = bench.judge(&context);
        if operation == "promote" {
            // It is one or the other, but it is there, and so is what it was made from.
            assert!(is_there && file.exists(), "{context}");
            assert!(managed.show("new")["managed"].is_boolean(), "{context}");
        }
    }
    assert!(killed >= 8, "of {KILLS} only {killed} met somebody who waited: other moments are needed");
    bench.server.limit_rate(0);
    bench.reset();
    bench.run().ok();
    assert!(bench.judge("afterwards"));
    end(managed);
}

/// The daemon ends in order, and its job with it: whoever waits is told.
#[test]
fn ended_in_order() {
    judges!("kill");
    for signal in ["-TERM", "-INT"] {
        let bench = Bench::layers(Managed::with_daemon());
        let pid = daemon(&bench.managed).to_string();
        bench.server.limit_rate(20_000);
        let child = begin(&bench.managed, &args_of(&bench));
        wait_until("a part is here", || bench.server.sent() > 0);
        judge::ask("kill", [signal, &pid]).ok();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{signal}: {said}");
        assert!(said.contains("error: "), "{signal}: {said}");
        // Nobody has to be started to find that nothing is left.
        assert_eq!(bench.managed.files().len(), 2, "{signal}: {:?}", bench.managed.files());
        bench.server.limit_rate(0);
        assert!(!bench.judge(signal));
        end(&bench.managed);
    }
}

fn args_of(bench: &Bench) -> Vec<std::ffi::OsString> {
    bench.pull.iter().map(Into::into).collect()
}

/// Nothing of a test goes on when it has ended.
fn end(managed: &Managed) {
    let pid = daemon(managed).to_string();
    let run: Run = judge::ask("kill", ["-TERM", &pid]);
    run.ok();
}
