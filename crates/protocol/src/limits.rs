//! How much either side takes of the other.

/// Conversations at the same time, in all of a guest.
pub const CONNECTIONS: usize = 64;
/// Bytes of a request's or an answer's head.
pub const HEAD_BYTES: usize = 16 << 10;
/// Header fields of a head.
pub const HEADERS: usize = 64;
/// Bytes of a JSON body.
pub const JSON_BYTES: usize = 1 << 20;
/// Bytes of a frame's payload.
pub const FRAME_BYTES: usize = 64 << 10;
/// Seconds for a head to come, once its first byte has.
pub const HEAD_SECONDS: u64 = 10;
/// What is kept of the workload's output for who asks later, in bytes.
pub const OUTPUT_BYTES: usize = 1 << 20;
/// Bytes of an image config, which the host reads from a registry and the guest from its disk: 8 MiB. Configs carry the build history,
/// so they are the largest documents met.
pub const IMAGE_CONFIG_BYTES: u64 = 8 << 20;
/// Bytes of the file on a config disk.
pub const SETTINGS_BYTES: usize = 1 << 20;
/// Arguments, and variables of the environment, of a command.
pub const ARGUMENTS: usize = 4096;
