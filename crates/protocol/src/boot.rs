//! How an image boots.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootMode {
    /// The image's init is systemd.
    Systemd,
    /// The image's init starts OpenRC.
    Openrc,
    /// The image has an init of another sort, which knows nothing of the agent.
    Init,
    /// The image has none: the agent is process 1, and runs the image's command.
    Workload,
}

impl BootMode {
    /// Its name, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Openrc => "openrc",
            Self::Init => "init",
            Self::Workload => "workload",
        }
    }
}

impl fmt::Display for BootMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an image boots, and why: decided from its merged tree when it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// What becomes of process 1.
    pub mode: BootMode,
    /// What that was seen from, in words: `/sbin/init leads to /usr/lib/systemd/systemd`.
    pub why: String,
    /// The image's own init: an absolute path in the guest. None in [`BootMode::Workload`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
}
