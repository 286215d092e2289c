//! From the initial RAM disk to the root file system (the kernel's ramfs-rootfs-initramfs.rst): mounted, put in the place of all, what was there before
//! is deleted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount as mount_at, mount_move, unmount};

use crate::settings::CommandLine;

/// Where it is mounted at first.
const PLACE: &str = "/root";
/// The device where the command line names none.
const DEVICE: &str = "/dev/vda";
/// How long the device may take to appear: its driver has just been loaded.
const APPEARS: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Why there is no root file system.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootError {
    #[error("root={0}: only the path of a device is understood")]
    NotAPath(String),
    #[error("{0} did not appear within {seconds} seconds", seconds = APPEARS.as_secs())]
    Missing(String),
    #[error("{device} as {kind} ({options}): {error}")]
    Mount { device: String, kind: String, options: String, error: io::Error },
    #[error("{doing}: {error}")]
    Switch { doing: &'static str, error: io::Error },
}

/// Mounts what the command line says.
pub(super) fn mount(line: &CommandLine) -> Result<(), RootError> {
    let device = line.value("root").unwrap_or(DEVICE);
    if !device.starts_with("/dev/") {
        return Err(RootError::NotAPath(device.to_owned()));
    }
    let until = Instant::now() + APPEARS;
    while !Path::new(device).exists() {
        if Instant::now() >= until {
            return Err(RootError::Missing(device.to_owned()));
        }
        thread::sleep(LOOK);
    }
    let kind = line.value("rootfstype").unwrap_or("ext4");
    let options = line.value("rootflags").unwrap_or_default();
    let (mut flags, data) = split(options);
    if !writable(line) {
        flags |= MountFlags::RDONLY;
    }
    let failed = |error| RootError::Mount { device: device.into(), kind: kind.into(), options: options.into(), error };
    fs::create_dir_all(PLACE).map_err(failed)?;
    let data = std::ffi::CString::new(data).map_err(|error| failed(error.into()))?;
    mount_at(device, PLACE, kind, flags, &*data).map_err(|error| failed(error.into()))
}

/// Whether the root is to be writable.
fn writable(line: &CommandLine) -> bool {
    line.last_of(&["ro", "rw"]) == Some("rw")
}

/// Mount options: those that mount(2) has flags for, and those that the file system understands.
fn split(options: &str) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut data = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "noatime" => flags |= MountFlags::NOATIME,
            "nodiratime" => flags |= MountFlags::NODIRATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "strictatime" => flags |= MountFlags::STRICTATIME,
            "lazytime" => flags |= MountFlags::LAZYTIME,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

/// Goes to the root file system.
pub(super) fn switch() -> Result<(), RootError> {
    let failed = |doing| move |error: io::Error| RootError::Switch { doing, error };
    // What has been mounted is not needed any more, or goes along.
    for (place, doing) in [("/proc", "unmounting /proc"), ("/sys", "unmounting /sys")] {
        unmount(place, UnmountFlags::DETACH).map_err(|error| failed(doing)(error.into()))?;
    }
    let devices = Path::new(PLACE).join("dev");
    if devices.is_dir() {
        mount_move("/dev", &devices).map_err(|error| failed("moving /dev")(error.into()))?;
    } else {
        unmount("/dev", UnmountFlags::DETACH).map_err(|error| failed("unmounting /dev")(error.into()))?;
    }
    let old = fs::metadata("/").map_err(failed("looking at /"))?.dev();
    rustix::process::chdir(PLACE).map_err(|error| failed("changing to the root")(error.into()))?;
    // It is memory that the guest wants back; what cannot be deleted is not in the way.
    clear(Path::new("/"), old);
    mount_move(".", "/").map_err(|error| failed("moving the root")(error.into()))?;
    rustix::process::chroot(".").map_err(|error| failed("changing the root")(error.into()))?;
    rustix::process::chdir("/").map_err(|error| failed("changing to /")(error.into()))
}

/// Deletes what is in a directory, as far as it is on this file system.
fn clear(directory: &Path, device: u64) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.dev() != device => {}
            Ok(metadata) if metadata.is_dir() => {
                clear(&path, device);
                let _ = fs::remove_dir(&path);
            }
            Ok(_) => _ = fs::remove_file(&path),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_where_they_belong() {
        let (flags, data) = split("noatime,data=ordered,,sync,errors=panic");
        assert_eq!(flags, MountFlags::NOATIME | MountFlags::SYNCHRONOUS);
        assert_eq!(data, "data=ordered,errors=panic");
        assert_eq!(split(""), (MountFlags::empty(), String::new()));
    }

    #[test]
    fn the_root_is_read_only_unless_the_last_word_is_another() {
        for (line, expected) in [("quiet", false), ("rw", true), ("ro rw", true), ("rw ro", false)] {
            assert_eq!(writable(&CommandLine::parse(line)), expected, "{line}");
        }
    }

    #[test]
    fn only_devices_are_understood() {
        let error = mount(&CommandLine::parse("root=PARTUUID=1-2")).unwrap_err();
        assert_eq!(error.to_string(), "root=PARTUUID=1-2: only the path of a device is understood");
    }
}
