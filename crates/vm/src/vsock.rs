//! How the host talks to the agent: by the host kernel's vsock, by a vsock device in a program of its own, or by serial ports.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use crate::qemu;

/// The environment variable that names the program `vhost-device-vsock`.
pub const PROGRAM_VARIABLE: &str = "BANGER_VHOST_DEVICE_VSOCK";
/// The program's name.
const PROGRAM: &str = "vhost-device-vsock";
/// The host kernel's vsock (vhost_vsock).
const DEVICE: &str = "/dev/vhost-vsock";

/// How the host talks to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The host kernel's vsock.
    Vhost,
    /// This program has the vsock device, and leads to it by a unix socket.
    VhostUser(PathBuf),
    /// Virtio-serial ports: no vsock.
    Serial,
}

/// Which ways are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The first that is there, in the order of [`Channel`].
    #[default]
    Best,
    /// [`Channel::Vhost`]
    Vhost,
    /// [`Channel::VhostUser`]
    VhostUser,
    /// [`Channel::Serial`]
    Serial,
}

impl Channel {
    /// A way that is there.
    ///
    /// # Errors
    /// The one that is wanted is not.
    pub fn find(wanted: Wanted) -> crate::error::Result<Self> {
        let missing = |what: &str| crate::error::Error::NoProgram { program: what.to_owned() };
        match wanted {
            Wanted::Best => Ok(vhost().or_else(vhost_user).unwrap_or(Self::Serial)),
            Wanted::Vhost => vhost().ok_or_else(|| missing(DEVICE)),
            Wanted::VhostUser => vhost_user().ok_or_else(|| missing(PROGRAM)),
            Wanted::Serial => Ok(Self::Serial),
        }
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vhost => "vsock",
            Self::VhostUser(_) => "vsock by vhost-device-vsock",
            Self::Serial => "virtio-serial",
        })
    }
}

fn vhost() -> Option<Channel> {
    // Only who may open it knows that it can be used.
    OpenOptions::new().read(true).write(true).open(DEVICE).ok().map(|_| Channel::Vhost)
}

fn vhost_user() -> Option<Channel> {
    let named = std::env::var_os(PROGRAM_VARIABLE).filter(|value| !value.is_empty());
    let program = match named {
        // Who sets it to something that is not there does not want it.
        Some(path) => Some(PathBuf::from(path)).filter(|path| path.is_file()),
        None => qemu::find(Path::new(PROGRAM)),
    };
    program.map(Channel::VhostUser)
}

/// A context id for a guest of the host kernel's vsock. There is no register of those that are taken: one by chance out of two thousand
/// million is free, and the kernel refuses one that is not (vsock(7): 0 to 2 and the last have a meaning).
pub(crate) fn free_cid() -> u32 {
    // Hash maps are seeded with random numbers.
    let random = RandomState::new().build_hasher().finish();
    u32::try_from(random & 0x7fff_ffff).unwrap_or_default().saturating_add(0x100)
}
