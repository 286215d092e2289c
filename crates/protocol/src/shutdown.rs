//! `POST /shutdown`: the end of the machine.

use serde::{Deserialize, Serialize};

/// What is to happen. The answer is 202, and then it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Off, or once more.
    #[serde(default)]
    pub action: Action,
}

/// Off, or once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The machine is switched off.
    #[default]
    Poweroff,
    /// The machine starts again.
    Reboot,
}
