//! Kernels that are kept here by name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A kernel that is kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kernel {
    /// Its name here.
    pub name: String,
    /// `uname -r` of it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it runs on, as image indexes name it: `amd64`, `arm64`.
    pub architecture: String,
    /// How the file is made: `bzimage`, `vmlinux`, `image`.
    pub format: String,
    /// Digest of the kernel and all that belongs to it.
    pub digest: String,
    /// Bytes of all its files.
    pub size: u64,
    /// Where it came from: a path, a URL, a catalog.
    pub source: String,
    /// When it came here (RFC 3339).
    pub created: String,
    /// The kernel itself.
    #[schema(value_type = String)]
    pub image: PathBuf,
    /// Its initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub initrd: Option<PathBuf>,
    /// Its modules, as in `/lib/modules/VERSION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub modules: Option<PathBuf>,
}

/// Which kernel an image gets: the one by `name`, or else the one that its bundle names, or else the files. Where nothing is
/// said, the settings' `kernel`, or else the newest that is kept here for the image's architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KernelChoice {
    /// The name of a kernel that is kept here, or in a catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A kernel: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub image: Option<PathBuf>,
    /// An initial RAM disk: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub initrd: Option<PathBuf>,
    /// A directory of modules: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub modules: Option<PathBuf>,
    /// None at all.
    pub none: bool,
}

/// The name of Debian's kernel for virtual machines in `kernel.pull`.
pub const DEBIAN: &str = "debian";

/// `kernel.pull`: fetches a kernel from a catalog; `debian` is Debian's newest for virtual machines, by apt where there is apt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullKernel {
    /// Its name in a catalog.
    pub name: String,
    /// What to call it here, where not by that name; `debian` is called after its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// What it is to run on; this machine's architecture where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

/// `kernel.import`: takes a kernel from files of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportKernel {
    /// A directory, a Debian package or a kernel archive (`.tar.zst`): an absolute path. The other packages of the same kernel are
    /// found beside a package.
    #[schema(value_type = String)]
    pub from: PathBuf,
    /// Other Debian packages of the same kernel, which are elsewhere: absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub more: Vec<PathBuf>,
    /// What to call it here; its version where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `kernel.remove`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveKernel {
    /// Its name here. Images that were made with it keep theirs.
    pub name: String,
}

/// `kernel.export`: writes a kernel archive, which a catalog can offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportKernel {
    /// Its name here.
    pub name: String,
    /// Where the archive goes: the absolute path of a directory. Its name is made of the kernel's and of its digest.
    #[schema(value_type = String)]
    pub directory: PathBuf,
}
