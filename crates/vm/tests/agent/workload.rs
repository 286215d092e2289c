//! The workload's output as a stream.

use std::sync::Arc;
use std::thread;

use banger_agent::workload;
use banger_protocol::boot::BootMode;
use banger_protocol::exec::Exit;
use banger_protocol::failure::FailureKind;
use banger_vm::client::Event;

use crate::exec::eventually;
use crate::service::{Service, refused};

fn service(script: &str) -> Service {
    let service = Service::with(|settings| {
        settings.hold = false;
        settings.argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    });
    let state = Arc::clone(&service.state);
    thread::spawn(move || workload::run(&state));
    service
}

#[test]
fn each_who_attaches_sees_all_of_it_and_how_it_ended() {
    let service = service("echo out; echo err >&2; sleep 0.3; echo late; exit 6");
    let early = service.client().workload().unwrap();
    let expected = (b"out\nlate\n".to_vec(), b"err\n".to_vec(), Exit::Code(6));
    assert_eq!(early.output(1 << 20).unwrap(), expected);
    assert_eq!(service.client().workload().unwrap().output(1 << 20).unwrap(), expected);
}

#[test]
fn signals_go_to_it() {
    let service = service("trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let mut session = service.client().workload().unwrap();
    assert_eq!(session.next_event().unwrap(), Some(Event::Stdout(b"ready\n".to_vec())));
    session.sender().signal(15).unwrap();
    assert_eq!(session.output(1 << 20).unwrap(), (b"caught\n".to_vec(), Vec::new(), Exit::Code(3)));
}

#[test]
fn who_leaves_does_not_end_it() {
    let service = service("echo ready; sleep 0.5; exit 2");
    let mut session = service.client().workload().unwrap();
    assert!(session.next_event().unwrap().is_some());
    drop(session);
    let (stdout, _, exit) = service.client().workload().unwrap().output(1 << 20).unwrap();
    assert_eq!((stdout, exit), (b"ready\n".to_vec(), Exit::Code(2)));
}

#[test]
fn a_reader_is_there_until_it_knows_the_end() {
    let service = service("exit 1");
    let session = service.client().workload().unwrap();
    let state = &service.state;
    eventually("it has ended", || {
        matches!(state.workload(), Some(banger_protocol::health::Workload::Exited { exit: Exit::Code(1) }))
    });
    assert_eq!(session.output(1 << 20).unwrap().2, Exit::Code(1));
}

#[test]
fn where_an_init_does_everything_there_is_none() {
    let service = Service::with(|settings| settings.boot.mode = BootMode::Systemd);
    assert_eq!(refused(service.client().workload()).kind, FailureKind::NotFound);
}
