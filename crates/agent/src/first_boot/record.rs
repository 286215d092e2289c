//! What is remembered of the first boot from one boot to the next.

use std::fs;
use std::path::{Path, PathBuf};

use banger_protocol::health::{FirstBoot, FirstBootState};
use banger_protocol::paths;
use serde::{Deserialize, Serialize};

use super::FirstBootError;
use crate::file;

/// Bytes of the file.
const RECORD_BYTES: u64 = 64 << 10;
/// Characters of an error that are kept.
const ERROR: usize = 1000;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) state: FirstBootState,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The boot of the last attempt: by the kernel's `boot_id`.
    #[serde(default)]
    boot: String,
}

impl Default for Record {
    fn default() -> Self {
        Self { state: FirstBootState::Pending, attempts: 0, error: None, boot: String::new() }
    }
}

impl Record {
    /// `None` where there is none, or one that makes no sense: then it is the first boot.
    pub(super) fn read(root: &Path) -> Option<Self> {
        serde_json::from_slice(&file::read_at_most(&path(root), RECORD_BYTES).ok()?).ok()
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), FirstBootError> {
        let path = path(root);
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| file::replace(&path, &json, 0o644)).map_err(|error| FirstBootError::Record { path, error })
    }

    /// One attempt more.
    pub(super) fn begin(self) -> Self {
        Self {
            state: FirstBootState::Running,
            attempts: self.attempts.saturating_add(1),
            error: self.error,
            boot: boot_id(),
        }
    }

    pub(super) fn end(&mut self, error: Option<&FirstBootError>) {
        self.state = if error.is_some() { FirstBootState::Failed } else { FirstBootState::Done };
        self.error = error.map(|error| error.to_string().chars().take(ERROR).collect());
    }

    pub(super) fn told(self) -> FirstBoot {
        // An attempt of another boot that has not ended was cut off, and is still to be made.
        let cut_off = self.state == FirstBootState::Running && self.boot != boot_id();
        let state = if cut_off { FirstBootState::Pending } else { self.state };
        FirstBoot { state, attempts: self.attempts, error: self.error }
    }
}

fn path(root: &Path) -> PathBuf {
    root.join(paths::STATE.trim_start_matches('/')).join("first-boot.json")
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
