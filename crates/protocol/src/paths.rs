//! Where things are in a guest: absolute paths.

/// The agent.
pub const AGENT: &str = "/usr/local/bin/banger-vsock-agent";
/// The agent under another name: sets up the network, once, and ends.
pub const NETWORK_BOOTSTRAP: &str = "/usr/local/libexec/banger-network-bootstrap";
/// The agent under another name: does what is to be done at first boot, and ends.
pub const FIRST_BOOT: &str = "/usr/local/libexec/banger-first-boot";
/// The config of the image, as the registry has it (image specification, config.md).
pub const IMAGE: &str = "/usr/local/lib/banger/image.json";
/// [`Guest`](crate::settings::Guest).
pub const GUEST: &str = "/usr/local/lib/banger/guest.json";
/// What the agent must remember from one boot to the next.
pub const STATE: &str = "/var/lib/banger";
/// What the agent's programs tell each other, gone after each boot.
pub const RUN: &str = "/run/banger";
/// A file that stands in banger's initial RAM disk alone: what starts as process 1 and sees it mounts the root and goes there.
pub const INITRD_MARK: &str = "/banger-initrd";
/// In that RAM disk: one module a line, in the order in which they are loaded; names relative to the directory it is in.
pub const INITRD_MODULES: &str = "/modules/order";
