//! Programs of others that judge. One that is missing fails its test where all are required: in CI, and with `BANGER_JUDGES=required`.
//! Elsewhere the test says that it was skipped.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Whether a judge can be asked: a program, or `root`.
pub(crate) fn is_here(judge: &str) -> bool {
    let here = match judge {
        "root" => Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n"),
        program => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
            directories.any(|directory| directory.join(program).is_file())
        }
    };
    there_or_skipped(here, judge)
}

/// Says that something is missing where it is, or fails.
pub(crate) fn there_or_skipped(here: bool, what: &str) -> bool {
    let required =
        std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|value| value == "required");
    assert!(here || !required, "{what} is missing, and judges are required here");
    if !here {
        // Past the harness, which shows what is printed only of tests that fail.
        let _ = writeln!(std::io::stderr().lock(), "SKIPPED: needs {what}");
    }
    here
}

/// Runs a judge, which must succeed, and returns what it says.
#[track_caller]
pub(crate) fn ask(command: &mut Command) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
