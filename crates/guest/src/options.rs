//! What a guest layer can be told.

use std::collections::BTreeMap;

use banger_protocol::boot::Init;
use banger_protocol::tuning::Ulimit;

/// What is set for a guest when its image is built; all of it ends up in
/// [`settings::Guest`](banger_protocol::settings::Guest).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The host name.
    pub hostname: Option<String>,
    /// Lines of root's `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// Variables on top of the image's.
    pub env: BTreeMap<String, String>,
    /// Kernel settings, by their names.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the workload and of what is run beside it, by their names.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Instead of the image's `Entrypoint` and `Cmd`.
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// Instead of the image's `User`.
    pub user: Option<String>,
    /// Instead of the image's `WorkingDir`.
    pub directory: Option<String>,
    /// With which init the image is to boot.
    pub init: Init,
    /// There is to be an SSH server after the first boot.
    pub sshd: bool,
}
