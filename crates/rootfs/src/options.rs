//! What a build is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The label of a root file system when none is asked for (`s_volume_name`).
pub const DEFAULT_LABEL: &str = "banger-rootfs";

/// Everything that a build can be told, besides its source.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the finished image appears.
    pub output: PathBuf,
    /// Replace what is at `output`; without it an existing file is an error.
    pub force: bool,
    /// Wait until the image is on the disk before it appears.
    pub sync: bool,
    /// Compute the sha256 of the finished file.
    pub checksum: bool,
    /// How many threads work on the layers.
    pub jobs: NonZeroUsize,
    /// Bytes of the largest window that a zstd frame of a layer may have, and of all large windows together.
    pub zstd_window: u64,
    /// Size of the image in bytes; chosen from the content when `None`.
    pub size: Option<u64>,
    /// Volume label, at most 16 bytes (`s_volume_name`).
    pub label: String,
    /// UUID of the file system (`s_uuid`); derived from the content id's inputs when `None`.
    pub uuid: Option<[u8; 16]>,
    /// Files and directories of the host to put on top, each as a layer of its own, in order.
    pub additions: Vec<Addition>,
    /// A directory of the host with the modules of a kernel, which are put on top of that.
    pub modules: Option<PathBuf>,
    /// The guest layer, on top of everything; without it the image gets nothing of ours.
    pub guest: Option<banger_guest::Options>,
}

impl Options {
    /// The defaults for an image at `output`: synced, not replacing, one job for each processor, nothing on top.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            force: false,
            sync: true,
            checksum: false,
            jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            zstd_window: banger_layers::limits::ZSTD_WINDOW,
            size: None,
            label: DEFAULT_LABEL.to_owned(),
            uuid: None,
            additions: Vec::new(),
            modules: None,
            guest: None,
        }
    }
}

/// A file or a directory tree of the host that is put into the image.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The file or directory on the host; symbolic links below it are kept as links.
    pub source: PathBuf,
    /// Where it goes in the image: an absolute path. A file whose target ends with `/` keeps its own name below it; a
    /// directory becomes the target, whether there is one already or not.
    pub target: Vec<u8>,
    /// Owner of all that is added.
    pub uid: u32,
    /// Group of all that is added.
    pub gid: u32,
}
