//! What a host and a guest of banger say to each other: nothing here does any I/O.
//!
//! - [`health`], [`ports`], [`exec`], [`shutdown`]: the bodies of the agent's HTTP interface (docs/guest.md)
//! - [`frame`]: what goes over a connection that has been upgraded to a stream
//! - [`settings`]: what an image brings ([`Guest`](settings::Guest)), what a machine brings ([`Machine`](settings::Machine))
//! - [`disk`]: the config disk that brings it
//! - [`tuning`]: kernel settings and limits of processes
//! - [`paths`]: where things are in a guest
//! - [`image`]: of an image's config what both of them read

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod boot;
pub mod disk;
pub mod exec;
pub mod failure;
pub mod frame;
pub mod health;
pub mod image;
pub mod limits;
pub mod paths;
pub mod ports;
pub mod settings;
pub mod shutdown;
pub mod tuning;

/// The vsock port that the agent listens on.
pub const VSOCK_PORT: u32 = 10_240;

/// The context id of the host: who else connects is refused (vsock(7), `VMADDR_CID_HOST`).
pub const HOST_CID: u32 = 2;

/// Names of the virtio-serial ports that the agent answers on where there is no vsock: one conversation at a time on each.
pub const SERIAL_PORTS: [&str; 4] = ["banger.0", "banger.1", "banger.2", "banger.3"];

/// The value of `Upgrade` with which a request becomes a stream of [frames](frame).
pub const UPGRADE: &str = "banger-stream";
