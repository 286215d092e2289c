//! Who may ask the daemon, and what it makes of those who ask badly.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args;
use crate::judges;
use crate::support::judge::ask;
use crate::support::nobody::{self, open_to_all};
use crate::support::registry::User;
use crate::support::{Managed, Run, judge, scratch};

/// A daemon, with a root that is named, so that the socket is in it.
struct Served {
    managed: Managed,
    root: PathBuf,
}

impl Served {
    fn new(place: &Path) -> Self {
        let root = place.join("root");
        let managed =
            Managed { user: User::new().with("BANGER_IDLE", "60").with("BANGER_ROOT", root.to_str().unwrap()) };
        managed.run(["pull", "demo:", "--no-kernel", "--quiet", "--size", "64M"]).ok();
        Self { managed, root }
    }

    fn socket(&self) -> PathBuf {
        self.root.join("bangerd.sock")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// It answers, and has what it had.
    #[track_caller]
    fn check(&self) {
        assert_eq!(self.managed.images(), ["demo"]);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let info = self.managed.run(["info", "--json"]);
        if let Ok(info) = serde_json::from_str::<serde_json::Value>(&info.stdout()) {
            ask("kill", ["-TERM", &info["pid"].to_string()]);
        }
    }
}

/// Asks for all images, as somebody without rights.
fn ask_as_nobody(socket: &Path) -> Run {
    let curl = judge::find("curl").unwrap();
    let url = "http://localhost/v1/image.list";
    Run::of(nobody::command().arg(curl).args(args!["--silent", "--show-error", "--unix-socket", socket, url]))
}

#[test]
fn another_user_is_not_answered() {
    judges!("root", "setpriv", "curl", "kill");
    // A path on which everybody may go down to the socket's directory: what keeps others out is below it.
    let place = tempfile::tempdir().unwrap();
    open_to_all(place.path());
    let served = Served::new(place.path());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&served.socket()), mode(&served.root)), (0o600, 0o700));
    let own = ask("curl", args!["--silent", "--unix-socket", served.socket(), "http://localhost/v1/image.list"]).ok();
    assert!(own.stdout().contains("\"demo\""), "{own}");
    // The directory keeps them out; without it, the socket's mode; without that, the daemon itself.
    let refused = ask_as_nobody(&served.socket()).expect(7);
    assert_eq!(refused.stdout(), "");
    open_to_all(&served.root);
    assert_eq!(ask_as_nobody(&served.socket()).expect(7).stdout(), "");
    std::fs::set_permissions(served.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = ask_as_nobody(&served.socket());
    assert_ne!(refused.code(), Some(0), "{refused}");
    assert_eq!(refused.stdout(), "");
    // Nor does the program of another user speak with this daemon: it may be anybody's.
    let program = place.path().join("banger");
    std::fs::copy(crate::support::program::PROGRAM, &program).unwrap();
    open_to_all(&program);
    let mut command = nobody::command();
    command.env_clear().env("HOME", "/nonexistent").env("BANGER_ROOT", &served.root);
    let run = Run::of(command.arg(program).args(["image", "ls"])).expect(1);
    assert!(run.stderr().contains("listens user 0") || run.stderr().contains("daemon"), "{run}");
    assert_eq!(run.stdout(), "");
    served.check();
}

/// What is sent, and the status that it is answered with; none where the connection just ends.
#[test]
fn requests_that_make_no_sense() {
    judges!("kill");
    let place = scratch();
    let served = Served::new(place.path());
    let long = "x".repeat(70_000);
    let headers = "a: b\r\n".repeat(20_000);
    let post = |headers: &str, body: &str| {
        format!("POST /v1/image.remove HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let json = format!(r#"{{"image":"{long}"}}"#);
    let nested = "[".repeat(200_000);
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("garbage", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), &["400"]),
        ("zeros", vec![0; 4096], &["400"]),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), &["400"]),
        ("a long target", format!("GET /v1/{long} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(), &["414", "431", "400"]),
        ("many headers", format!("GET /v1/image.list HTTP/1.1\r\n{headers}\r\n").into_bytes(), &["431", "400"]),
        (
            "a path out of here",
            b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
            &["404"],
        ),
        ("too large", post("Content-Length: 2000000\r\nConnection: close\r\n", &"x".repeat(2_000_000)), &["413"]),
        ("a length that is none", post("Content-Length: -1\r\n", ""), &["400"]),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 7\r\n", "{}"), &["400"]),
        (
            "a name that is too long",
            post(&format!("Content-Length: {}\r\nConnection: close\r\n", json.len()), &json),
            &["400", "404"],
        ),
        (
            "a nested document",
            post(&format!("Content-Length: {}\r\nConnection: close\r\n", nested.len()), &nested),
            &["400"],
        ),
        (
            "not UTF-8",
            {
                let mut bytes = post("Content-Length: 13\r\nConnection: close\r\n", "");
                bytes.extend_from_slice(b"{\"image\":\"\xff\"}");
                bytes
            },
            &["400"],
        ),
    ];
    for (name, bytes, statuses) in cases {
        let mut stream = served.connect();
        // It need not be read to its end to be refused.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(statuses.contains(&status), "{name}: {}", answer.chars().take(300).collect::<String>());
        assert!(!answer.contains("root:"), "{name}: {answer}");
    }
    served.check();
    // Those who go away in the middle are nobody's concern.
    for length in [1, 20, 60, 100] {
        let bytes = post("Content-Length: 100\r\n", "{\"image\":");
        drop(served.connect().write_all(&bytes[..length.min(bytes.len())]));
    }
    served.check();
}

/// A thousand connections that ask for nothing, and half of a request on each tenth: others are answered all the same.
#[test]
fn a_thousand_idle_connections() {
    judges!("kill");
    let place = scratch();
    let served = Served::new(place.path());
    let mut streams = Vec::new();
    for number in 0..1000 {
        // The backlog of a socket is what it is: who finds it full tries again.
        let mut stream = served.connect();
        if number % 10 == 0 {
            stream.write_all(b"POST /v1/image.remove HTTP/1.1\r\nContent-Len").unwrap();
        }
        streams.push(stream);
        if number % 250 == 249 {
            served.check();
        }
    }
    served.managed.run(["image", "show", "demo"]).ok();
    served.managed.run(["pull", "demo:", "--name", "more", "--no-kernel", "--quiet", "--size", "64M"]).ok();
    served.managed.run(["image", "rm", "more"]).ok();
    drop(streams);
    served.check();
}
