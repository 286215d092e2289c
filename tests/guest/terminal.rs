//! What passes between a command in a guest and whoever runs it: exit status, streams, terminal.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::judge::find;
use crate::support::machine::free_port;
use crate::support::nobody::open_to_all;
use crate::support::program::source;
use crate::support::{Corpus, Layout, Machines, Tar};

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

/// As `docker run -it` would; and what is said before it: how long it takes, what runs, where it is and how to end it.
#[test]
fn a_shell_that_is_the_images_command_gets_the_terminal() {
    judges!("python3", "busybox");
    let Some(machines) = Machines::without_vsock() else { return };
    let busybox = std::fs::read(find("busybox").unwrap()).unwrap();
    let config = json!({
        "Cmd": ["/bin/busybox", "sh"], "Env": ["PS1=> "], "WorkingDir": "/tmp", "ExposedPorts": { "80/tcp": {}, "443/tcp": {} },
    });
    let files = Tar::new().directory("tmp", 0o1777).entry("bin/busybox", b'0', 0o755, "", &busybox);
    let layout = Layout::of_config(machines.path("layout"), json!({ "config": config }), [files]);
    let forward = format!("{}:80", free_port());
    let mut shell = machines.command(args!["--rm", "--port", &forward, source("oci", layout.path())]);
    shell.env("TERM", "xterm").env("PATH", slow_qemu(&machines));
    let forwarded = format!("127.0.0.1:{} leads to port 80/tcp of the guest", forward.trim_end_matches(":80"));
    let (status, said) = at_terminal(
        &machines,
        &shell,
        &[
            json!({ "expect": "booting, " }),
            json!({ "expect": ": runs /bin/busybox sh (the image has no init)" }),
            json!({ "expect": forwarded }),
            json!({ "expect": "port 443/tcp is exposed and not forwarded: --port 8443:443 forwards it" }),
            json!({ "expect": "the machine ends with this shell: exit, or Ctrl-D" }),
            json!({ "expect": "> " }),
            json!({ "send": "busybox tty; pwd\n" }),
            json!({ "expect": "/dev/pts/" }),
            json!({ "expect": "/tmp" }),
            // An emulated kernel must not check its timer.
            json!({ "send": "/bin/busybox grep -o no_timer_check /proc/cmdline; echo found $?\n" }),
            json!({ "expect": if emulated(&machines) { "found 0" } else { "found 1" } }),
            json!({ "send": "exit 4\n" }),
        ],
    );
    assert_eq!(status, Some(4), "{said}");
}

/// A `PATH` whose QEMU waits before it starts a machine: a boot that is seen takes more than five seconds, on any machine.
fn slow_qemu(machines: &Machines) -> String {
    let name = format!("qemu-system-{}", std::env::consts::ARCH);
    let directory = machines.path("slow");
    std::fs::create_dir(&directory).unwrap();
    let program = directory.join(&name);
    let real = find(&name).unwrap();
    let script =
        format!("#!/bin/sh\ncase \" $* \" in *' -kernel '*) sleep 6 ;; esac\nexec {} \"$@\"\n", real.display());
    std::fs::write(&program, script).unwrap();
    open_to_all(&program);
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

/// Whether machines are emulated here.
fn emulated(machines: &Machines) -> bool {
    let checks = machines.banger(["doctor", "--json"]).stdout();
    let kvm = checks.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    kvm.into_iter().find(|check| check["name"] == "KVM").unwrap()["state"] != "ok"
}

/// Runs a command on a terminal: its exit status, and what was seen.
fn at_terminal(machines: &Machines, command: &Command, steps: &[serde_json::Value]) -> (Option<i32>, String) {
    let _permit = machines.permit();
    let mut terminal = Command::new("python3");
    terminal.arg(repository().join("tests/guest/terminal.py")).arg(command.get_program()).args(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    terminal.env_clear().envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = terminal.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for step in steps {
        writeln!(stdin, "{step}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
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
    let (status, said) = at_terminal(&machines, &shell, &steps);
    assert_eq!(status, Some(9), "{said}");
    assert!(std::fs::read(&image).unwrap() == before, "the image file was written to");
}
