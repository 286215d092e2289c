//! What an image and a machine bring to a guest.
//!
//! What is set for a machine goes before what was set when the image was built, and that before the image's own config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::tuning::Ulimit;

/// The only version there is of either.
pub const VERSION: u32 = 1;

/// What was decided and set when the image was built. It stands in the guest as [`GUEST`](crate::paths::GUEST).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// [`VERSION`].
    pub version: u32,
    /// How the image boots.
    pub boot: Boot,
    /// `--hostname`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `--ssh-key`: lines of root's `authorized_keys`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// `--env`, on top of the image's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `--entrypoint`, instead of the image's `Entrypoint` and `Cmd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `--cmd`, instead of the image's `Cmd`; its `Entrypoint` stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// `--sysctl`: kernel settings, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// `--ulimit`: limits of the workload and of what `/exec` runs, by the names of [`LIMITS`](crate::tuning::LIMITS).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `--user`, instead of the image's `User`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `--workdir`, instead of the image's `WorkingDir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// `--sshd`: there is to be an SSH server after the first boot.
    #[serde(default)]
    pub sshd: bool,
}

/// What a machine is told at boot, by its [config disk](crate::disk).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// [`VERSION`].
    pub version: u32,
    /// The host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The address of the first network interface. DHCP where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<StaticNetwork>,
    /// Lines of root's `authorized_keys`, besides those that are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// Variables of the workload and of what `/exec` runs, on top of the image's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How it boots, instead of how the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The workload's program, instead of the image's `Entrypoint` and `Cmd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The workload's arguments, instead of the image's `Cmd`; its `Entrypoint` stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The user of the workload and of what `/exec` runs, instead of the image's `User`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their directory, instead of the image's `WorkingDir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The workload is not started, and the machine stays until it is told to end.
    #[serde(default)]
    pub hold: bool,
    /// Kernel settings, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the workload and of what `/exec` runs, by the names of [`LIMITS`](crate::tuning::LIMITS).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// TCP ports that are expected to listen: `/ports` tells which do not yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            version: VERSION,
            hostname: None,
            network: None,
            ssh_keys: Vec::new(),
            env: BTreeMap::new(),
            boot: None,
            entrypoint: None,
            command: None,
            user: None,
            directory: None,
            hold: false,
            sysctls: BTreeMap::new(),
            ulimits: BTreeMap::new(),
            ports: Vec::new(),
        }
    }
}

/// An address that does not come from DHCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticNetwork {
    /// `ADDRESS/PREFIX`, IPv4.
    pub address: String,
    /// The default gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
}
