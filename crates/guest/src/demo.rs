//! An image that needs no network: a greeting, which is the agent under another name.
//!
//! Its one layer is made here; who opens it adds the digests (image specification, manifest.md).

use tar_core::EntryType;
use tar_core::builder::HeaderBuilder;

use crate::agent;
use banger_protocol::paths;

/// Bytes of a tar block.
const BLOCK: usize = 512;

/// What the layer holds: path, mode, and content or a link's target.
const PASSWD: &[u8] = include_bytes!("../files/demo/passwd");
const OS_RELEASE: &[u8] = include_bytes!("../files/demo/os-release");
const GREETING: &str = "hello";

/// The layer: a tar archive that is not compressed.
pub fn layer() -> Vec<u8> {
    let mut archive = Vec::new();
    member(&mut archive, "etc/passwd", Some(PASSWD), "");
    member(&mut archive, "etc/os-release", Some(OS_RELEASE), "");
    member(&mut archive, GREETING, None, paths::AGENT);
    // Two blocks of zeros end an archive.
    archive.resize(archive.len().saturating_add(2 * BLOCK), 0);
    archive
}

/// The config, for a layer with this diff ID (image specification, config.md).
pub fn config(diff_id: &str) -> Vec<u8> {
    let config = serde_json::json!({
        "architecture": agent::architecture(),
        "os": "linux",
        "config": { "Cmd": [format!("/{GREETING}")] },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    config.to_string().into_bytes()
}

/// Appends a file, or a link where there is no content.
fn member(archive: &mut Vec<u8>, path: &str, content: Option<&[u8]>, target: &str) {
    let size = content.map_or(0, <[u8]>::len);
    let mut header = HeaderBuilder::new_ustar();
    let built = header
        .path(path)
        .and_then(|header| header.mode(if content.is_some() { 0o644 } else { 0o777 }))
        .and_then(|header| header.uid(0))
        .and_then(|header| header.gid(0))
        .and_then(|header| header.size(size as u64))
        .and_then(|header| header.mtime(0))
        .and_then(|header| header.link_name(target));
    // Names and numbers of our own, all of them short.
    debug_assert!(built.is_ok(), "{path}");
    header.entry_type(if content.is_some() { EntryType::Regular } else { EntryType::Symlink });
    archive.extend_from_slice(header.finish().as_bytes());
    archive.extend_from_slice(content.unwrap_or_default());
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}
