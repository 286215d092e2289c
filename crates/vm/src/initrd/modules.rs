//! Which of a kernel's modules a machine needs. What the kernel has neither built in nor as a module it can do without, unless nothing
//! would work then.

use std::path::Path;

use banger_kmod::{LoadOrder, Loadable, Result};

/// Which modules a machine needs: buses, disk, network, entropy, serial ports, vsock, the file system and the checksum that it asks
/// for by name at run time.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "virtio_console",
    "vmw_vsock_virtio_transport",
    "crc32c_generic",
    "ext4",
];

/// Those without which there is no root file system.
const REQUIRED: &[&str] = &["virtio_blk", "ext4"];

/// What a machine needs of the modules in `directory` (`/lib/modules/VERSION`), in the order in which they are to be loaded.
pub(crate) fn choose(directory: &Path) -> Result<Vec<Loadable>> {
    let mut order = LoadOrder::new(directory)?;
    for name in WANTED {
        if REQUIRED.contains(name) { order.require(name)? } else { order.want(name)? }
    }
    Ok(order.into_modules())
}
