//! The service: what the agent does in a guest that has been booted, whoever is process 1.
//!
//! It answers first, and then does what is to be done, so that it can be asked how far that is.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use banger_protocol::boot::BootMode;
use banger_protocol::health::Workload;
use banger_protocol::shutdown::Action;

use crate::boot::{self, Ending};
use crate::grow::{self, Grown};
use crate::insist::STOP;
use crate::settings::Settings;
use crate::state::State;
use crate::{console, first_boot, identity, network, rlimits, service, sys, sysctl, workload};

/// Signals that ask the service to end.
const ENDING: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// How long those who read the workload's output may take nothing of what is there when the machine is asked to end: not long, because who asks
/// may be the one who does not read.
const READERS: Duration = Duration::from_secs(5);

/// How long who asked for the end may take to hear that it comes.
const ANSWER: Duration = Duration::from_millis(200);

/// How long an image's init may take to come to the network.
const NETWORK: Duration = Duration::from_secs(180);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(100);

/// What the kernel takes for "never" when it looks for a process to kill (proc(5)).
const UNKILLABLE: &str = "-1000";

/// Runs the service.
pub fn run() -> ExitCode {
    // Before there is any thread, so that the signals wait in all of them.
    if let Err(error) = sys::block_signals(&ENDING) {
        console::say(&format!("blocking signals: {error}"));
    }
    // When memory ends, what the machine is for may go; who says so must not. Programs that are started here do not inherit it.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", UNKILLABLE) {
        console::say(&format!("/proc/self/oom_score_adj: {error}"));
    }
    let mut settings = Settings::read();
    let is_workload = settings.runs_workload();
    if is_workload {
        settings.problems.extend(sysctl::set_usual());
    }
    // Also where PID 1 has set them: the image's init may have set its own since.
    settings.problems.extend(sysctl::set_wanted(&settings.sysctls));
    // After that, as a setting may allow more.
    let (limits, problems) = rlimits::choose(is_workload, &settings.ulimits);
    settings.problems.extend(problems);
    for problem in &settings.problems {
        console::say(problem);
    }
    let state = State::new(settings);
    state.set_limits(limits);
    {
        let state = Arc::clone(&state);
        thread::spawn(move || wait_for_signal(&state));
    }
    if let Err(error) = service::start(&state) {
        state.problem(format!("the service: {error}"));
    }
    {
        let state = Arc::clone(&state);
        thread::spawn(move || bring_up(&state));
    }
    let action = state.wait_for_shutdown();
    thread::sleep(ANSWER);
    end(&state, action)
}

fn wait_for_signal(state: &State) {
    loop {
        match sys::wait_signal(&ENDING, None) {
            Ok(None) => {}
            Ok(Some(_)) if state.settings().runs_workload() => return state.request_shutdown(Action::Poweroff),
            // The image's init ends its service: that is no wish that the machine should end.
            Ok(Some(_)) | Err(_) => std::process::exit(0),
        }
    }
}

/// What is to be done at boot, in this order.
fn bring_up(state: &Arc<State>) {
    match grow::grow_root() {
        Ok(Grown::Grown(before, after)) => {
            console::say(&format!("the root file system grew from {before} to {after} bytes"));
        }
        Ok(Grown::Already) => {}
        Err(error) => state.problem(format!("growing the root file system: {error}")),
    }
    let mode = state.settings().boot.mode;
    if matches!(mode, BootMode::Init | BootMode::Openrc)
        && let Err(error) = identity::fill(Path::new("/"))
    {
        state.problem(format!("/etc/machine-id: {error}"));
    }
    let record = match mode {
        // The image's init starts the program that does it, at about this time.
        BootMode::Systemd | BootMode::Openrc => wait_for_record(),
        BootMode::Init | BootMode::Workload => set_up_network(state.settings()),
    };
    state.set_network(record.network.clone());
    for problem in &record.problems {
        state.problem(problem.clone());
    }
    {
        let state = Arc::clone(state);
        thread::spawn(move || network::keep(&state, record));
    }
    if matches!(mode, BootMode::Init | BootMode::Workload) {
        let state = Arc::clone(state);
        thread::spawn(move || {
            // What went wrong is told by `/healthz` where it is remembered.
            if let Err(error) = first_boot::run(Path::new("/"), state.settings()) {
                state.problem(format!("first boot: {error}"));
            }
        });
    }
    state.set_booted();
    if mode == BootMode::Workload && !state.settings().hold {
        workload::run(state);
        workload::wait_for_readers(state);
        state.request_shutdown(Action::Poweroff);
    }
}

/// What was done to the network, when it has been done.
fn wait_for_record() -> network::Record {
    let until = Instant::now() + NETWORK;
    loop {
        if let Some(record) = network::read_record() {
            return record;
        }
        if Instant::now() >= until {
            let problem = "the image's init has not set up the network".to_owned();
            return network::Record { problems: vec![problem], ..network::Record::default() };
        }
        thread::sleep(LOOK);
    }
}

/// Sets up the network and leaves word of it.
fn set_up_network(settings: &Settings) -> network::Record {
    let network::Outcome { mut record, problems } = network::set_up(settings);
    record.problems = problems;
    if let Err(error) = network::write_record(&record) {
        record.problems.push(format!("{}/network.json: {error}", banger_protocol::paths::RUN));
    }
    record
}

/// The program that an image's init starts to set up the network.
pub fn network_bootstrap() -> ExitCode {
    let settings = Settings::read();
    // An init may have set the name of its own file in between.
    if let Err(problem) = boot::set_hostname(&settings) {
        console::say(&problem);
    }
    let record = set_up_network(&settings);
    for problem in &record.problems {
        console::say(problem);
    }
    // A guest without a network is to come up all the same: what did not work is told by the service, which goes on trying.
    ExitCode::SUCCESS
}

/// The program that an image's init starts for what is to be done at first boot.
pub fn first_boot() -> ExitCode {
    match first_boot::run(Path::new("/"), &Settings::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::say(&format!("first boot: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The machine is to end.
fn end(state: &State, action: Action) -> ExitCode {
    match state.settings().boot.mode {
        BootMode::Workload => {
            stop_workload(state);
            state.output().wait_for_readers(Some(READERS));
            Ending::from(action).exit_code()
        }
        mode => {
            boot::ask_init(mode, action);
            ExitCode::SUCCESS
        }
    }
}

fn stop_workload(state: &State) {
    if !matches!(state.workload(), Some(Workload::Running { .. })) {
        return;
    }
    // It may end at the same moment by itself: then there is nobody to be told.
    let _ = state.signal_workload(state.settings().stop_signal);
    if !state.wait_for_workload(STOP) {
        let _ = state.signal_workload(libc::SIGKILL);
        state.wait_for_workload(STOP);
    }
}
