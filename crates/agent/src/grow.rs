//! The root file system grows to the size of its disk: online, by the ioctl that resize2fs uses, so that a disk that was made larger is
//! simply larger.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, major, minor};

use crate::sys;

/// Bytes of a sector, as /sys counts them on every disk.
const SECTOR: u64 = 512;

/// `EXT4_SUPER_MAGIC` of statfs(2).
const EXT4: u64 = 0xEF53;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// It had that size already; or it does not grow in this way, or not while it is read-only.
    Already,
    /// It grew from so many bytes to so many.
    Grown(u64, u64),
}

/// Makes the root file system as large as its disk.
///
/// # Errors
/// The kernel refused.
pub fn grow_root() -> io::Result<Grown> {
    let root = File::open("/")?;
    let status = rustix::fs::fstatfs(&root)?;
    let known = u64::try_from(status.f_type).is_ok_and(|kind| kind == EXT4);
    let writable = !rustix::fs::fstatvfs(&root)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    let Some(disk) = disk_bytes(&root).filter(|_| known && writable) else { return Ok(Grown::Already) };
    let (block, before) = (u64::try_from(status.f_bsize).unwrap_or_default(), root_bytes()?);
    let blocks = disk.checked_div(block).unwrap_or_default();
    // statfs does not count what the file system keeps for itself. The kernel compares exactly and knows when there is nothing to do.
    if blocks.saturating_mul(block) <= before {
        return Ok(Grown::Already);
    }
    sys::grow_ext4(root.as_fd(), blocks)?;
    let after = root_bytes()?;
    Ok(if after > before { Grown::Grown(before, after) } else { Grown::Already })
}

/// Bytes of the root file system.
///
/// # Errors
/// As statfs(2).
pub fn root_bytes() -> io::Result<u64> {
    let status = rustix::fs::statvfs("/")?;
    Ok(status.f_blocks.saturating_mul(status.f_frsize))
}

/// Bytes of the disk that a file is on; `None` where it is on none.
fn disk_bytes(file: &File) -> Option<u64> {
    let device = file.metadata().ok()?.dev();
    let path = PathBuf::from(format!("/sys/dev/block/{}:{}/size", major(device), minor(device)));
    sectors(&path)?.checked_mul(SECTOR)
}

fn sectors(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
