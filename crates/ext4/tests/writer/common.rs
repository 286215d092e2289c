//! The judges: e2fsprogs and the kernel. And a builder of images for the tests.
//!
//! A judge that is missing fails the test where judges are required (`CI` or `BANGER_JUDGES=required` in the
//! environment), and else says so on standard error.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use banger_ext4::spec::inode::Timestamp;
use banger_ext4::write::{Content, ContentWriter, Image, Kind, Node, NodeId, Options, Segment, Summary, Tree, Xattrs};

/// Runs a judge; `None` if it does not exist here.
pub(crate) fn judge(program: &str, arguments: &[&str]) -> Option<Output> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    match Command::new(program).args(arguments).env("PATH", path).env("LC_ALL", "C").env("TZ", "UTC").output() {
        Ok(output) => Some(output),
        Err(error) => {
            missing(&format!("{program}: {error}"));
            None
        }
    }
}

/// Says that a judge is missing, or fails.
pub(crate) fn missing(what: &str) {
    let required = std::env::var_os("CI").is_some() || std::env::var("BANGER_JUDGES").is_ok_and(|v| v == "required");
    assert!(!required, "a judge is missing: {what}");
    eprintln!("SKIPPED: a judge is missing: {what}");
}

/// What a judge says if it is content; it must exit with 0.
pub(crate) fn verdict(program: &str, arguments: &[&str]) -> Option<String> {
    let output = judge(program, arguments)?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
    Some(said)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// e2fsck must find nothing: exit with 0 and say no more than its passes and the summary.
pub(crate) fn e2fsck(image: &Path) {
    e2fsck_with(image, &[]);
}

/// e2fsck with more options.
pub(crate) fn e2fsck_with(image: &Path, options: &[&str]) {
    let arguments = [&["-fn"], options, &[text(image)]].concat();
    let Some(said) = verdict("e2fsck", &arguments) else { return };
    for line in said.lines() {
        let quiet = line.is_empty()
            || line.starts_with("e2fsck ")
            || line.starts_with("Pass ")
            || line.contains(" files (")
            || line.contains("non-contiguous");
        assert!(quiet, "e2fsck {options:?} complains:\n{said}");
    }
}

/// The image's superblock and groups, as dumpe2fs shows them.
pub(crate) fn dumpe2fs(image: &Path) -> Option<String> {
    verdict("dumpe2fs", &[text(image)])
}

/// What debugfs answers to a request.
pub(crate) fn debugfs(image: &Path, request: &str) -> Option<String> {
    verdict("debugfs", &["-R", request, text(image)])
}

/// An image mounted by the kernel.
pub(crate) struct Mounted {
    directory: tempfile::TempDir,
}

impl Mounted {
    /// Mounts an image; `None` where that is not possible.
    pub(crate) fn new(image: &Path, options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("loop,{options}");
        let output = judge("mount", &["-t", "ext4", "-o", &options, text(image), text(directory.path())])?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // Not being root is a missing judge; anything else is the image's fault.
            assert!(!fs::exists("/dev/loop-control").unwrap_or(false) || !is_root(), "mount: {said}");
            missing(&format!("mount: {said}"));
            return None;
        }
        Some(Self { directory })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let said = Command::new("umount").arg(self.directory.path()).output();
        if !said.as_ref().is_ok_and(|output| output.status.success()) && !std::thread::panicking() {
            panic!("umount: {said:?}");
        }
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// A directory for the files of one test, and an image in it.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) image: Image,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let image = Image::new(create(&path), directory.path());
        Self { directory, path, image }
    }

    /// A copy of the image that a judge may change.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.directory.path().join("copy");
        let arguments = ["--sparse=always", text(&self.path), text(&copy)];
        assert!(Command::new("cp").args(arguments).status().unwrap().success());
        copy
    }

    /// Finishes the image and has e2fsck look at it.
    pub(crate) fn finish(&self, tree: Tree, segments: &[Segment], options: &Options) -> Summary {
        let summary = self.image.finish(tree, segments, options).unwrap();
        assert_eq!(fs::metadata(&self.path).unwrap().len(), summary.size);
        e2fsck(&self.path);
        summary
    }
}

pub(crate) fn create(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap()
}

pub(crate) const TIME: i64 = 1_700_000_000;

pub(crate) fn options() -> Options {
    Options { size: None, label: b"test-label".to_vec(), uuid: *b"0123456789abcdef", hash_seed: [0x5A; 16], time: TIME }
}

pub(crate) fn node(kind: Kind<'_>) -> Node<'_> {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    Node { kind, mode, uid: 0, gid: 0, mtime: Timestamp { seconds: TIME, nanoseconds: 0 }, xattrs: Xattrs::NONE }
}

pub(crate) fn tree() -> Tree {
    Tree::new(node(Kind::Directory))
}

/// Adds an empty file.
pub(crate) fn empty(tree: &mut Tree, parent: NodeId, name: &str) -> NodeId {
    tree.add(parent, name.as_bytes(), node(Kind::File(Content::EMPTY))).unwrap()
}

pub(crate) fn directory(tree: &mut Tree, parent: NodeId, name: &str) -> NodeId {
    tree.add(parent, name.as_bytes(), node(Kind::Directory)).unwrap()
}

/// Writes one content.
pub(crate) fn content(writer: &mut ContentWriter, data: &[u8]) -> u32 {
    writer.begin().unwrap();
    writer.write(data).unwrap();
    writer.finish().unwrap()
}

/// Bytes without a block of zeros, different for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
