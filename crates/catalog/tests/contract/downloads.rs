//! Downloads: what breaks off is continued, what is wrong is refused, what is in use stays.

use crate::support::{Server, Turn, Watcher, content, names, noise, told};
use banger_catalog::address::Place;
use banger_catalog::{Content, Downloaded, Downloads, Error, ErrorKind, Unwatched};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

const URL: &str = "https://e.org/file.tar.zst";
const SIZE: usize = 1 << 20;

struct Scratch {
    directory: tempfile::TempDir,
    bytes: Vec<u8>,
    content: Content,
}

impl Scratch {
    fn new() -> Self {
        let bytes = noise(SIZE, 7);
        Self { directory: tempfile::tempdir().unwrap(), content: content(&bytes), bytes }
    }

    fn downloads(&self) -> Downloads {
        Downloads::new(self.directory.path())
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("downloads").join(self.content.sha256.hex())
    }

    fn partial(&self) -> PathBuf {
        self.path().with_extension("partial")
    }

    fn names(&self) -> Vec<String> {
        names(&self.directory.path().join("downloads"))
    }

    fn leave(&self, bytes: &[u8]) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.partial(), bytes).unwrap();
    }

    fn server(&self, turns: &[Turn]) -> Server {
        Server::with(URL, &self.bytes).turns(turns)
    }

    fn obtain(&self, server: &Server, watcher: &Watcher) -> Result<Downloaded, Error> {
        self.downloads().obtain(&Place::of_catalog(URL).unwrap(), &self.content, server, watcher)
    }

    fn assert_right(&self, downloaded: &Downloaded) {
        let mut found = Vec::new();
        downloaded.file().read_to_end(&mut found).unwrap();
        assert!(found == self.bytes);
        assert_eq!(downloaded.path(), self.path());
        assert_eq!(self.names(), [self.content.sha256.hex()]);
    }
}

#[test]
fn servers_that_bring_it_in_the_end() {
    use Turn::{Break, End, Everything, Other, Right};
    let half = SIZE / 2;
    let trickle = vec![Break(5); 150];
    let trickled: Vec<u64> = (0..=150).map(|number| number * 5).collect();
    let cases: [(&[Turn], &[u64]); 9] = [
        (&[], &[0]),
        (&[Break(0)], &[0, 0]),
        (&[Break(half)], &[0, half as u64]),
        (&[End(half)], &[0, half as u64]),
        (&[Break(SIZE)], &[0]),
        (&[Break(100), Break(100), Break(0), Right], &[0, 100, 200, 200]),
        (&[Break(half), Everything], &[0, half as u64]),
        // What came first was of another file.
        (&[Break(half), Other, Right], &[0, half as u64, 0]),
        (&trickle, &trickled),
    ];
    for (turns, offsets) in cases {
        let scratch = Scratch::new();
        let server = scratch.server(turns);
        let downloaded =
            scratch.obtain(&server, &Watcher::default()).unwrap_or_else(|e| panic!("{turns:?}: {}", told(&e)));
        scratch.assert_right(&downloaded);
        assert_eq!(server.offsets(), offsets, "{turns:?}");
    }
}

#[test]
fn what_was_left_is_continued() {
    let scratch = Scratch::new();
    type Case<'a> = (&'a [u8], &'a [Turn], &'a [&'a str], &'a [u64]);
    let cases: [Case<'_>; 6] = [
        (&scratch.bytes[..1000], &[], &["resumed 1000"], &[1000]),
        (&scratch.bytes, &[], &["resumed 1048576"], &[]),
        (&scratch.bytes[..1000], &[Turn::Everything], &["resumed 1000", "restarted"], &[1000]),
        (b"other bytes", &[], &["resumed 11", "restarted"], &[11, 0]),
        (&[0; SIZE], &[], &["resumed 1048576", "restarted"], &[0]),
        (&[0; SIZE + 1], &[], &["resumed 0"], &[0]),
    ];
    for (left, turns, expected, offsets) in cases {
        let scratch = Scratch::new();
        scratch.leave(left);
        let (server, watcher) = (scratch.server(turns), Watcher::default());
        scratch.assert_right(&scratch.obtain(&server, &watcher).unwrap());
        assert_eq!(watcher.told(), expected);
        assert_eq!(server.offsets(), offsets);
    }
}

#[test]
fn servers_that_bring_something_else() {
    use Turn::{Long, Offset, Other, Short, Total};
    let size = SIZE as u64;
    let cases = [
        (Other, ErrorKind::Integrity, "its digest is", false),
        (Long, ErrorKind::Integrity, "it has more than its 1048576 bytes", false),
        (Short(1000), ErrorKind::Integrity, "it has 1000 bytes instead of 1048576", false),
        (Short(0), ErrorKind::Integrity, "it has 0 bytes instead of 1048576", false),
        (Total(size + 1), ErrorKind::Integrity, "it has 1048577 bytes instead of 1048576", false),
        (Total(size - 1), ErrorKind::Integrity, "it has 1048575 bytes instead of 1048576", false),
        (Total(0), ErrorKind::Integrity, "it has 0 bytes", false),
        (Offset(5), ErrorKind::Network, "asked for what begins at byte 0, and sent what begins at 5", false),
        (Turn::Fail(ErrorKind::Network), ErrorKind::Network, "there is no network", false),
        (Turn::Fail(ErrorKind::NotFound), ErrorKind::NotFound, "there is no network", false),
        (
            Turn::Break(0),
            ErrorKind::Network,
            "breaks off again and again, the last time after 0 bytes: connection reset",
            false,
        ),
    ];
    for (turn, kind, message, kept) in cases {
        let scratch = Scratch::new();
        let server = Server { always: Some(turn.clone()), ..scratch.server(&[]) };
        let error = scratch.obtain(&server, &Watcher::default()).expect_err(message);
        assert_eq!(error.kind(), kind, "{turn:?}");
        assert!(told(&error).contains(message), "{turn:?}: {}", told(&error));
        assert!(told(&error).contains(URL), "{}", told(&error));
        assert_eq!(!scratch.names().is_empty(), kept, "{turn:?}");
    }
}

#[test]
fn a_wrong_digest_names_both() {
    let scratch = Scratch::new();
    let server = scratch.server(&[Turn::Other]);
    let error = told(&scratch.obtain(&server, &Watcher::default()).unwrap_err());
    let other: Vec<u8> = scratch.bytes.iter().map(|byte| byte ^ 1).collect();
    for digest in [scratch.content.sha256, content(&other).sha256] {
        assert!(error.contains(&digest.to_string()), "{error}");
    }
}

#[test]
fn what_has_come_is_kept_for_the_next() {
    let scratch = Scratch::new();
    let server = scratch.server(&[Turn::Break(1000), Turn::Fail(ErrorKind::Network)]);
    scratch.obtain(&server, &Watcher::default()).expect_err("no network");
    assert_eq!(fs::read(scratch.partial()).unwrap(), scratch.bytes[..1000]);

    let (server, watcher) = (scratch.server(&[]), Watcher { enough: 300_000, ..Watcher::default() });
    let error = scratch.obtain(&server, &watcher).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let left = fs::read(scratch.partial()).unwrap();
    assert!(left.len() >= 300_000 && left == scratch.bytes[..left.len()]);
    assert_eq!(watcher.received.load(Ordering::Relaxed), left.len() as u64 - 1000);

    let watcher = Watcher::default();
    scratch.assert_right(&scratch.obtain(&server, &watcher).unwrap());
    assert_eq!(watcher.told(), [format!("resumed {}", left.len())]);
}

#[test]
fn who_sends_a_little_each_time_is_not_asked_for_ever() {
    let scratch = Scratch::new();
    let server = Server { always: Some(Turn::Break(1)), ..scratch.server(&[]) };
    let error = scratch.obtain(&server, &Watcher::default()).expect_err("enough");
    assert!(matches!(error, Error::BrokenOff { received: 200, .. }), "{error}");
    assert_eq!(server.offsets().len(), 200);
}

#[test]
fn what_is_here_is_not_fetched_but_checked() {
    let scratch = Scratch::new();
    drop(scratch.obtain(&scratch.server(&[]), &Watcher::default()).unwrap());
    let server = Server { always: Some(Turn::Fail(ErrorKind::Network)), ..scratch.server(&[]) };
    let first = scratch.obtain(&server, &Watcher::default()).unwrap();
    let second = scratch.obtain(&server, &Watcher::default()).unwrap();
    scratch.assert_right(&first);
    scratch.assert_right(&second);
    assert!(server.offsets().is_empty());
    drop((first, second));

    for damaged in [&[][..], &scratch.bytes[1..], &[0; SIZE]] {
        fs::write(scratch.path(), damaged).unwrap();
        let server = scratch.server(&[]);
        scratch.assert_right(&scratch.obtain(&server, &Watcher::default()).unwrap());
        assert_eq!(server.offsets(), [0]);
    }
}

#[test]
fn files_of_this_machine_are_used_where_they_stand() {
    let scratch = Scratch::new();
    let path = scratch.directory.path().join("a bundle");
    let obtain =
        || scratch.downloads().obtain(&Place::File(path.clone()), &scratch.content, &Server::default(), &Unwatched);
    assert_eq!(obtain().unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(&path, &scratch.bytes).unwrap();
    assert_eq!(obtain().unwrap().path(), path);
    for (bytes, message) in [(&scratch.bytes[1..], "instead of 1048576"), (&[0; SIZE], "its digest is")] {
        fs::write(&path, bytes).unwrap();
        let error = obtain().unwrap_err();
        assert!(error.kind() == ErrorKind::Integrity && told(&error).contains(message), "{}", told(&error));
        assert!(path.exists(), "it is not ours to remove");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(told(&obtain().unwrap_err()).contains("not a regular file"));
    assert!(scratch.names().is_empty());
}

#[test]
fn a_link_in_the_place_of_a_download_is_not_written_through() {
    let scratch = Scratch::new();
    scratch.leave(b"");
    fs::remove_file(scratch.partial()).unwrap();
    let elsewhere = scratch.directory.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, scratch.partial()).unwrap();
    scratch.obtain(&scratch.server(&[]), &Watcher::default()).expect_err("a link");
    assert!(!elsewhere.exists());
}

#[test]
fn what_is_kept_is_listed_and_removed_unless_it_is_used() {
    let scratch = Scratch::new();
    let downloads = scratch.downloads();
    assert_eq!(downloads.kept().unwrap(), []);
    scratch.leave(&scratch.bytes[..5000]);
    fs::write(scratch.path().with_file_name("something else"), "").unwrap();
    let held = scratch.obtain(&scratch.server(&[]), &Watcher::default()).unwrap();
    let other = scratch.path().with_file_name(format!("{}.partial", content(b"other").sha256.hex()));
    fs::write(&other, [1; 5000]).unwrap();

    let listed = |complete| downloads.kept().unwrap().into_iter().find(|kept| kept.complete == complete).unwrap();
    assert_eq!(downloads.kept().unwrap().len(), 2);
    let (file, partial) = (listed(true), listed(false));
    assert!(file.in_use && file.sha256 == scratch.content.sha256 && file.size >= SIZE as u64);
    assert!(!partial.in_use && partial.size >= 4096);
    assert!(!downloads.remove(&file).unwrap(), "it is in use");
    assert!(downloads.remove(&partial).unwrap());
    assert!(!downloads.remove(&partial).unwrap(), "it is gone");
    drop(held);
    assert!(!listed(true).in_use);
    assert!(downloads.remove(&file).unwrap());
    assert_eq!(scratch.names(), ["something else"]);
}

#[test]
fn threads_that_want_the_same_download_it_once() {
    let scratch = Scratch::new();
    let server = scratch.server(&[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let downloaded = scratch.obtain(&server, &Watcher::default()).unwrap();
                assert_eq!(fs::read(downloaded.path()).unwrap(), scratch.bytes);
            });
        }
    });
    assert_eq!(server.offsets(), [0]);
    assert_eq!(scratch.names().len(), 1);
}
