//! How a daemon begins and ends.

use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use banger_daemon::{Socket, SocketError};
use serde_json::json;

use super::curl::{curl, lines, stream};
use super::served::{Process, program, wait_until};

#[test]
fn there_is_one_daemon_and_what_a_kill_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let mut first = Process::start(&socket, &[]);
    first.expect("listening");
    let mut second = Process::start(&socket, &[]);
    second.expect("another daemon listens on");
    assert_eq!(second.code(), Some(75));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(UnixStream::connect(&socket).is_err() && socket.exists());
    let mut third = Process::start(&socket, &[]);
    third.expect("listening");
    assert_eq!(curl(&socket, "/v1/system.info", None).json()["pid"], json!(third.child.id()));
}

#[test]
fn a_socket_that_somebody_else_listens_on_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let other = UnixListener::bind(&socket).unwrap();
    assert!(matches!(Socket::bind(&socket), Err(SocketError::Taken(_))));
    drop(other);
    // Nor is the next one removed in the place of one's own.
    let own = Socket::bind(&socket).unwrap();
    std::fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    drop(own);
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn a_long_path_is_no_hindrance() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("x".repeat(100)).join("y".repeat(100));
    let socket = deep.join("bangerd.sock");
    let mut daemon = Process::start(&socket, &[]);
    daemon.expect("listening");
    // curl has to be told a shorter one.
    let short = directory.path().join("short");
    std::os::unix::fs::symlink(&deep, &short).unwrap();
    assert_eq!(curl(&short.join("bangerd.sock"), "/v1/image.list", None).status, 200);
    daemon.signal("-TERM");
    assert_eq!(daemon.code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn an_end_is_orderly() {
    for signal in ["-TERM", "-INT"] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bangerd.sock");
        let notified = directory.path().join("notify");
        let manager = UnixDatagram::bind(&notified).unwrap();
        let mut daemon = Process::run(Command::new(program()).arg(&socket).env("NOTIFY_SOCKET", &notified));
        let said = || {
            let mut buffer = [0; 100];
            let count = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        };
        assert_eq!(said(), "READY=1");
        let pull = r#"{"source":"until:/never/there","name":"a"}"#;
        let job = curl(&socket, "/v1/image.pull", Some(pull)).json();
        let mut watching = stream(&socket, &format!("/v1/job.events?id={}", job["id"]));
        wait_until("a watcher", || {
            curl(&socket, &format!("/v1/job.show?id={}", job["id"]), None).json()["watchers"] == json!(1)
        });
        daemon.signal(signal);
        assert_eq!(said(), "STOPPING=1");
        let mut told = String::new();
        watching.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        watching.wait().unwrap();
        assert_eq!(lines(&told).pop().unwrap()["problem"]["kind"], "cancelled");
        assert_eq!(daemon.code(), Some(0));
        assert!(!socket.exists());
    }
}

#[test]
fn it_ends_when_it_is_asked_to_but_not_while_it_has_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let go = directory.path().join("go");
    let mut daemon = Process::start(&socket, &[]);
    daemon.expect("listening");
    let pull = json!({ "source": format!("until:{}", go.display()), "name": "a" });
    let job = curl(&socket, "/v1/image.pull", Some(&pull.to_string())).json();
    let refused = curl(&socket, "/v1/system.stop", Some("{}"));
    assert_eq!((refused.status, refused.json()["kind"].as_str()), (409, Some("conflict")));
    std::fs::write(&go, "").unwrap();
    assert_eq!(curl(&socket, &format!("/v1/job.events?id={}", job["id"]), None).lines().pop().unwrap()["type"], "done");
    assert_eq!(curl(&socket, "/v1/system.stop", Some("{}")).json()["pid"], json!(daemon.child.id()));
    assert_eq!(daemon.code(), Some(0));
}

#[test]
fn it_ends_when_it_has_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let go = directory.path().join("go");
    let mut daemon = Process::start(&socket, &["--idle", "300"]);
    daemon.expect("listening");
    let pull = json!({ "source": format!("until:{}", go.display()), "name": "a" });
    curl(&socket, "/v1/image.pull", Some(&pull.to_string()));
    // Neither while there is a job, nor while there is a connection.
    std::thread::sleep(std::time::Duration::from_millis(900));
    let connection = UnixStream::connect(&socket).unwrap();
    std::fs::write(&go, "").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(900));
    assert_eq!(daemon.child.try_wait().unwrap(), None);
    drop(connection);
    daemon.expect("ending: it has nothing to do");
    assert_eq!(daemon.code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_service_manager_can_listen_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&socket).arg(program()).arg("-");
    let mut daemon = Process::run(&mut command);
    daemon.expect("Listening on");
    assert_eq!(curl(&socket, "/v1/image.list", None).status, 200);
    daemon.signal("-TERM");
    assert_eq!(daemon.code(), Some(0));
    // It is not the daemon's to remove.
    assert!(socket.exists());
    // Without one it says so.
    assert_eq!(Process::run(Command::new(program()).arg("-")).code(), Some(3));
}
