//! The agent's real service and its real client, on this host: over a unix socket, and over one that behaves like a serial port.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

#[path = "agent/exec.rs"]
mod exec;
#[path = "agent/files.rs"]
mod files;
#[path = "agent/hostile.rs"]
mod hostile;
#[path = "agent/port.rs"]
mod port;
#[path = "agent/service.rs"]
mod service;
#[path = "agent/terminal.rs"]
mod terminal;
#[path = "agent/transport.rs"]
mod transport;
#[path = "agent/workload.rs"]
mod workload;
