//! The image's command, where the agent runs it: as the image's config has it, as the right user, its output kept and shown on the console.

mod output;

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::exec::Exit;
use banger_protocol::health::Workload;
use banger_protocol::limits::FRAME_BYTES;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

pub use output::{Event, Output, Reader, Stream};

use crate::console;
use crate::launch::{self, Launch, LaunchError};
use crate::namespace::{NamespaceHandle, Namespaces};
use crate::state::State;
use crate::stdio;
use crate::sys::Session;

/// How long a workload that has ended stays for somebody to ask for its output, at least.
const GRACE: Duration = Duration::from_secs(1);

/// How long those who read its output may take nothing of what is there when it ends, or not say that they have it.
const READERS: Duration = Duration::from_secs(30);

/// How long output is waited for that processes may still write which the workload has left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Runs the workload; returns when it has ended, or could not be started.
pub fn run(state: &Arc<State>) {
    let output = state.output();
    if let Some(wait) = state.settings().wait {
        output.expect_reader(wait);
        output.become_pipe();
    }
    match start(state) {
        Ok(started) => {
            let (exit, text) = follow(state, started);
            console::say(&format!("workload {text}"));
            output.end(exit);
        }
        Err(error) => {
            let reason = match error {
                LaunchError::Empty => "the image has no init and no command, and none was given".to_owned(),
                ref other => other.to_string(),
            };
            let message = format!("the workload was not started: {reason}");
            console::say(&message);
            output.write(Stream::Stderr, format!("banger: {message}\n").as_bytes());
            state.set_workload(Workload::Failed { error: reason });
            output.end(Exit::Code(error.status()));
        }
    }
}

/// After the workload's end: waits until those who read its output have it. The machine may end then.
pub fn wait_for_readers(state: &State) {
    state.output().expect_reader(GRACE);
    // Who started the machine to see the output is waited for as long as it is there: it may be slow, and what it has not got is lost.
    let limit = state.settings().wait.is_none().then_some(READERS);
    state.output().wait_for_readers(limit);
}

/// The workload's process, and the ends of its pipes that are this side's.
struct Started {
    child: Child,
    stdout: File,
    stderr: File,
}

fn start(state: &State) -> Result<Started, LaunchError> {
    let settings = state.settings();
    let directory = launch::working_directory(settings);
    let namespaces = &Namespaces::new_where_known().unwrap_or_else(|| {
        state.problem("the kernel has no PID namespaces (CONFIG_PID_NS): the workload is not PID 1");
        Namespaces::Machine
    });
    let (argv, env, user, limits) = (&*settings.argv, settings.env.clone(), settings.user.as_deref(), state.limits());
    let (mut command, user) = Launch { argv, env, user, directory, namespaces, limits }.command(Session::New)?;
    let program = argv.first().map_or("", String::as_str);
    let failed = |error| LaunchError::from_spawn(program, error);
    let (stdout, to_stdout) = stdio::pipe(&user).map_err(failed)?;
    let (stderr, to_stderr) = stdio::pipe(&user).map_err(failed)?;
    command.stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr);
    let child = namespaces.spawn(&mut command).map_err(failed)?;
    // The command holds its ends of the pipes until here: each end of a pipe must close with the last process that has it.
    drop(command);
    if matches!(namespaces, Namespaces::New) {
        state.set_namespaces(NamespaceHandle::of(&child));
    }
    Ok(Started { child, stdout: stdout.into(), stderr: stderr.into() })
}

/// Waits for the workload's end: how it ended, also in words.
fn follow(state: &Arc<State>, Started { mut child, stdout, stderr }: Started) -> (Exit, String) {
    // Before its output can be seen: a host that has seen some may send a signal.
    state.set_workload(Workload::Running { pid: child.id() });
    let (done, all_done) = channel();
    pump(state.output(), Stream::Stdout, stdout, done.clone());
    pump(state.output(), Stream::Stderr, stderr, done);
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Waits without taking: the process keeps its number until nobody can send it a signal any more.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
    }
    state.set_namespaces(None);
    let exit = state.end_workload(|| how(&mut child));
    wait_for_pumps(&all_done);
    let text = match exit {
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
    };
    (exit, text)
}

fn how(child: &mut Child) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match child.wait().map(|status| (status.code(), status.signal())) {
        Ok((Some(code), _)) => Exit::Code(code),
        Ok((_, Some(signal))) => Exit::Signal(signal),
        // Somebody else has waited for it: nobody does, and nothing is known.
        Ok((None, None)) | Err(_) => Exit::Code(UNKNOWN),
    }
}

/// The status of what ended in a way that is not known.
const UNKNOWN: i32 = 255;

/// Reads what the workload writes, keeps it and shows it.
fn pump(output: &Arc<Output>, stream: Stream, mut from: impl Read + Send + 'static, done: Sender<()>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut buffer = vec![0; FRAME_BYTES];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let data = buffer.get(..count).unwrap_or_default();
                    output.write(stream, data);
                    // A console that cannot be written to must not end the workload.
                    let _ = io::stderr().write_all(data);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        drop(done);
    });
}

/// Waits until both pipes are closed, but not for long where somebody else has them open.
fn wait_for_pumps(done: &Receiver<()>) {
    let until = Instant::now() + LEFT_BEHIND;
    let left = until.saturating_duration_since(Instant::now());
    // Nothing is ever sent: what comes is the end of the last sender, or of the time.
    let _ = done.recv_timeout(left);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// Runs `sh -c script` to its end: the state after it, and all that it wrote to standard output and standard error.
    fn ran(change: impl FnOnce(&mut Settings), script: &str) -> (Arc<State>, String, String) {
        let mut settings = Settings::read();
        settings.argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        change(&mut settings);
        let state = State::new(settings);
        assert_eq!(state.workload(), Some(Workload::Pending));
        let mut reader = state.attach().unwrap();
        run(&state);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Event::Data(stream, data) = reader.next(Duration::ZERO) {
            if stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(&data);
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (state, text(out), text(err))
    }

    fn exit(state: &State) -> Exit {
        let mut reader = state.attach().unwrap();
        loop {
            match reader.next(Duration::ZERO) {
                Event::Data(..) => {}
                Event::Exit(exit) => return exit,
                Event::Nothing => panic!("it has not ended"),
            }
        }
    }

    #[test]
    fn it_runs_as_the_settings_say() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = directory.path().join("made/here").to_str().unwrap().to_owned();
        let change = |settings: &mut Settings| {
            settings.env = [("A".to_owned(), "b c".to_owned())].into();
            settings.directory = Some(wanted.clone());
            settings.user =
                Some(format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()));
        };
        if !crate::testing::is_root() {
            return;
        }
        let (state, out, err) = ran(change, "echo $A; pwd; echo to err >&2; read -r line || echo no input; exit 7");
        assert_eq!((out, err), (format!("b c\n{wanted}\nno input\n"), "to err\n".to_owned()));
        assert_eq!(state.workload(), Some(Workload::Exited { exit: Exit::Code(7) }));
        assert_eq!(exit(&state), Exit::Code(7));
    }

    #[test]
    fn what_cannot_be_started_has_the_status_of_a_shell_and_says_why() {
        for (argv, status) in [(&["/no/such"][..], 127), (&["/etc/passwd"], 126), (&[], 125)] {
            let change = |settings: &mut Settings| settings.argv = argv.iter().map(|&text| text.to_owned()).collect();
            let (state, out, err) = ran(change, "");
            assert_eq!((exit(&state), &*out), (Exit::Code(status), ""), "{argv:?}");
            assert!(err.starts_with("banger: the workload was not started: "), "{err}");
            assert!(matches!(state.workload(), Some(Workload::Failed { .. })));
        }
    }

    #[test]
    fn what_it_leaves_behind_does_not_hold_up_its_end() {
        if !crate::testing::is_root() {
            return;
        }
        let started = Instant::now();
        let (state, out, _) = ran(|_| {}, "sleep 30 & echo gone; exit 4");
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!((&*out, exit(&state)), ("gone\n", Exit::Code(4)));
    }

    #[test]
    fn a_signal_reaches_it_while_it_runs_and_nobody_after_that() {
        if !crate::testing::is_root() {
            return;
        }
        let mut settings = Settings::read();
        settings.argv = ["/bin/sh", "-c", "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done"]
            .map(str::to_owned)
            .to_vec();
        let state = State::new(settings);
        assert!(state.signal_workload(libc::SIGTERM).is_err(), "it does not run yet");
        let mut reader = state.attach().unwrap();
        let runs = {
            let state = Arc::clone(&state);
            thread::spawn(move || run(&state))
        };
        assert_eq!(reader.next(Duration::from_secs(10)), Event::Data(Stream::Stdout, b"ready\n"[..].into()));
        state.signal_workload(libc::SIGTERM).unwrap();
        runs.join().unwrap();
        assert_eq!(reader.next(Duration::from_secs(10)), Event::Data(Stream::Stdout, b"told\n"[..].into()));
        assert_eq!(exit(&state), Exit::Code(3));
        assert!(state.signal_workload(libc::SIGTERM).is_err());
    }
}
