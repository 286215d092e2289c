//! Limits, each with its reason.

use std::time::Duration;

/// Bytes of an answer's head. The daemon sends five headers.
pub(crate) const HEAD_BYTES: usize = 16 << 10;

/// Headers of an answer.
pub(crate) const HEADERS: usize = 32;

/// Bytes of an answer: a hundred thousand images, of which nobody has so many.
pub(crate) const ANSWER_BYTES: usize = 64 << 20;

/// Bytes of a line of events. The longest tells of the layers of an image, of which there are thousands at most.
pub(crate) const LINE_BYTES: usize = 16 << 20;

/// Bytes of the line that tells a chunk's length.
pub(crate) const CHUNK_LINE: usize = 64;

/// How soon a wish to cancel is noticed while nothing happens.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// How long a daemon may take to answer for the first time; another may have to end before.
pub(crate) const START: Duration = Duration::from_secs(30);

/// How often is tried whether it answers.
pub(crate) const START_GLANCE: Duration = Duration::from_millis(20);

/// How often it is started again while another has the socket.
pub(crate) const START_AGAIN: Duration = Duration::from_millis(200);

/// Bytes of the daemon's log that are kept when another daemon is started: the last ones tell why it ended.
pub(crate) const LOG_BYTES: u64 = 1 << 20;

/// Bytes of the end of the daemon's log that are shown when it does not start.
pub(crate) const LOG_SHOWN: u64 = 2 << 10;
