//! What the crate promises of archives and packages, with the programs as judges that others make them with.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, and in their helpers too a panic is how they fail"
)]

mod archive;
mod import;
mod package;
mod packages;
#[path = "../../src/testing/mod.rs"]
mod testing;

use std::path::Path;
use std::process::Command;

const VERSION: &str = "6.1.0-9-Test+1";

/// Runs a program that must succeed, and says what it wrote.
fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env("LC_ALL", "C").env("PATH", path());
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Programs for administrators are not in everybody's path.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap())
}

/// Writes files, with the directories above them.
fn write(directory: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// An empty directory with a name in another one.
fn empty(directory: &Path, name: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

/// Names of all files in a directory, in order.
fn files(directory: &Path) -> Vec<String> {
    let found = run("find", &[".", "!", "-type", "d", "-printf", "%P %M\n"], directory);
    let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
    found.sort();
    found
}
