//! What is here, what it takes up, and what can go.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Version of the API, which stands in its paths too. It grows when something is no longer as it was.
pub const API_VERSION: u32 = 1;

/// Who answers, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// Version of the program.
    pub version: String,
    /// Version of the API.
    pub api: u32,
    /// Where images and kernels are kept.
    #[schema(value_type = String)]
    pub root: PathBuf,
    /// Where downloads are kept.
    #[schema(value_type = String)]
    pub cache: PathBuf,
    /// What this machine is, as image indexes name it.
    pub architecture: String,
    /// Process number of the daemon; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Images that are known.
    pub images: u64,
    /// Kernels that are kept.
    pub kernels: u64,
    /// Jobs that are being done.
    pub jobs: u64,
}

/// What takes up how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// By what it is.
    pub parts: Vec<UsagePart>,
}

/// What one part of it takes up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsagePart {
    /// Which part.
    pub part: Part,
    /// How many there are.
    pub count: u64,
    /// Bytes on the disk.
    pub size: u64,
    /// Bytes that `system.prune` with `all` would free.
    pub reclaimable: u64,
}

/// A part of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Managed images. Those that have lost their last name to another image are reclaimable.
    Images,
    /// Kernels.
    Kernels,
    /// The cache of layers.
    Layers,
    /// Files from catalogs, complete or not.
    Downloads,
    /// Machines that have ended and were kept.
    Machines,
    /// What was left behind by something that was killed.
    Leftovers,
}

/// `system.prune`: removes what nothing needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PruneRequest {
    /// Only say what would go.
    pub dry_run: bool,
    /// Remove the whole cache, and the machines that have ended, too. Without it what goes is what nothing needs: orphans,
    /// images that have lost their last name, layers of no image, downloads that broke off.
    pub all: bool,
}

/// What went, or would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pruned {
    /// What, the largest first.
    pub items: Vec<PrunedItem>,
    /// Bytes in all.
    pub freed: u64,
}

/// One thing that went, or would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrunedItem {
    /// What it is part of.
    pub part: Part,
    /// What it is called.
    pub name: String,
    /// The image that it belongs to, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When it came here, or when the machine was started (RFC 3339), where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Bytes on the disk.
    pub size: u64,
}

/// `system.stop`: the daemon ends. Whoever starts it again need not wait for more than the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopDaemon {
    /// Cancel the jobs that there are. Otherwise it does not end while there are any.
    pub force: bool,
}
