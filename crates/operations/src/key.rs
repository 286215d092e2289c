//! The id of an image: a digest of everything that its files depend on, so that what is here need not be made again.

use banger_api::image::BuildOptions;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Counted up whenever the same document stands for other files than before.
const VERSION: u32 = 2;

/// Everything that the files of an image depend on.
#[derive(Debug, Serialize)]
pub(crate) struct Key<'a> {
    version: u32,
    /// Where the root file system comes from.
    rootfs: Rootfs<'a>,
    /// Digest of the kernel and all that belongs to it, as it was chosen; of its archive, where it came with the image.
    kernel: Option<&'a str>,
    /// Digest of the agent: it is in the root file system, and in the initial RAM disk that a kernel without one gets.
    agent: String,
}

/// Where a root file system comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rootfs<'a> {
    /// It is built from an image with this manifest.
    Manifest {
        /// Digest of the manifest.
        digest: &'a str,
        /// What was set for it.
        build: &'a BuildOptions,
        /// The version of the file system's format.
        format: u32,
        /// The version of this program: of the guest layer.
        program: &'static str,
    },
    /// It was built before anything was known of it.
    Content {
        /// Its content id.
        id: &'a str,
    },
    /// It is in a bundle, from a catalog or from a registry.
    Bundle {
        /// Digest of the bundle's bytes.
        sha256: &'a str,
    },
}

impl<'a> Rootfs<'a> {
    /// One that is built from an image with this manifest.
    pub(crate) fn of_manifest(digest: &'a str, build: &'a BuildOptions) -> Self {
        let program = env!("CARGO_PKG_VERSION");
        Self::Manifest { digest, build, format: banger_rootfs::FORMAT_VERSION, program }
    }
}

/// The id of an image with this root file system and this kernel.
pub(crate) fn id(rootfs: Rootfs<'_>, kernel: Option<&str>) -> String {
    let agent = hex(&Sha256::digest(banger_guest::agent::BYTES));
    let key = Key { version: VERSION, rootfs, kernel, agent };
    // Numbers, texts and maps of them: nothing that JSON cannot say.
    hex(&Sha256::digest(serde_json::to_vec(&key).unwrap_or_default()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn whatever_matters_counts() {
        let plain = BuildOptions::default();
        let bare = BuildOptions { bare: true, ..BuildOptions::default() };
        let without_init = BuildOptions { init: Some("none".to_owned()), ..BuildOptions::default() };
        let with_user = BuildOptions { user: Some("app".to_owned()), ..BuildOptions::default() };
        let ids = [
            id(Rootfs::of_manifest("sha256:a", &plain), None),
            id(Rootfs::of_manifest("sha256:b", &plain), None),
            id(Rootfs::of_manifest("sha256:a", &bare), None),
            id(Rootfs::of_manifest("sha256:a", &without_init), None),
            id(Rootfs::of_manifest("sha256:a", &with_user), None),
            id(Rootfs::of_manifest("sha256:a", &plain), Some("k")),
            id(Rootfs::Content { id: "sha256:a" }, None),
            id(Rootfs::Bundle { sha256: "a" }, None),
        ];
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| banger_store::name::is_id(id)));
        assert_eq!(id(Rootfs::of_manifest("sha256:a", &plain), None), ids[0]);
    }
}
