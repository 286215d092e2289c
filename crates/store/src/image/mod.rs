//! Images by name. Those that were made of the same things have the same id, and share one directory of files.
//!
//! - [`Row`]: what is known of an image, by one of its names
//! - [`Staging`], [`Stage`]: an image that is being made
//! - methods of [`Store`](crate::Store): listing, finding, naming, registering, promoting and removing

mod names;
mod staging;
mod unneeded;

use std::path::PathBuf;

use crate::shared::Expected;

pub use staging::{Stage, Staging};
pub use unneeded::Unneeded;

/// The name of the root file system in the directory of a managed image.
pub const ROOTFS: &str = "rootfs.ext4";

/// What is known of an image, by one of its names.
///
/// Rows that are read have absolute paths. Of a managed image that is being recorded, the paths are relative to its directory,
/// or below the directory that it was staged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Digest of what its files depend on: 64 hexadecimal digits. Images with the same id share their files.
    pub id: String,
    /// Its name; its id, where its last name was moved to another image.
    pub name: String,
    /// Where it came from: a reference, a source, the URL of a bundle.
    pub source: String,
    /// Digest of the manifest in the registry or source, where there is one.
    pub digest: Option<String>,
    /// The platform that it is for: `os/arch[/variant]`.
    pub platform: Option<String>,
    /// How it boots; none where it has no agent.
    pub boot: Option<Boot>,
    /// The kernel that it is started with.
    pub kernel: Option<Kernel>,
    /// Digest of everything that the root file system's bytes depend on, where it was made here.
    pub content_id: Option<String>,
    /// Length of the root file system, in bytes.
    pub size: u64,
    /// Bytes that all its files occupy on the disk. Of a managed image the store finds out itself.
    pub allocated: u64,
    /// When it came here (RFC 3339).
    pub created: String,
    /// The request that it came by, in the words of whoever records it. It belongs to the name.
    pub request: Option<String>,
    /// Whether its files are kept here, and go when it is removed. The store sets it.
    pub managed: bool,
    /// The root file system: an ext4 image. Of a managed image it is [`ROOTFS`] in its directory.
    pub rootfs: PathBuf,
}

impl Row {
    /// Whether its last name was moved to another image, so that only its id is left.
    pub fn is_nameless(&self) -> bool {
        self.name == self.id
    }
}

/// How an image boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// What becomes of process 1: `systemd`, `openrc`, `init`, `workload`.
    pub mode: String,
    /// What that was seen from, in words.
    pub why: String,
}

/// The kernel of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The name that it was asked for by.
    pub name: Option<String>,
    /// `uname -r` of it, where it says so.
    pub version: Option<String>,
    /// Digest of the kernel and all that belongs to it.
    pub digest: String,
    /// The kernel itself.
    pub image: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its modules, as in `/lib/modules/VERSION`.
    pub modules: Option<PathBuf>,
}

/// The files that a row tells of.
pub(crate) fn files(row: &Row) -> Vec<(PathBuf, Expected)> {
    let mut files = vec![(row.rootfs.clone(), Expected::Length(row.size))];
    if let Some(kernel) = &row.kernel {
        files.push((kernel.image.clone(), Expected::File));
        files.extend(kernel.initrd.clone().map(|initrd| (initrd, Expected::File)));
        files.extend(kernel.modules.clone().map(|modules| (modules, Expected::Directory)));
    }
    files
}
