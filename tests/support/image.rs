//! Building images, and what must hold for each of them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::judge;
use super::program::{Run, banger};
use crate::args;

/// Builds `source` as it is, without anything of banger's own: what an oracle knows of.
#[track_caller]
pub(crate) fn plain<const N: usize>(
    source: impl Into<std::ffi::OsString>,
    output: &Path,
    options: [std::ffi::OsString; N],
) -> Report {
    let arguments = args!["build", source.into(), "-o", output, "--json", "--no-sync", "--guest", "none"];
    Report::of(&banger(arguments.into_iter().chain(options)).ok())
}

/// Builds `source` into `output` and returns the report. Nothing waits for the disk: no test pulls the plug.
#[track_caller]
pub(crate) fn build<const N: usize>(
    source: impl Into<std::ffi::OsString>,
    output: &Path,
    options: [std::ffi::OsString; N],
) -> Report {
    let arguments = args!["build", source.into(), "-o", output, "--json", "--no-sync"];
    Report::of(&banger(arguments.into_iter().chain(options)).ok())
}

/// What `--json` has told.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    /// Standard output must hold exactly one JSON object on one line.
    #[track_caller]
    pub(crate) fn of(run: &Run) -> Self {
        let stdout = run.stdout();
        assert_eq!(stdout.lines().count(), 1, "{run}");
        Self(serde_json::from_str(&stdout).unwrap())
    }

    pub(crate) fn content_id(&self) -> &str {
        self.0["content_id"].as_str().unwrap()
    }
}

/// Both files must have the same bytes.
#[track_caller]
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let run = judge::ask("cmp", [left, right]);
    assert_eq!(run.code(), Some(0), "{run}");
}

/// A copy that shares nothing with its original and keeps its holes.
#[track_caller]
pub(crate) fn copy(image: &Path, name: &str) -> PathBuf {
    let copy = image.with_file_name(name);
    judge::ask("cp", args!["--sparse=always", image, copy]).ok();
    copy
}
