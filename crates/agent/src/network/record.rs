//! What was done to the network, as a file in /run: the program that sets it up at boot ends, the service goes on from there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banger_protocol::health::Network;
use banger_protocol::paths;
use serde::{Deserialize, Serialize};

use super::Lease;

/// Bytes of the file.
const RECORD_BYTES: u64 = 64 << 10;

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What `/healthz` tells.
    pub(crate) network: Option<Network>,
    /// What must be renewed.
    pub(crate) lease: Option<Held>,
    /// What did not work, in words.
    pub(crate) problems: Vec<String>,
}

/// A lease, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// What was leased.
    pub(crate) lease: Lease,
    /// When: time since the kernel started.
    pub(crate) since: Duration,
}

/// Time since the kernel started, in which the guest may also have been suspended.
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::from_secs(u64::try_from(now.tv_sec).unwrap_or_default())
}

fn path() -> PathBuf {
    Path::new(paths::RUN).join("network.json")
}

/// Leaves the record for the service.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_record(record: &Record) -> io::Result<()> {
    fs::create_dir_all(paths::RUN)?;
    crate::file::replace(&path(), &serde_json::to_vec(record)?, 0o644)
}

/// The record, if somebody has left one.
pub(crate) fn read_record() -> Option<Record> {
    serde_json::from_slice(&crate::file::read_at_most(&path(), RECORD_BYTES).ok()?).ok()
}
