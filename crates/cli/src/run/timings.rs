//! How long each stage of a machine's start takes.

use std::path::Path;
use std::time::Instant;

use banger_protocol::health::Health;
use banger_vm::Machine;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::json;

/// What the kernel says when it starts the first program.
const HANDOVER: &str = "] Run /";

/// Seconds of each stage, from the beginning of `banger run` to the agent's first answer.
#[derive(Debug)]
pub(super) struct Timings {
    begun: Instant,
    stages: Stages,
}

/// As they are written.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Stages {
    /// The image is built, or found.
    build: f64,
    /// The initial RAM disk is made, KVM is tried, and what else there is before QEMU is started.
    prepare: f64,
    /// QEMU starts, and its firmware loads the kernel.
    qemu: f64,
    /// The kernel, until it starts the first program; none where it did not say when.
    kernel: Option<f64>,
    /// All programs, until the agent has answered that it is ready; with the kernel, where that did not say.
    agent: f64,
    /// All of it.
    total: f64,
}

impl Timings {
    pub(super) fn start() -> Self {
        Self { begun: Instant::now(), stages: Stages::default() }
    }

    /// The image is there.
    pub(super) fn built(&mut self) {
        self.stages.build = self.begun.elapsed().as_secs_f64();
    }

    /// The agent has answered.
    pub(super) fn ready(&mut self, machine: &Machine, health: &Health) {
        let now = Instant::now();
        let since = |earlier: Instant| now.saturating_duration_since(earlier).as_secs_f64();
        let (total, running) = (since(self.begun), since(machine.started()));
        // The guest's clock begins with its kernel.
        let guest = health.uptime.min(running);
        let log = std::fs::read(machine.serial_log()).unwrap_or_default();
        let kernel = handover(&String::from_utf8_lossy(&log)).filter(|kernel| *kernel <= guest);
        self.stages = Stages {
            prepare: total - running - self.stages.build,
            qemu: running - guest,
            kernel,
            agent: guest - kernel.unwrap_or_default(),
            total,
            ..self.stages
        };
    }

    /// Seconds of all of it.
    pub(super) fn total(&self) -> f64 {
        self.stages.total
    }

    /// Writes them to a file.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let text = json(&self.stages)?;
        std::fs::write(file, text + "\n").map_err(|error| Failure::file("write", file, &error))
    }
}

/// When, by its own clock, the kernel started the first program.
fn handover(log: &str) -> Option<f64> {
    let line = log.lines().find(|line| line.contains(HANDOVER) && line.contains("as init process"))?;
    line.trim_start().strip_prefix('[')?.split(']').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_when_it_starts_the_first_program() {
        let log = "[    0.000000] Linux version 6.1\r\n[    3.271828] Run /init as init process\r\n[    9.0] Run /x as init process\n";
        assert_eq!(handover(log), Some(3.271828));
        assert_eq!(handover("Run /init as init process"), None);
        assert_eq!(handover("[ abc] Run /init as init process"), None);
    }
}
