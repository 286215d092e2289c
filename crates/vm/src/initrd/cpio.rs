//! An archive in the form that the kernel unpacks at boot: `newc` (cpio(5), "New ASCII Format"; the kernel's
//! `driver-api/early-userspace/buffer-format`). Owner, time and device numbers are zero.

use crate::error::{Error, Result};

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
/// Each header with its name, and each content, begins at a multiple of it.
const ALIGNMENT: usize = 4;

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive that grows.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    members: u32,
}

impl Archive {
    /// A directory; those above it come first.
    pub(crate) fn directory(&mut self, name: &str) -> Result<()> {
        self.member(name, DIRECTORY, (0, 0), &[])
    }

    /// A file.
    pub(crate) fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.member(name, FILE, (0, 0), content)
    }

    /// A program.
    pub(crate) fn executable(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.member(name, EXECUTABLE, (0, 0), content)
    }

    /// A character device.
    pub(crate) fn device(&mut self, name: &str, major: u32, minor: u32) -> Result<()> {
        self.member(name, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// All of it.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.members = 0;
        self.member(TRAILER, 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn member(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let too_large = || Error::TooLarge { what: "a file of the initial RAM disk", size: content.len() as u64 };
        let size = u32::try_from(content.len()).map_err(|_| too_large())?;
        let name_size = u32::try_from(name.len().saturating_add(1)).map_err(|_| too_large())?;
        let inode = if name == TRAILER { 0 } else { self.members.saturating_add(1) };
        self.members = inode;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        for field in [inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
        Ok(())
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}
