//! Nobody else is answered. Needs root, `setpriv` and curl.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use banger_daemon::{Socket, SocketError};

use super::served::Process;

/// A user and a group without any rights.
const NOBODY: &str = "65534";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_nobody(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--",
    ]);
    command.arg(program);
    command
}

fn ask(curl: &mut Command, socket: &Path) -> Output {
    curl.args(["--silent", "--show-error", "--unix-socket"]).arg(socket).arg("http://localhost/v1/image.list");
    curl.output().unwrap()
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Tests of other users need root; where it is required, they fail without it.
fn can_be_others(test: &str) -> bool {
    let required =
        std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|how| how == "required");
    assert!(is_root() || !required, "{test} needs root");
    if !is_root() {
        println!("SKIPPED {test}: needs root");
    }
    is_root()
}

#[test]
fn another_user_is_not_answered_even_where_the_mode_allows_it() {
    if !can_be_others("another_user_is_not_answered_even_where_the_mode_allows_it") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("bangerd.sock");
    let mut daemon = Process::start(&socket, &[]);
    daemon.expect("listening");
    open(directory.path(), 0o755);
    // Its mode already keeps others out.
    let refused = ask(&mut as_nobody("curl"), &socket);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    open(&socket, 0o666);
    let refused = ask(&mut as_nobody("curl"), &socket);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    daemon.expect(&format!("refused a connection of user {NOBODY}"));
    let own = ask(&mut Command::new("curl"), &socket);
    assert_eq!(own.stdout, b"[]", "{own:?}");
}

#[test]
fn root_is_answered_by_a_users_daemon() {
    if !can_be_others("root_is_answered_by_a_users_daemon") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), 0o755);
    let run = directory.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::os::unix::fs::chown(&run, Some(65534), Some(65534)).unwrap();
    let program = directory.path().join("memory");
    std::fs::copy(super::served::program(), &program).unwrap();
    let socket = run.join("bangerd.sock");
    let mut daemon = Process::run(as_nobody(program.to_str().unwrap()).arg(&socket));
    daemon.expect("listening");
    for mut curl in [Command::new("curl"), as_nobody("curl")] {
        let own = ask(&mut curl, &socket);
        assert_eq!(own.stdout, b"[]", "{own:?}");
    }
}

#[test]
fn the_socket_is_for_its_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("run/bangerd.sock");
    let bound = Socket::bind(&socket).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    drop(bound);
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        let directory = directory.path().join(format!("{mode:o}"));
        std::fs::create_dir(&directory).unwrap();
        open(&directory, mode);
        let refused = Socket::bind(&directory.join("bangerd.sock"));
        assert!(matches!(refused, Err(SocketError::Unsafe { .. })), "{mode:o}: {refused:?}");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    }
    if is_root() {
        let foreign = directory.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(65534), None).unwrap();
        assert!(matches!(Socket::bind(&foreign.join("bangerd.sock")), Err(SocketError::Unsafe { .. })));
    }
}
