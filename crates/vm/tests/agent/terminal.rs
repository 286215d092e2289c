//! Commands with a terminal.

use std::collections::BTreeMap;

use banger_protocol::exec::{Exec, Exit, Size};
use banger_vm::client::{Event, Session};

use crate::exec::command;
use crate::service::Service;

const SIZE: Size = Size { rows: 33, columns: 111 };

fn on_terminal(service: &Service, script: &str) -> Session {
    let exec = Exec { terminal: Some(SIZE), stdin: true, ..command(&["sh", "-c", script]) };
    service.client().exec(&exec).unwrap()
}

/// Reads until this was shown.
fn until(session: &mut Session, expected: &str) -> String {
    let mut shown = String::new();
    while !shown.contains(expected) {
        match session.next_event().unwrap() {
            Some(Event::Stdout(bytes)) => shown.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {shown:?}"),
        }
    }
    shown
}

fn rest(session: Session) -> (String, Exit) {
    let (stdout, stderr, exit) = session.output(1 << 20).unwrap();
    assert!(stderr.is_empty(), "a terminal has one output");
    (String::from_utf8_lossy(&stdout).into_owned(), exit)
}

#[test]
fn it_is_one_and_has_its_size() {
    let service = Service::start();
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size && echo $TERM >&2 && cat /dev/tty";
    let mut session = on_terminal(&service, script);
    assert_eq!(until(&mut session, "xterm\r\n"), "33 111\r\nxterm\r\n");
    session.sender().end_stdin().unwrap();
    assert_eq!(rest(session).1, Exit::Code(0));
}

#[test]
fn it_is_resized() {
    let service = Service::start();
    let mut session = on_terminal(&service, "trap 'stty size; exit 0' WINCH; echo ready; while :; do read x; done");
    until(&mut session, "ready");
    session.sender().resize(Size { rows: 5, columns: 7 }).unwrap();
    let (shown, exit) = rest(session);
    assert!(shown.contains("5 7\r\n"), "{shown:?}");
    assert_eq!(exit, Exit::Code(0));
}

#[test]
fn keys_are_echoed_and_control_c_interrupts() {
    let service = Service::start();
    let mut session = on_terminal(&service, "echo ready; cat");
    until(&mut session, "ready");
    session.sender().stdin(b"hello\r").unwrap();
    assert_eq!(until(&mut session, "hello\r\nhello\r\n").trim_start(), "hello\r\nhello\r\n");
    session.sender().stdin(&[3]).unwrap();
    let (shown, exit) = rest(session);
    assert_eq!((shown.as_str(), exit), ("^C", Exit::Signal(2)));
}

#[test]
fn a_signal_goes_to_the_foreground() {
    let service = Service::start();
    // An interactive shell gives each command a group of its own, and does not die of what is sent to that.
    let mut session = on_terminal(&service, "set -m; echo ready; sleep 1000; echo status $?; exit 6");
    until(&mut session, "ready");
    std::thread::sleep(std::time::Duration::from_millis(300));
    session.sender().signal(15).unwrap();
    let (shown, exit) = rest(session);
    assert!(shown.contains("status 143"), "{shown:?}");
    assert_eq!(exit, Exit::Code(6));
}

#[test]
fn all_that_was_shown_arrives_before_the_exit() {
    let service = Service::start();
    for _ in 0..20 {
        let session = on_terminal(&service, "i=0; while [ $i -lt 500 ]; do echo line$i; i=$((i+1)); done; exit 2");
        let (shown, exit) = rest(session);
        let expected: String = (0..500).map(|number| format!("line{number}\r\n")).collect();
        assert_eq!((shown, exit), (expected, Exit::Code(2)));
    }
}

#[test]
fn its_user_owns_it_and_the_host_may_name_it() {
    let service = Service::start();
    let exec = Exec {
        terminal: Some(SIZE),
        user: Some("nobody".into()),
        env: BTreeMap::from([("TERM".into(), "dumb".into())]),
        ..command(&["sh", "-c", "stat -c %U \"$(tty)\"; echo $TERM"])
    };
    let (shown, exit) = rest(service.client().exec(&exec).unwrap());
    assert_eq!((shown.as_str(), exit), ("nobody\r\ndumb\r\n", Exit::Code(0)));
}

#[test]
fn who_lets_go_of_the_terminal_is_still_waited_for() {
    let service = Service::start();
    let session = on_terminal(&service, "echo first; exec sh -c 'sleep 0.5; exit 8' </dev/null >/dev/null 2>&1");
    assert_eq!(rest(session), ("first\r\n".to_owned(), Exit::Code(8)));
}

#[test]
fn a_terminal_that_is_left_hangs_up() {
    let service = Service::start();
    let mark = service.directory.path().join("mark");
    let script = format!("trap 'echo hup > {}; exit' HUP; echo ready; while :; do sleep 0.05; done", mark.display());
    let mut session = on_terminal(&service, &script);
    until(&mut session, "ready");
    drop(session);
    crate::exec::eventually("SIGHUP has arrived", || mark.exists());
}
