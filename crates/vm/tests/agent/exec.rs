//! Commands without a terminal.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::{Exec, Exit};
use banger_protocol::failure::FailureKind;
use banger_vm::client::{Client, ClientError, Event};

use crate::service::{Service, refused};

const MUCH: usize = 1 << 20;

pub(crate) fn command(argv: &[&str]) -> Exec {
    Exec { argv: argv.iter().map(|&text| text.to_owned()).collect(), ..Exec::default() }
}

fn sh(script: &str) -> Exec {
    command(&["sh", "-c", script])
}

fn run(client: &Client, exec: &Exec) -> (String, String, Exit) {
    let (stdout, stderr, exit) = client.exec(exec).unwrap().output(MUCH).unwrap();
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), exit)
}

/// Waits until something is as it should be.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_command_ends_as_it_ends() {
    let service = Service::start();
    let client = service.client();
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -KILL $$", Exit::Signal(9)),
    ] {
        assert_eq!(run(&client, &sh(script)), (String::new(), String::new(), expected), "{script}");
    }
}

#[test]
fn output_and_errors_are_apart_and_whole() {
    let service = Service::start();
    let script = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; exit 3";
    let (stdout, stderr, exit) = run(&service.client(), &sh(script));
    let lines = |word: &str| (0..2000).map(|number| format!("{word}{number}\n")).collect::<String>();
    assert_eq!((stdout, stderr, exit), (lines("out"), lines("err"), Exit::Code(3)));
}

#[test]
fn megabytes_go_through_and_come_back() {
    let service = Service::start();
    let data: Vec<u8> = (0..5_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut session = service.client().exec(&Exec { stdin: true, ..command(&["cat"]) }).unwrap();
    let mut sender = session.sender();
    let sent = data.clone();
    let sending = thread::spawn(move || {
        sent.chunks(77_777).for_each(|piece| sender.stdin(piece).unwrap());
        sender.end_stdin().unwrap();
    });
    let mut received = Vec::new();
    let exit = loop {
        match session.next_event().unwrap().unwrap() {
            Event::Stdout(bytes) => received.extend(bytes),
            Event::Stderr(bytes) => panic!("{}", String::from_utf8_lossy(&bytes)),
            Event::Exit(exit) => break exit,
        }
    };
    sending.join().unwrap();
    assert_eq!(exit, Exit::Code(0));
    assert!(received == data, "{} bytes of {}", received.len(), data.len());
    assert_eq!(session.next_event().unwrap(), None);
}

#[test]
fn a_command_that_reads_nothing_is_no_deadlock() {
    let service = Service::start();
    let session = service.client().exec(&Exec { stdin: true, ..sh("sleep 0.3; echo done; exit 4") }).unwrap();
    let mut sender = session.sender();
    let sending = thread::spawn(move || {
        // More than any buffer holds: it ends when the command does.
        while sender.stdin(&[0; 65_536]).is_ok() {}
    });
    assert_eq!(session.output(MUCH).unwrap(), (b"done\n".to_vec(), Vec::new(), Exit::Code(4)));
    sending.join().unwrap();
}

#[test]
fn a_host_that_reads_nothing_holds_up_the_command_and_loses_nothing() {
    let service = Service::start();
    let mark = service.directory.path().join("mark");
    let script = format!("head -c 3000000 /dev/zero; : > {}", mark.display());
    let mut session = service.client().exec(&sh(&script)).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(!mark.exists(), "three megabytes are somewhere between");
    let mut total = 0;
    loop {
        match session.next_event().unwrap().unwrap() {
            Event::Stdout(bytes) => total += bytes.len(),
            event => break assert_eq!(event, Event::Exit(Exit::Code(0))),
        }
    }
    assert_eq!(total, 3_000_000);
}

#[test]
fn without_standard_input_it_is_empty() {
    let service = Service::start();
    let (stdout, _, exit) = run(&service.client(), &sh("cat; echo end"));
    assert_eq!((stdout.as_str(), exit), ("end\n", Exit::Code(0)));
}

#[test]
fn input_may_end_before_the_command_does() {
    let service = Service::start();
    let session = service
        .client()
        .exec(&Exec { stdin: true, ..sh("read line; echo $line; wc -c; sleep 0.1; echo end") })
        .unwrap();
    let mut sender = session.sender();
    sender.stdin(b"hello\nrest").unwrap();
    sender.end_stdin().unwrap();
    assert_eq!(session.output(MUCH).unwrap().0, b"hello\n4\nend\n");
}

#[test]
fn signals_reach_all_of_the_command() {
    let service = Service::start();
    // A shell that waits for another: both get it.
    let child = "trap 'echo child; exit 1' INT; echo ready; while :; do sleep 0.05; done";
    let parent = "trap 'echo parent' INT; sh -c \"$0\"; echo $?; exit 9";
    let mut session = service.client().exec(&command(&["sh", "-c", parent, child])).unwrap();
    assert_eq!(session.next_event().unwrap(), Some(Event::Stdout(b"ready\n".to_vec())));
    session.sender().signal(2).unwrap();
    let (stdout, _, exit) = session.output(MUCH).unwrap();
    assert_eq!((String::from_utf8(stdout).unwrap().as_str(), exit), ("child\nparent\n1\n", Exit::Code(9)));
}

#[test]
fn who_hangs_up_ends_the_command() {
    let service = Service::start();
    let pids = service.directory.path().join("pids");
    // One that would survive a SIGHUP, and its child.
    let script = format!(
        "trap '' HUP; sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait; wait; sleep 1000",
        pids.display()
    );
    let session = service.client().exec(&sh(&script)).unwrap();
    eventually("the command runs", || pids.exists());
    let pids: Vec<String> = fs::read_to_string(&pids).unwrap().split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2);
    drop(session);
    let runs = |pid: &String| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    eventually("all is ended", || !pids.iter().any(runs));
}

#[test]
fn what_children_leave_open_does_not_keep_the_session() {
    let service = Service::start();
    let started = Instant::now();
    let (stdout, _, exit) = run(&service.client(), &sh("sleep 30 & echo out; exit 5"));
    assert_eq!((stdout.as_str(), exit), ("out\n", Exit::Code(5)));
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_environment_is_layered_and_the_directory_is_where_it_is() {
    let service = Service::with(|settings| {
        settings.env = BTreeMap::from([("FROM".into(), "image".into()), ("KEPT".into(), "yes".into())]);
    });
    let exec = Exec {
        env: BTreeMap::from([("FROM".into(), "host".into())]),
        directory: Some("/usr".into()),
        ..sh("echo $FROM $KEPT $PWD ${CARGO_TARGET_DIR:-none} $HOME")
    };
    let (stdout, ..) = run(&service.client(), &exec);
    assert_eq!(stdout, "host yes /usr none /root\n");
    assert_eq!(run(&service.client(), &command(&["pwd"])).0, "/\n");
}

#[test]
fn the_user_is_who_was_asked_for() {
    let service = Service::start();
    let id = |user: &str| run(&service.client(), &Exec { user: Some(user.into()), ..sh("id -u; id -g; id -G") }).0;
    assert!(rustix::process::getuid().is_root(), "only root can be somebody else: run this test as root");
    assert_eq!(id("nobody"), "65534\n65534\n65534\n");
    assert_eq!(id("1234:5678"), "1234\n5678\n5678\n");
    assert_eq!(id("daemon:tty"), "1\n5\n5\n");
    let failure = refused(service.client().exec(&Exec { user: Some("no-such-user".into()), ..sh("true") }));
    assert_eq!(failure.kind, FailureKind::Request);
}

#[test]
fn what_cannot_be_run_is_refused_with_its_kind() {
    let service = Service::start();
    let directory = service.path("bin");
    let write = |name: &str, content: &[u8], mode| {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = write("plain", b"#!/bin/sh\n", 0o644);
    let orphan = write("orphan", b"#!/no/such/interpreter\n", 0o755);
    let client = service.client();
    for (argv, kind) in [
        (&["no-such-program"][..], FailureKind::NotFound),
        (&["/no/such/program"], FailureKind::NotFound),
        (&[&plain], FailureKind::NotPermitted),
        (&["/usr"], FailureKind::NotPermitted),
        (&[&orphan], FailureKind::NotPermitted),
        (&[], FailureKind::Request),
        (&["sh", "a\0b"], FailureKind::Request),
        (&["x"; 5000], FailureKind::Limit),
    ] {
        assert_eq!(refused(client.exec(&command(argv))).kind, kind, "{argv:.3?}");
    }
    let nowhere = Exec { directory: Some("/no/such/directory".into()), ..sh("true") };
    assert_eq!(refused(client.exec(&nowhere)).kind, FailureKind::Request);
    let long = Exec { argv: vec!["echo".into(), "x".repeat(2 << 20)], ..Exec::default() };
    assert_eq!(refused(client.exec(&long)).kind, FailureKind::Limit);
}

#[test]
fn frames_that_are_none_end_the_command() {
    let service = Service::start();
    let mark = service.directory.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", mark.display());
    let body = serde_json::to_string(&sh(&script)).unwrap();
    let mut stream = service.connect();
    let head = "POST /exec HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: banger-stream";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    eventually("the command runs", || mark.exists());
    let pid = fs::read_to_string(&mark).unwrap().trim().to_owned();
    stream.write_all(&[9, 0, 0, 0, 0]).unwrap();
    eventually("it is ended", || !Path::new("/proc").join(&pid).exists());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[test]
fn sixty_four_at_the_same_time_and_no_more() {
    let service = Service::start();
    let client = service.client();
    let waiting = Exec { stdin: true, ..sh("read line; echo $line") };
    let mut sessions: Vec<_> = (0..64).map(|_| client.exec(&waiting).unwrap()).collect();
    assert_eq!(refused(client.health()).kind, FailureKind::Busy);
    for (number, session) in sessions.iter_mut().enumerate() {
        session.sender().stdin(format!("{number}\n").as_bytes()).unwrap();
    }
    for (number, session) in sessions.into_iter().enumerate() {
        let (stdout, _, exit) = session.output(MUCH).unwrap();
        assert_eq!((stdout, exit), (format!("{number}\n").into_bytes(), Exit::Code(0)));
    }
    eventually("there is a place again", || client.health().is_ok());
}

#[test]
fn a_session_that_breaks_says_so() {
    let service = Service::start();
    let session = service.client().exec(&sh("sleep 60")).unwrap();
    session.sender().close();
    let mut session = session;
    let error = session.next_event().unwrap_err();
    assert!(matches!(error, ClientError::Broken), "{error:?}");
}
