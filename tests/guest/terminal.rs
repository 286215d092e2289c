//! What passes between a command in a guest and whoever runs it: exit status, streams, terminal.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::program::source;
use crate::support::{Corpus, Machines};

#[test]
fn streams_and_status_pass_through() {
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let script = "cat; echo to stderr >&2; test -t 0 || exit 7";
    let mut machine = machines.start(args!["--rm", source("oci", &corpus.layout), "--", "sh", "-c", script]);
    // More than all buffers on the way hold together.
    let text: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    machine.say(&text);
    machine.close_stdin();
    let ended = machine.end().expect(7);
    assert_eq!(ended.stdout.len(), text.len());
    assert!(ended.stdout == text, "what came back is not what was sent");
    assert!(ended.stderr.contains("to stderr\n"), "{}", ended.stderr);
    assert_eq!(machines.directories(), Vec::<std::path::PathBuf>::new(), "--rm leaves nothing");
}

#[test]
fn a_terminal_is_a_terminal() {
    judges!("python3");
    let Some(machines) = Machines::with_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let image = machines.path("image");
    build(source("oci", &corpus.layout), &image, []);
    let before = std::fs::read(&image).unwrap();
    // Without a command there is a shell.
    let shell = machines.command(args!["--rm", image, "--", "bash", "--norc"]);
    let steps = [
        json!({ "size": [33, 77] }),
        json!({ "expect": "# " }),
        json!({ "send": "stty size; tty\n" }),
        json!({ "expect": "33 77" }),
        json!({ "expect": "/dev/pts/" }),
        json!({ "size": [44, 99] }),
        json!({ "send": "sleep 1; stty size\n" }),
        json!({ "expect": "44 99" }),
        // The terminal shows what is typed; the quotes tell that from what is printed. By then the terminal is this program's.
        json!({ "send": "sh -c 'echo be\"\"gun; exec sleep 1000'\n" }),
        json!({ "expect": "begun" }),
        // Ctrl-C ends what runs in the guest, and nothing here.
        json!({ "send": "\u{3}" }),
        json!({ "expect": "^C" }),
        json!({ "send": "echo status $?\n" }),
        json!({ "expect": "status 130" }),
        json!({ "send": "exit 9\n" }),
    ];
    let _permit = machines.permit();
    let mut terminal = Command::new("python3");
    terminal.arg(repository().join("tests/guest/terminal.py")).arg(shell.get_program()).args(shell.get_args());
    let environment = shell.get_envs().filter_map(|(name, value)| Some((name, value?)));
    terminal.env_clear().envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = terminal.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for step in &steps {
        writeln!(stdin, "{step}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(std::fs::read(&image).unwrap() == before, "the image file was written to");
}
