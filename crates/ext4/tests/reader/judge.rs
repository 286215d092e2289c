//! The real tools that tests ask: mke2fs, debugfs, the kernel.
//!
//! A tool that is missing fails the test where judges are required (`CI` is set, or `BANGER_JUDGES=required`), and
//! otherwise is reported on standard error in a line that begins with `SKIPPED`.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether all that a test needs is here.
pub(crate) fn present(test: &str, needs: &[&str]) -> bool {
    let missing: Vec<&str> = needs.iter().copied().filter(|need| !has(need)).collect();
    if missing.is_empty() {
        return true;
    }
    let required = std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES") == Some("required".into());
    assert!(!required, "{test}: {} missing", missing.join(", "));
    // Not by `eprintln!`, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {} missing", missing.join(", "));
    false
}

/// `root` stands for the right to make devices and owners, `loop` for that to mount, others for programs.
fn has(need: &str) -> bool {
    match need {
        "root" => std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0),
        "loop" => has("root") && Path::new("/dev/loop-control").exists(),
        program => find(program).is_some(),
    }
}

/// Programs for file systems are often not on the path of users.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/sbin".into(), "/usr/sbin".into()]);
    places.map(|place| place.join(program)).find(|candidate| candidate.is_file())
}

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> String {
    let mut command = Command::new(find(program).unwrap());
    let output = command.args(arguments).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}{complaint}", output.status);
    printed
}

/// Runs one command of debugfs that writes to an image. (It exits with 0 whatever happens.)
pub(crate) fn debugfs_write(image: &Path, request: &str) {
    let mut command = Command::new(find("debugfs").unwrap());
    let output = command.args(["-w", "-R", request]).arg(image).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.lines().count() <= 1, "debugfs {request}: {complaint}");
}

/// An image that is mounted as long as this lives.
pub(crate) struct Mount {
    directory: tempfile::TempDir,
}

impl Mount {
    pub(crate) fn new(image: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        run("mount", &[OsStr::new("-o"), OsStr::new("loop"), image.as_os_str(), directory.path().as_os_str()]);
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &[self.directory.path()]);
    }
}
