//! `GET /healthz`: how the guest is.

use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::exec::Exit;

/// How the guest is. The status is 200 whatever it says: that there is an answer means that the agent works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// In one word.
    pub status: Status,
    /// The agent's version.
    pub version: String,
    /// How the guest was booted.
    pub boot: Boot,
    /// Seconds since the kernel started.
    pub uptime: f64,
    /// The host name.
    pub hostname: String,
    /// The network, where there is one that the agent has set up or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The image's command, where the agent runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What is to be done once in the life of a disk, where there is anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_boot: Option<FirstBoot>,
    /// Bytes of the root file system.
    pub root_bytes: u64,
    /// What did not work, in words.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// How the guest is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The agent has not done yet what it does at boot.
    Starting,
    /// All is as it should be.
    Running,
    /// There are problems.
    Degraded,
    /// It is about to be switched off.
    Stopping,
}

/// The first network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub interface: String,
    /// `ADDRESS/PREFIX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where the address comes from.
    pub source: NetworkSource,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkSource {
    /// The kernel's command line.
    CommandLine,
    /// The config disk.
    Settings,
    /// A DHCP server.
    Dhcp,
    /// It was there already, or another program of the image sets it up.
    Image,
}

/// The image's command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Workload {
    /// It is to be started.
    Pending,
    /// It runs.
    Running {
        /// Its process.
        pid: u32,
    },
    /// It has ended.
    Exited {
        /// How.
        exit: Exit,
    },
    /// It could not be started.
    Failed {
        /// Why.
        error: String,
    },
    /// It is not to be started: the machine's settings say so.
    Held,
}

/// What is done once in the life of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBoot {
    /// How far it is.
    pub state: FirstBootState,
    /// How often it was begun, in all boots.
    pub attempts: u32,
    /// Why it failed the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far the first boot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstBootState {
    /// It has not begun.
    Pending,
    /// It is being done.
    Running,
    /// It is done, for ever.
    Done,
    /// It failed, and is tried again at the next boot.
    Failed,
}
