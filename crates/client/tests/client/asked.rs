//! What is asked of a daemon comes to what it would come to here.

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use banger_api::image::{ExportImage, Format, PullImage, PushImage, RegisterImage, RemoveImage, RenameImage};
use banger_api::job::State;
use banger_api::kernel::{ExportKernel, ImportKernel, PullKernel, RemoveKernel};
use banger_api::{ErrorKind, Event, Service};
use banger_client::{Client, ConnectError};

use super::{Running, Witness, wait_until};

fn pull(source: impl Into<String>, name: &str) -> PullImage {
    PullImage { source: source.into(), name: Some(name.to_owned()), ..PullImage::default() }
}

#[test]
fn everything_can_be_asked() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let _running = Running::start(&socket, &[]);
    let client = Client::connect(&socket).unwrap();
    let (witness, observer) = Witness::new();
    let register = RegisterImage { name: "a".into(), rootfs: "/x.ext4".into(), kernel: Default::default() };
    assert_eq!(client.image_register(&register).unwrap().name, "a");
    assert_eq!(client.image_rename(&RenameImage { image: "a".into(), name: "b".into() }).unwrap().name, "b");
    assert_eq!(client.image_show("b").unwrap().image.name, "b");
    // What is in a query is not what it looks like.
    let odd = client.image_show("a&image=b#% ü").unwrap_err();
    assert_eq!((odd.kind, odd.message.as_str()), (ErrorKind::NotFound, "there is no \"a&image=b#% ü\""));
    assert_eq!(client.image_pull(&pull("bytes:1000", "c"), &observer).unwrap().name, "c");
    assert_eq!(
        client.image_promote(&banger_api::image::PromoteImage { image: "b".into() }, &observer).unwrap().name,
        "b"
    );
    let export =
        ExportImage { image: "b".into(), format: Format::Tar, output: "/o".into(), force: false, sparse: false };
    assert_eq!(client.image_export(&export, &observer).unwrap().path, PathBuf::from("/o"));
    let push = PushImage {
        image: "b".into(),
        reference: "r/x:1".into(),
        form: Default::default(),
        registry: Default::default(),
    };
    assert_eq!(client.image_push(&push, &observer).unwrap().reference, "r/x:1");
    let bundle = banger_api::catalog::MakeBundle { image: "b".into(), directory: "/d".into() };
    assert_eq!(client.bundle_make(&bundle, &observer).unwrap().size, 1);
    assert_eq!(client.image_list().unwrap().len(), 2);
    let kernel = PullKernel { name: "k".into(), rename: None, architecture: None };
    assert_eq!(client.kernel_pull(&kernel, &observer).unwrap().name, "k");
    let import = ImportKernel { from: "/k".into(), more: vec!["/m".into()], name: Some("l".into()) };
    assert_eq!(client.kernel_import(&import, &observer).unwrap().name, "l");
    let archive = ExportKernel { name: "k".into(), directory: "/d".into() };
    assert_eq!(client.kernel_export(&archive, &observer).unwrap().size, 1);
    assert_eq!(client.kernel_list().unwrap().len(), 2);
    assert_eq!(client.kernel_remove(&RemoveKernel { name: "k".into() }).unwrap().freed, 7);
    assert_eq!(
        client.image_remove(&RemoveImage { image: "b".into(), more: Vec::new(), force: false }).unwrap().names,
        ["b"]
    );
    assert_eq!(client.catalog_list(&observer).unwrap(), []);
    assert_eq!(client.system_df().unwrap().parts.len(), 1);
    assert_eq!(client.system_prune(&Default::default()).unwrap().freed, 3);
    assert_eq!(client.system_info().unwrap().version, "1");
    assert_eq!(client.jobs().unwrap().len(), 8);
    let events = witness.events.lock().unwrap();
    let bytes = events.iter().map(|event| if let Event::Downloaded { bytes, .. } = event { *bytes } else { 0 });
    assert_eq!(bytes.sum::<u64>(), 1000);
    assert!(events.contains(&Event::Warning { message: "a catalog cannot be read".into() }));
}

#[test]
fn problems_arrive_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let _running = Running::start(&socket, &[]);
    let client = Client::connect(&socket).unwrap();
    let kinds = [
        (ErrorKind::Usage, "usage"),
        (ErrorKind::NotFound, "not_found"),
        (ErrorKind::Conflict, "conflict"),
        (ErrorKind::Unauthorized, "unauthorized"),
        (ErrorKind::Network, "network"),
        (ErrorKind::Integrity, "integrity"),
        (ErrorKind::NoSpace, "no_space"),
        (ErrorKind::Cancelled, "cancelled"),
        (ErrorKind::Other, "other"),
    ];
    for (kind, name) in kinds {
        let source = format!("kind:{name}");
        let register = RegisterImage { name: "a".into(), rootfs: PathBuf::from(&source), kernel: Default::default() };
        assert_eq!(client.image_register(&register).unwrap_err().kind, kind);
        let problem = client.image_pull(&pull(source, "a"), &Witness::new().1).unwrap_err();
        assert_eq!((problem.kind, problem.message), (kind, format!("failed by {name}")));
    }
}

#[test]
fn who_cancels_alone_cancels_the_job() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let _running = Running::start(&socket, &[]);
    let client = Client::connect(&socket).unwrap();
    let (witness, observer) = Witness::new();
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| client.image_pull(&pull("until:/never/there", "a"), &observer));
        wait_until("an event", || !witness.events.lock().unwrap().is_empty());
        witness.cancel();
        assert_eq!(pulling.join().unwrap().unwrap_err().kind, ErrorKind::Cancelled);
    });
    // It has ended when the client returns, not some time later.
    assert_eq!(client.job(1).unwrap().state, State::Failed);
    assert_eq!(client.image_pull(&pull("x", "b"), &observer).unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(client.jobs().unwrap().len(), 1);
}

#[test]
fn who_cancels_in_company_leaves_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (socket, go) = (directory.path().join("s"), directory.path().join("go"));
    let _running = Running::start(&socket, &[]);
    let client = Client::connect(&socket).unwrap();
    let request = pull(format!("until:{}", go.display()), "a");
    let ((witness, first), (_, second)) = (Witness::new(), Witness::new());
    std::thread::scope(|scope| {
        let leaving = scope.spawn(|| client.image_pull(&request, &first));
        let staying = scope.spawn(|| client.image_pull(&request, &second));
        wait_until("two watchers", || client.jobs().unwrap().first().is_some_and(|job| job.watchers == 2));
        witness.cancel();
        assert_eq!(leaving.join().unwrap().unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(client.job(1).unwrap().state, State::Running);
        std::fs::write(&go, "").unwrap();
        assert_eq!(staying.join().unwrap().unwrap().name, "a");
    });
    assert_eq!(client.jobs().unwrap().len(), 1);
}

#[test]
fn a_daemon_that_dies_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let running = Running::start(&socket, &[]);
    let client = Client::connect(&socket).unwrap();
    let (witness, observer) = Witness::new();
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| client.image_pull(&pull("until:/never/there", "a"), &observer));
        wait_until("an event", || !witness.events.lock().unwrap().is_empty());
        drop(running);
        assert_eq!(pulling.join().unwrap().unwrap_err().message, "the daemon ended before job 1 did");
    });
    assert!(client.image_list().unwrap_err().message.contains("no daemon answers on"));
    assert!(matches!(Client::connect(&socket), Err(ConnectError::Absent { .. })));
}

/// Answers everything with some bytes.
fn liar(socket: &std::path::Path, answer: Vec<u8>) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream: UnixStream = stream;
            let mut buffer = [0; 4096];
            // A request, or the end of somebody who only wanted to see.
            if matches!(std::io::Read::read(&mut stream, &mut buffer), Ok(1..)) {
                let _ = stream.write_all(&answer);
            }
        }
    });
}

#[test]
fn answers_that_make_no_sense_are_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let many = |count: usize| "x".repeat(count);
    let answers = [
        String::new(),
        "x".to_owned(),
        many(1 << 20),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nnope!".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n".to_owned(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let socket = directory.path().join(number.to_string());
        liar(&socket, answer.into_bytes());
        let client = Client::connect(&socket).unwrap();
        assert_eq!(client.image_list().unwrap_err().kind, ErrorKind::Other, "{number}");
        assert_eq!(
            client.image_pull(&pull("x", "a"), &Witness::new().1).unwrap_err().kind,
            ErrorKind::Other,
            "{number}"
        );
    }
}

#[test]
fn nothing_is_told_to_somebody_elses_daemon() {
    if !rustix::process::geteuid().is_root() {
        let required =
            std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|how| how == "required");
        assert!(!required, "nothing_is_told_to_somebody_elses_daemon needs root");
        println!("SKIPPED nothing_is_told_to_somebody_elses_daemon: needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = directory.path().join("memory");
    std::fs::copy(super::program(), &program).unwrap();
    let socket = directory.path().join("s");
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(&program).arg(&socket);
    let _running = Running(command.spawn().unwrap());
    wait_until("the daemon", || socket.exists());
    assert!(matches!(Client::connect(&socket), Err(ConnectError::Foreign { uid: 65534, .. })));
}
