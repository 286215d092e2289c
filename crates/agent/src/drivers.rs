//! Drivers of the virtio devices by which a guest reaches its host and its network, for kernels that have them as modules.
//!
//! banger's own initramfs loads them, and so does udev. With another initramfs, in an image without udev, nothing else does: no line in
//! modules-load.d is needed, which an init without libkmod would fail at.

use std::fs;
use std::path::Path;

use crate::modules;

/// A sort of virtio device, by its number (virtio specification, "Device Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// A network card.
    Network = 1,
    /// Serial ports.
    Console = 3,
    /// vsock.
    Vsock = 19,
}

impl Device {
    fn module(self) -> &'static str {
        match self {
            Self::Network => "virtio_net",
            Self::Console => "virtio_console",
            Self::Vsock => "vmw_vsock_virtio_transport",
        }
    }
}

/// Loads the drivers of those of these devices that are there and have none. Returns what did not work, in words.
pub(crate) fn load(root: &Path, devices: &[Device]) -> Vec<String> {
    let waiting = without_driver(&root.join("sys/bus/virtio/devices"));
    let wanted = devices.iter().filter(|&&device| waiting.contains(&(device as u32)));
    wanted
        .filter_map(|device| {
            let module = device.module();
            modules::load(root, module).err().map(|error| format!("module {module}: {error}"))
        })
        .collect()
}

/// The sorts of the virtio devices that no driver has taken.
fn without_driver(bus: &Path) -> Vec<u32> {
    let devices = fs::read_dir(bus).into_iter().flatten().flatten().map(|entry| entry.path());
    let waiting = devices.filter(|device| !device.join("driver").exists());
    waiting
        .filter_map(|device| {
            let number = fs::read_to_string(device.join("device")).ok()?;
            u32::from_str_radix(number.trim().trim_start_matches("0x"), 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_without_a_driver_need_one() {
        let root = tempfile::tempdir().unwrap();
        let bus = root.path().join("sys/bus/virtio/devices");
        assert_eq!(without_driver(&bus), [0_u32; 0]);
        for (name, number, driver) in
            [("virtio0", "0x0013\n", false), ("virtio1", "0x0001\n", true), ("virtio2", "x", false)]
        {
            fs::create_dir_all(bus.join(name)).unwrap();
            fs::write(bus.join(name).join("device"), number).unwrap();
            if driver {
                fs::create_dir(bus.join(name).join("driver")).unwrap();
            }
        }
        assert_eq!(without_driver(&bus), [Device::Vsock as u32]);
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let modules = root.path().join("lib/modules").join(release);
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("modules.dep"), "a/vmw_vsock_virtio_transport.ko:\na/virtio_net.ko:\n").unwrap();
        let problems = load(root.path(), &[Device::Network, Device::Console, Device::Vsock]);
        assert_eq!(problems, ["module vmw_vsock_virtio_transport: No such file or directory (os error 2)"]);
    }
}
