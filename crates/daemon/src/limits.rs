//! Limits, each with its reason.

use std::time::Duration;

/// Bytes of a request's body. The largest that makes sense is a pull with many keys and credentials: some kilobytes.
pub const BODY_BYTES: usize = 1 << 20;

/// Bytes of a body that is too long which are read all the same, so that its sender gets to read the answer.
pub const BODY_BYTES_READ: usize = 16 << 20;

/// Bytes of a request's head. An image's name or id in the query is the longest that makes sense.
pub const HEAD_BYTES: usize = 32 << 10;

/// How long a connection may be without a whole request. One that is idle costs a few kilobytes, but a file descriptor too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Connections at once; one more is told so. Each has a file descriptor, of which a process has a thousand where nobody has
/// allowed it more.
pub const CONNECTIONS: usize = 4096;

/// Connections beyond these that are told so; those beyond are closed without a word. Each has a descriptor.
pub const REFUSED: usize = 64;

/// How long a connection that is one too many may take to ask for something, so that it can be told.
pub const REFUSAL: Duration = Duration::from_secs(1);

/// File descriptors that are left to the work itself when connections have all that they may.
pub const DESCRIPTORS_KEPT: u64 = 256;

/// File descriptors that the daemon asks for, where it may have so many.
pub const DESCRIPTORS: u64 = 16_384;

/// Requests that are answered at once, apart from jobs; others wait. Each has a thread.
pub const THREADS: usize = 64;

/// Jobs that have not ended. Nobody has use for more; a loop that begins them is stopped here.
pub const JOBS: usize = 1000;

/// Jobs that have ended and are still told of.
pub const JOBS_KEPT: usize = 100;

/// How often a reader of a job's events is told of progress: ten times in a second is as fast as anybody can read.
pub const PACE: Duration = Duration::from_millis(100);

/// Entries of a job's log, after which warnings and delays are no longer recorded. Progress takes one for each file.
pub const LOG_ENTRIES: usize = 50_000;

/// Entries of a job's log that are sent at once: a reader that does not read holds no more than these.
pub const LOG_PIECE: usize = 256;

/// How long jobs that were cancelled may take to end when the daemon stops. What is left of them then is what a kill leaves.
pub const STOP_JOBS: Duration = Duration::from_secs(20);

/// How long connections may take to get their last answer when the daemon stops.
pub const STOP_CONNECTIONS: Duration = Duration::from_secs(3);

/// How long to wait before accepting again, when that failed for want of something.
pub const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
