//! Machines that are started again and again while the host is busy: none may lose output or status.

use std::process::Command;

use crate::judges;
use crate::support::Machines;
use crate::support::corpus::repository;
use crate::support::program::{PROGRAM, Run};

/// So many starts, unless `BANGER_STRESS_STARTS` says otherwise: one of each command.
const STARTS: &str = "3";

/// So many conversations with one machine. With an agent that slept through what a port had for it, two in 600 got no answer.
const CONVERSATIONS: &str = "1000";

#[test]
fn no_start_loses_what_its_command_says() {
    judges!("python3", "busybox");
    let Some(machines) = Machines::without_vsock() else { return };
    let starts = std::env::var("BANGER_STRESS_STARTS").unwrap_or_else(|_| STARTS.to_owned());
    // Two machines at the same time: as many as all of these tests may have together.
    let _permits = (machines.permit(), machines.permit());
    let mut stress = Command::new(repository().join("tests/boot/stress.py"));
    stress.args(["--banger", PROGRAM, "--load", "1", "--jobs", "2", "--conversations", CONVERSATIONS, &starts]);
    let run = Run::of(&mut stress).expect(0);
    assert!(run.stdout().contains(&format!("{CONVERSATIONS} conversations, 0 lost an answer\n")), "{run}");
    assert!(run.stdout().contains(&format!("{starts} starts in ")), "{run}");
    assert!(run.stdout().ends_with(", 0 lost something\n"), "{run}");
}
