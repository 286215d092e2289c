//! Programs of others that judge what this one has written.
//!
//! A judge that is missing fails the test where all judges are required: in CI, and when `BANGER_JUDGES=required` says so.
//! Elsewhere the test says on standard error that it was skipped.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::Run;

/// Whether a missing judge is an error.
pub(crate) fn required() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|value| value == "required")
}

/// Ends the test early when one of the judges is missing: names of programs, or `root`.
#[macro_export]
macro_rules! judges {
    ($($judge:literal),+ $(,)?) => {
        for judge in [$($judge),+] {
            if !$crate::support::judge::is_here(judge) {
                $crate::support::judge::missing(judge, module_path!());
                return;
            }
        }
    };
}

/// Says that a judge is missing, or fails.
pub(crate) fn missing(judge: &str, test: &str) {
    assert!(!required(), "{test} needs {judge}, and judges are required here");
    say(&format!("SKIPPED {test}: needs {judge}"));
}

/// Says something past the test harness, which shows what is printed only of tests that fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether a judge can be asked.
pub(crate) fn is_here(judge: &str) -> bool {
    if judge == "root" { is_root() } else { find(judge).is_some() }
}

/// Whether these tests may mount.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    uids.split_whitespace().nth(1) == Some("0")
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not every user's PATH has the directories that e2fsprogs is in.
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Asks a judge.
#[track_caller]
pub(crate) fn ask<S: AsRef<OsStr>>(judge: &str, arguments: impl IntoIterator<Item = S>) -> Run {
    let program = find(judge).unwrap_or_else(|| panic!("{judge} is not here"));
    Run::of(Command::new(program).args(arguments).env("LC_ALL", "C"))
}

/// e2fsck must exit with 0 and print its passes and its summary, and not a word more.
#[track_caller]
pub(crate) fn e2fsck(image: &Path, arguments: &[&str]) {
    if !is_here("e2fsck") {
        missing("e2fsck", "a part of a test");
        return;
    }
    let run = ask("e2fsck", ["-fn"].iter().chain(arguments).map(OsStr::new).chain([image.as_os_str()])).ok();
    let name = image.file_name().unwrap().to_str().unwrap().to_owned();
    let complaints = run.stdout();
    let complaints = complaints.lines().filter(|line| {
        let is_pass = line.starts_with("Pass ");
        // The summary begins with the label, or with the path where there is none.
        let is_summary = line.contains(" files (") && line.ends_with(" blocks");
        !(is_pass || is_summary || line.is_empty())
    });
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new(), "e2fsck complains of {name}: {run}");
    let version = run.stderr();
    assert!(version.lines().all(|line| line.starts_with("e2fsck ")), "e2fsck complains of {name}: {run}");
}
