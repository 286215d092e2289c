//! A command in the guest with the standard streams of a process: this program starts itself again as that process, with pipes or
//! with a terminal. (It has no test harness, as that would write to the same streams.)

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use banger_agent::settings::Settings;
use banger_agent::state::State;
use banger_protocol::exec::Exec;
use banger_vm::client::{Attachment, Client, ClientError, Connector, terminal};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// What the process answers that was interrupted.
const INTERRUPTED: i32 = 99;

/// A test and its name.
type Case = (&'static str, fn(&Guest));

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == "--attach") {
        std::process::exit(attach(&arguments[2], &arguments[3], &arguments[4]));
    }
    let guest = Guest::start();
    let cases: [Case; 8] = [
        ("streams_pass_through_apart", streams_pass_through_apart),
        ("megabytes_pass_through", megabytes_pass_through),
        ("signals_are_passed_on", signals_are_passed_on),
        ("a_signal_behind_input_that_nobody_reads_ends_it", a_signal_behind_input_that_nobody_reads_ends_it),
        ("three_signals_without_effect_end_it", three_signals_without_effect_end_it),
        ("a_closed_output_ends_it", a_closed_output_ends_it),
        ("keys_and_sizes_pass_through_a_terminal", keys_and_sizes_pass_through_a_terminal),
        ("a_terminal_is_as_it_was_after_a_signal", a_terminal_is_as_it_was_after_a_signal),
    ];
    let wanted = arguments.iter().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, case) in cases {
        if wanted.is_none_or(|wanted| name.contains(wanted.as_str())) {
            case(&guest);
            println!("test {name} ... ok");
        }
    }
}

/// The process under test: what a command's exit makes of it.
fn attach(socket: &str, how: &str, script: &str) -> i32 {
    let size = terminal::size().filter(|_| how == "terminal");
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let exec = Exec { argv, terminal: size, stdin: true, ..Exec::default() };
    let session = Client::new(Connector::Unix(socket.into())).exec(&exec).unwrap();
    match session.attach(Attachment { stdin: true, terminal: size.is_some() }) {
        Ok(exit) => exit.status(),
        Err(ClientError::Interrupted(_)) => INTERRUPTED,
        Err(error) => {
            eprintln!("{error:?}");
            98
        }
    }
}

struct Guest {
    directory: tempfile::TempDir,
}

impl Guest {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("agent")).unwrap();
        let state = State::new(Settings::read());
        thread::spawn(move || banger_agent::service::serve_unix(&state, &listener));
        Self { directory }
    }

    fn command(&self, how: &str, script: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg("--attach").arg(self.directory.path().join("agent")).args([how, script]);
        command
    }

    fn piped(&self, script: &str) -> Child {
        let mut command = self.command("plain", script);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The command runs, and the process passes signals on.
fn is_attached(child: &Child, mark: &Path) {
    eventually("the command runs", || mark.exists());
    eventually("signals are caught", || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        // The last that it begins to catch, of those that it passes on.
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (Signal::QUIT.as_raw() - 1)) != 0
    });
}

fn ended(mut child: Child) -> i32 {
    let mut status = None;
    eventually("the process ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code().unwrap()
}

fn texts(output: &Output) -> (&str, &str, Option<i32>) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

fn streams_pass_through_apart(guest: &Guest) {
    let mut child = guest.piped("read line; echo out $line; echo err $line >&2; cat; exit 7");
    child.stdin.take().unwrap().write_all(b"first\nrest").unwrap();
    assert_eq!(texts(&child.wait_with_output().unwrap()), ("out first\nrest", "err first\n", Some(7)));
    let killed = guest.piped("kill -KILL $$").wait_with_output().unwrap();
    assert_eq!(killed.status.code(), Some(137));
}

fn megabytes_pass_through(guest: &Guest) {
    let data: Vec<u8> = (0..4_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut child = guest.piped("cat");
    let mut stdin = child.stdin.take().unwrap();
    let sent = data.clone();
    let sending = thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    sending.join().unwrap();
    assert!(output.stdout == data, "{} bytes", output.stdout.len());
}

fn signals_are_passed_on(guest: &Guest) {
    for (number, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM"), (Signal::HUP, "HUP"), (Signal::QUIT, "QUIT")] {
        let mark = guest.mark(name);
        let script = format!("trap 'exit 41' {name}; : > {}; while :; do sleep 0.05; done", mark.display());
        let child = guest.piped(&script);
        is_attached(&child, &mark);
        signal(&child, number);
        assert_eq!(ended(child), 41, "{name}");
    }
}

fn a_signal_behind_input_that_nobody_reads_ends_it(guest: &Guest) {
    let mark = guest.mark("reads-nothing");
    let mut child = guest.piped(&format!(": > {}; exec sleep 1000", mark.display()));
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || while stdin.write_all(&[0; 65_536]).is_ok() {});
    is_attached(&child, &mark);
    thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::INT);
    assert_eq!(ended(child), INTERRUPTED);
    feeding.join().unwrap();
}

fn three_signals_without_effect_end_it(guest: &Guest) {
    let mark = guest.mark("stubborn");
    let mut child = guest.piped(&format!("trap '' INT; : > {}; while :; do sleep 0.1; done", mark.display()));
    is_attached(&child, &mark);
    for _ in 0..3 {
        assert!(child.try_wait().unwrap().is_none(), "it is too early to give up");
        signal(&child, Signal::INT);
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ended(child), INTERRUPTED);
}

fn a_closed_output_ends_it(guest: &Guest) {
    let mut child = guest.piped("while :; do echo more; done");
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(ended(child), 98);
}

/// A terminal of our own: its two ends.
fn open_terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    tcsetwinsize(&slave, window(40, 120)).unwrap();
    (master.into(), slave)
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn on_terminal(guest: &Guest, slave: &OwnedFd, script: &str) -> Child {
    let mut command = guest.command("terminal", script);
    let end = || slave.try_clone().unwrap();
    command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
}

fn until(master: &mut File, expected: &str) -> String {
    let mut shown = String::new();
    while !shown.contains(expected) {
        let mut buffer = [0; 4096];
        let count = master.read(&mut buffer).unwrap();
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    shown
}

fn is_raw(slave: impl AsFd) -> bool {
    !tcgetattr(slave).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
}

fn keys_and_sizes_pass_through_a_terminal(guest: &Guest) {
    let (mut master, slave) = open_terminal();
    let script = "stty size; trap 'echo interrupted' INT; trap 'stty size' WINCH; \
        while :; do read line || continue; [ \"$line\" = end ] && exit 5; echo got $line; done";
    let child = on_terminal(guest, &slave, script);
    until(&mut master, "40 120\r\n");
    assert!(is_raw(&slave), "each key goes to the guest");
    master.write_all(b"hello\r").unwrap();
    let shown = until(&mut master, "got hello\r\n");
    assert_eq!(shown, "hello\r\ngot hello\r\n", "echoed once, by the guest's terminal");
    tcsetwinsize(&slave, window(11, 22)).unwrap();
    signal(&child, Signal::WINCH);
    until(&mut master, "11 22\r\n");
    master.write_all(&[3]).unwrap();
    until(&mut master, "interrupted\r\n");
    master.write_all(b"end\r").unwrap();
    assert_eq!(ended(child), 5);
    assert!(!is_raw(&slave), "it is as it was");
}

fn a_terminal_is_as_it_was_after_a_signal(guest: &Guest) {
    let (mut master, slave) = open_terminal();
    let child = on_terminal(guest, &slave, "echo ready; exec sleep 1000");
    until(&mut master, "ready\r\n");
    assert!(is_raw(&slave));
    signal(&child, Signal::TERM);
    assert_eq!(ended(child), 143);
    assert!(!is_raw(&slave));
}
