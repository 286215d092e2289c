//! Files that images are made of.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use banger_distribution::Facts;
use banger_oci::Platform;

pub(crate) fn facts() -> Facts {
    Facts { name: "debian-bookworm".to_owned(), platform: Platform::new("linux", "amd64", None) }
}

/// Bytes that do not repeat, nor compress.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// A tar archive with one file, compressed with zstd.
pub(crate) fn archive(directory: &Path, name: &str, content: &[u8]) -> PathBuf {
    let mut entry = tar_core::builder::EntryBuilder::new_ustar();
    entry.path("rootfs.ext4").entry_type(tar_core::EntryType::Regular);
    entry.mode(0o644).unwrap().size(content.len() as u64).unwrap();
    let mut tar = entry.finish_bytes();
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    let path = directory.join(name);
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap();
    path
}

/// A root file system of 64 MiB: some data, and holes.
pub(crate) fn rootfs(directory: &Path) -> PathBuf {
    let path = directory.join("rootfs.ext4");
    let file = File::create(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    for (at, seed) in [(0, 1), (1 << 20, 2), ((40 << 20) + 4096, 3)] {
        file.write_all_at(&noise(200_000, seed), at).unwrap();
    }
    path
}
