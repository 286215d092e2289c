//! Command lines that complete themselves, in the shells that people use. The judges are the shells.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::args;
use crate::judges;
use crate::support::image::plain;
use crate::support::program::{PROGRAM, Run, command, source};
use crate::support::{Layout, Tar, scratch};

/// What is completed, and what comes of it.
const CASES: [(&str, &[&str]); 7] = [
    ("banger ima", &["image"]),
    ("banger image sh", &["show"]),
    ("banger image show ", &["db", "web-1", "web-2"]),
    ("banger image show we", &["web-1", "web-2"]),
    ("banger image rm db we", &["web-1", "web-2"]),
    ("banger image diff --exit-c", &["--exit-code"]),
    ("banger run --acc", &["--accel"]),
];

/// A store with images of three names.
fn store() -> TempDir {
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [Tar::new().file("x", b"x")]);
    let image = scratch.path().join("disk.ext4");
    plain(source("oci", layout.path()), &image, []);
    for name in ["web-1", "web-2", "db"] {
        let register = args!["--no-daemon", "image", "register", name, image, "--no-kernel"];
        Run::of(in_store(command(), scratch.path()).args(register)).ok();
    }
    scratch
}

fn in_store(mut command: Command, scratch: &Path) -> Command {
    command.env("BANGER_ROOT", scratch.join("root")).env("HOME", scratch);
    command
}

/// Runs a shell that finds the program by its name, with nothing of the user's own.
fn shell(scratch: &Path, name: &str, options: &[&str], script: &str) -> Vec<String> {
    let programs = Path::new(PROGRAM).parent().unwrap();
    let mut shell = Command::new("timeout");
    shell.args(["--signal=KILL", "120", name]).args(options).arg(script).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("TERM", "xterm");
    let run = Run::of(&mut in_store(shell, scratch)).ok();
    assert_eq!(run.stderr(), "", "{run}");
    // fish says behind a tab what each one is.
    let words = run.stdout().lines().map(|line| line.split('\t').next().unwrap().trim().to_owned()).collect::<Vec<_>>();
    let mut words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.sort();
    words
}

/// Without the options, which are always there.
fn but_options(line: &str, mut words: Vec<String>) -> Vec<String> {
    words.retain(|word| !word.starts_with('-') || line.contains(" -"));
    words
}

#[test]
fn bash() {
    judges!("bash");
    let scratch = store();
    for (line, expected) in CASES {
        let script = format!(
            "source <(banger completion bash)
            line={line:?}
            read -ra COMP_WORDS <<<\"$line\"
            [[ $line != *' ' ]] || COMP_WORDS+=('')
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _clap_complete_banger banger \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
            printf '%s\\n' \"${{COMPREPLY[@]}}\"
            complete -p banger >/dev/null"
        );
        let found = shell(scratch.path(), "bash", &["--norc", "-c"], &script);
        assert_eq!(but_options(line, found), expected, "{line}");
    }
}

#[test]
fn fish() {
    judges!("fish");
    let scratch = store();
    for (line, expected) in CASES {
        let script = format!("banger completion fish | source; complete --do-complete {line:?}");
        let found = shell(scratch.path(), "fish", &["--no-config", "-c"], &script);
        assert_eq!(but_options(line, found), expected, "{line}");
    }
}

/// zsh completes on a terminal only: it gets one, and a line on which the completion stands.
#[test]
fn zsh() {
    judges!("zsh");
    let scratch = store();
    // As a package has it: loaded when it is needed for the first time.
    let functions = scratch.path().join("functions");
    std::fs::create_dir(&functions).unwrap();
    let script = Run::of(command().args(["completion", "zsh"])).ok().stdout();
    std::fs::write(functions.join("_banger"), script).unwrap();
    for (line, expected) in CASES.iter().filter(|(_, expected)| expected.len() == 1) {
        let script = format!(
            "zmodload zsh/zpty
            zpty shell zsh --no-rcs --interactive
            zpty -w shell 'PS1= RPS1=; fpath=({} $fpath); autoload -U compinit; compinit -u -D'
            zpty -w -n shell {line:?}$'\\tEND'
            zpty -r shell output '*{}*END*' && print completed
            zpty -d shell",
            functions.display(),
            expected[0],
        );
        assert_eq!(shell(scratch.path(), "zsh", &["--no-rcs", "-c"], &script), ["completed"], "{line}");
    }
}

#[test]
fn what_cannot_be_read_completes_nothing() {
    let scratch = scratch();
    let root = scratch.path().join("root");
    let asked = || {
        let mut command = in_store(command(), scratch.path());
        command.env("BANGER_COMPLETE", "fish").args(["--", "banger", "image", "show", ""]);
        let run = Run::of(&mut command).ok();
        assert_eq!(run.stderr(), "", "{run}");
        // Options are always there.
        run.stdout().lines().filter(|line| !line.starts_with('-')).count()
    };
    assert_eq!(asked(), 0);
    assert!(!root.exists(), "nothing is made");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("banger.db"), "not a database").unwrap();
    assert_eq!(asked(), 0);
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1, "nothing is made");
}
