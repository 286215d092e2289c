//! Files in both directions, judged by GNU tar.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use banger_protocol::failure::FailureKind;
use banger_vm::client::ClientError;

use crate::service::{Service, refused};

/// What GNU tar makes of an archive: one line for each member.
fn list(archive: &[u8]) -> Vec<String> {
    let output = tar(["--numeric-owner", "--full-time", "-tvf", "-"], archive);
    String::from_utf8_lossy(&output).lines().map(str::to_owned).collect()
}

fn tar<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, stdin: &[u8]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.env("TZ", "UTC").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let feeding = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success(), "{}", output.status);
    output.stdout
}

/// A tree with everything that an archive can say.
fn tree(root: &Path) {
    fs::create_dir_all(root.join("a/deep/er")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("a/text"), "some text\n").unwrap();
    fs::write(root.join("a/block"), vec![7; 512]).unwrap();
    fs::write(root.join("a/large"), (0..3_000_001_u32).map(|number| number as u8).collect::<Vec<u8>>()).unwrap();
    fs::write(root.join("a/deep/er").join("n".repeat(200)), "long name").unwrap();
    fs::write(root.join("a/ü \u{1f600}\n"), "odd name").unwrap();
    fs::hard_link(root.join("a/text"), root.join("z-linked")).unwrap();
    symlink("../no/where", root.join("a/dangling")).unwrap();
    symlink("t".repeat(300), root.join("a/long")).unwrap();
    fs::File::create(root.join("sparse")).unwrap().write_all_at(b"end", 2_000_000).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    for (name, mode) in [("a/text", 0o4751), ("empty", 0o000), ("a/deep", 0o1777), ("a", 0o700)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::lchown(root.join("a/large"), Some(3_000_000), Some(70_000)).unwrap();
    std::os::unix::fs::lchown(root.join("a/dangling"), Some(1), Some(2)).unwrap();
    let old = std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500);
    fs::File::open(root.join("a/block")).unwrap().set_modified(old).unwrap();
    fs::File::open(root.join("a/deep")).unwrap().set_modified(old).unwrap();
}

/// Everything about a tree that a round trip keeps.
fn described(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let content = if metadata.is_file() {
            fs::read(&path).unwrap()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        let sum = content.iter().fold(0_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let metadata_line = (metadata.mode(), metadata.uid(), metadata.gid(), metadata.mtime(), metadata.mtime_nsec());
        let links = if metadata.is_dir() { 0 } else { metadata.nlink() };
        lines.push(format!("{name:?} {metadata_line:?} {links} {} {sum}", content.len()));
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_tree_that_is_got_is_what_gnu_tar_would_have_got() {
    let service = Service::start();
    let root = service.path("tree");
    tree(&root);
    let mut ours = Vec::new();
    service.client().get_files(&root, &mut ours).unwrap();
    let parent = root.parent().unwrap().to_str().unwrap();
    let theirs = tar(["--format=posix", "--sort=name", "-C", parent, "-cf", "-", "tree"], b"");
    assert_eq!(list(&ours), list(&theirs));
    // And to its last byte, by what it extracts.
    let extracted = service.path("extracted");
    tar([OsStr::new("-xpf"), OsStr::new("-"), OsStr::new("-C"), extracted.as_os_str()], &ours);
    assert_eq!(described(&extracted.join("tree")), described(&root));
}

#[test]
fn what_gnu_tar_makes_is_put_as_gnu_tar_would_have_put_it() {
    let service = Service::start();
    let root = service.path("tree");
    tree(&root);
    let parent = root.parent().unwrap().to_str().unwrap();
    for format in ["posix", "gnu"] {
        let archive = tar([&format!("--format={format}"), "-C", parent, "-cf", "-", "tree"], b"");
        let (ours, theirs) = (service.path(&format!("ours-{format}")), service.path(&format!("theirs-{format}")));
        service.client().put_files(&ours, &mut &archive[..]).unwrap();
        tar([OsStr::new("-xpf"), OsStr::new("-"), OsStr::new("-C"), theirs.as_os_str()], &archive);
        assert_eq!(described(&ours.join("tree")), described(&theirs.join("tree")), "{format}");
        // Once more: everything is there already.
        service.client().put_files(&ours, &mut &archive[..]).unwrap();
        assert_eq!(described(&ours.join("tree")), described(&theirs.join("tree")), "{format}");
    }
}

#[test]
fn what_is_got_can_be_put() {
    let service = Service::start();
    let (root, to) = (service.path("tree"), service.path("to"));
    tree(&root);
    let mut archive = Vec::new();
    let size = service.client().get_files(&root, &mut archive).unwrap();
    assert_eq!(size, archive.len() as u64);
    service.client().put_files(&to, &mut &archive[..]).unwrap();
    assert_eq!(described(&to.join("tree")), described(&root));
}

#[test]
fn single_things_have_their_own_name() {
    let service = Service::start();
    let root = service.path("tree");
    tree(&root);
    symlink("tree/a/deep", service.directory.path().join("link")).unwrap();
    let get = |path: &str| {
        let mut archive = Vec::new();
        service.client().get_files(service.directory.path().join(path), &mut archive).unwrap();
        list(&archive).into_iter().map(|line| line.split(' ').next_back().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(get("tree/a/text"), ["text"]);
    assert_eq!(get("tree/a/deep/er/").len(), 2);
    assert_eq!(get("link"), ["tree/a/deep"], "a link itself");
    assert_eq!(get("link/")[..2], ["deep/", "deep/er/"], "where it leads");
    assert_eq!(get("tree/a/deep/.")[..2], ["./", "er/"]);
}

#[test]
fn files_of_the_kernel_have_content() {
    let service = Service::start();
    let mut archive = Vec::new();
    service.client().get_files("/proc/version", &mut archive).unwrap();
    assert_eq!(tar(["-xOf", "-"], &archive), fs::read("/proc/version").unwrap());
    assert_eq!(list(&archive).len(), 1);
}

#[test]
fn what_is_mounted_below_is_left_out() {
    let service = Service::start();
    let mut archive = Vec::new();
    // /dev has /dev/pts and /dev/shm in it, which are others' file systems.
    service.client().get_files("/dev", &mut archive).unwrap();
    let names = list(&archive);
    assert!(names.iter().any(|line| line.ends_with(" dev/pts/")), "{names:?}");
    assert!(!names.iter().any(|line| line.contains(" dev/pts/ptmx")), "{names:?}");
}

#[test]
fn what_is_not_there_is_refused() {
    let service = Service::start();
    let client = service.client();
    let file = service.path("tree").join("file");
    fs::write(&file, "").unwrap();
    let socket = service.socket();
    let mut sink = Vec::new();
    let mut get = |path: &Path| refused(client.get_files(path, &mut sink)).kind;
    assert_eq!(get(Path::new("/no/such/file")), FailureKind::NotFound);
    assert_eq!(get(&file.join("below")), FailureKind::Request);
    assert_eq!(get(&socket), FailureKind::Request);
    let put = |path: &Path| refused(client.put_files(path, &mut std::io::repeat(0))).kind;
    assert_eq!(put(Path::new("/no/such/directory")), FailureKind::NotFound);
    assert_eq!(put(&file), FailureKind::Request);
}

#[test]
fn a_file_that_cannot_be_read_on_this_side_is_our_own_error() {
    struct Fails;
    impl std::io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no"))
        }
    }
    let service = Service::start();
    let error = service.client().put_files(service.path("to"), &mut Fails).unwrap_err();
    assert!(matches!(error, ClientError::Local { .. }), "{error:?}");
}
