//! Images that are kept here by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::KernelChoice;
use crate::registry::RegistryAccess;

/// An image that is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Digest of what its files depend on: 64 hexadecimal digits. Images with the same id share their files.
    pub id: String,
    /// Its name; its id, where its last name was moved to another image (`image.pull` with `replace`).
    pub name: String,
    /// Where it came from: a reference, a source, the URL of a bundle.
    pub source: String,
    /// Digest of the manifest in the registry or source, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The platform that it is for: `os/arch[/variant]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How it boots; none where it has no agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    /// The kernel that it is started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<ImageKernel>,
    /// Digest of everything that the root file system's bytes depend on, where it was made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// Length of the root file system.
    pub size: u64,
    /// Bytes that all its files occupy on the disk. What it shares with others is counted in each. Of a registered image those
    /// of its root file system, kernel and initramfs, wherever they are.
    pub allocated: u64,
    /// When it came here (RFC 3339).
    pub created: String,
    /// Whether its files are kept here, and go when it is removed. Those of a registered image are somebody else's.
    pub managed: bool,
    /// The root file system: an ext4 image.
    #[schema(value_type = String)]
    pub rootfs: PathBuf,
    /// Only in the answer to `image.pull` with `replace`: the id that the name stood for before. It is the image's own id
    /// where the name was up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
}

/// How an image boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Boot {
    /// What becomes of process 1: `systemd`, `openrc`, `init`, `workload`.
    pub mode: String,
    /// What that was seen from, in words.
    pub why: String,
}

/// The kernel of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageKernel {
    /// The name that it was asked for by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `uname -r` of it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of the kernel and all that belongs to it.
    pub digest: String,
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

/// An image, with all that is known of how it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageDetails {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// The other names that its files have.
    pub shared_with: Vec<String>,
    /// How it was made, by its own account: the oldest first.
    pub history: Vec<History>,
    /// The request that it came by, without `registry`: with `replace` it asks for the same again. None where the image was
    /// registered, or came from an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PullImage>,
    /// The config that came with it (OCI image specification), as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config: Option<serde_json::Value>,
}

/// A step by which an image was made (OCI image specification, `history` of the config).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// What was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Digest of the layer that it made, decompressed (diff ID). None where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<String>,
    /// Compressed bytes of that layer, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes of that layer when it is decompressed, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<u64>,
}

/// `image.pull`: makes an image that is kept here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullImage {
    /// A name in a catalog, a reference to a registry, or a source such as `oci:DIR` with an absolute path.
    pub source: String,
    /// What to call it; made from the source where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The platform to choose: `os/arch[/variant]`; this machine's where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The kernel that it gets.
    #[serde(default)]
    pub kernel: KernelChoice,
    /// What it is built like. A bundle is as it is.
    #[serde(default)]
    pub build: BuildOptions,
    /// Move the name, where an image has it, to the image that the source stands for now. The old image stays under its id
    /// if it has no other name. Without this a name that is taken is a `conflict`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// How registries are to be spoken to.
    #[serde(default)]
    pub registry: RegistryAccess,
}

/// What is set when an image is built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BuildOptions {
    /// Bytes of the root file system; chosen from the content where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its label, at most 16 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The image stays as it is: no agent, nothing that starts one.
    pub bare: bool,
    /// The host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Lines of root's `authorized_keys`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// Variables of the environment, on top of the image's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Kernel settings that are set at boot, by the names that sysctl(8) knows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the image's command, by docker's names: `SOFT[:HARD]`, where -1 is no limit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, String>,
    /// Instead of the image's `Entrypoint` and `Cmd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's `Cmd`; its `Entrypoint` stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Instead of the image's `User`: `USER[:GROUP]`, names or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Instead of the image's `WorkingDir`: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The init that it boots with: `auto`, `systemd`, `openrc`, `none`, or an absolute path in the image. Chosen by the image's
    /// command and files where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// There is to be an SSH server after the first boot.
    pub sshd: bool,
}

/// `image.register`: gives a name to an image whose files are elsewhere, and stay there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterImage {
    /// The name.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,126}$")]
    pub name: String,
    /// The root file system, an ext4 image: an absolute path.
    #[schema(value_type = String, pattern = "^/")]
    pub rootfs: PathBuf,
    /// The kernel that it is started with.
    #[serde(default)]
    pub kernel: KernelChoice,
}

/// `image.remove`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveImage {
    /// The image's name or id.
    pub image: String,
    /// Names or ids of more images: all of them are removed, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
    /// All names of an image that is named by its id and has several.
    #[serde(default)]
    pub force: bool,
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// The names that are gone.
    pub names: Vec<String>,
    /// Bytes that became free.
    pub freed: u64,
}

/// `image.rename`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameImage {
    /// The image's name or id.
    pub image: String,
    /// Its new name.
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,126}$")]
    pub name: String,
}

/// `image.promote`: takes the files of a registered image into the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteImage {
    /// The image's name or id.
    pub image: String,
}

/// `image.export`: writes an image's root file system into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportImage {
    /// The image's name or id.
    pub image: String,
    /// What the file is to be.
    #[serde(default)]
    pub format: Format,
    /// The file: an absolute path.
    #[schema(value_type = String)]
    pub output: PathBuf,
    /// Whether a file that is there is replaced.
    #[serde(default)]
    pub force: bool,
    /// Whether an archive leaves out the holes of files, in GNU's form 1.0. No other format takes it.
    #[serde(default)]
    pub sparse: bool,
}

/// What an image can be written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The file system as it is; holes stay holes.
    #[default]
    Raw,
    /// A disk image of QEMU's, version 3.
    Qcow2,
    /// An archive of the files in it.
    Tar,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exported {
    /// Where it is.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Bytes that it occupies on the disk.
    pub allocated: u64,
}

/// `image.push`: puts an image into a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushImage {
    /// The image's name or id.
    pub image: String,
    /// Where it goes: a reference with a tag.
    pub reference: String,
    /// What it is to be there.
    #[serde(default)]
    pub form: Form,
    /// How the registry is to be spoken to.
    #[serde(default)]
    pub registry: RegistryAccess,
}

/// What an image can be in a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// An artifact that `image.pull` takes as it is, with its kernel.
    #[default]
    Artifact,
    /// A disk image in a container image, as KubeVirt takes it.
    Containerdisk,
}

/// What was put into a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// The reference.
    pub reference: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Bytes of all blobs.
    pub size: u64,
    /// Bytes that had to be sent: the rest was there.
    pub sent: u64,
}
