//! How much is taken of what others give, and how long is waited for it.

use std::time::Duration;

/// Bytes of the end of a log that are read to say what was said last.
pub(crate) const LOG_TAIL_BYTES: u64 = 16 << 10;
/// Lines of it that an error quotes.
pub(crate) const LOG_TAIL_LINES: usize = 12;
/// Bytes of the description of a machine in its directory.
pub(crate) const RECORD_BYTES: u64 = 64 << 10;
/// For the tiny guest that tells whether KVM works. It takes a tenth of a second; on a host where every CPU has several programs to run, QEMU alone
/// has been seen to take seconds to start.
pub(crate) const PROBE: Duration = Duration::from_secs(15);
/// For a helper of QEMU to be there, on a busy host.
pub(crate) const HELPER: Duration = Duration::from_secs(30);
/// For a process that was killed to be gone.
pub(crate) const KILLED: Duration = Duration::from_secs(10);
/// Between two looks at something that cannot be waited for.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
