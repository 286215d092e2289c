//! What is done with images that are known here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use banger_api::event::Step;
use banger_api::image::{
    History, Image, ImageDetails, PromoteImage, PullImage, RegisterImage, RemoveImage, Removed, RenameImage,
};
use banger_api::{ErrorKind, Observer, Problem, Result, Silent, time};
use banger_catalog::bundle::Layer;
use banger_ext4::read::{LastLink, Reader};
use banger_oci::Platform;
use banger_protocol::paths;
use banger_protocol::settings::Guest;
use banger_rootfs::checksum;
use banger_store::image::{self, ROOTFS, Row, Stage};
use sha2::{Digest, Sha256};

use super::pull::{self, kernel};
use super::watching::{Watching, step};
use super::{Engine, layers, rows};
use crate::key::{self, Rootfs};
use crate::problem::{of_disk, of_file, of_store};

/// Bytes that are read of what an image says of how it boots.
const GUEST_BYTES: u64 = 1 << 20;

/// Programs of which most images have one, ours first: what they run on is what the image is for.
const PROGRAMS: [&str; 6] = [paths::AGENT, "/sbin/init", "/bin/sh", "/bin/busybox", "/usr/bin/env", "/usr/bin/true"];
/// Bytes of the header of a program that are looked at: up to `e_machine`.
const ELF_HEADER: usize = 20;
/// Numbers of architectures in it (elf(5)), and whether their numbers begin with the most significant byte.
const MACHINES: [(u16, bool, &str); 8] = [
    (62, false, "amd64"),
    (183, false, "arm64"),
    (243, false, "riscv64"),
    (3, false, "386"),
    (40, false, "arm"),
    (21, false, "ppc64le"),
    (22, true, "s390x"),
    (258, false, "loong64"),
];

/// All images, by name.
pub(super) fn list(engine: &Engine) -> Result<Vec<Image>> {
    let found = engine.store.images().map_err(|error| of_store(&error))?;
    Ok(found.into_iter().map(rows::image).collect())
}

/// All that is known of an image.
pub(super) fn show(engine: &Engine, text: &str) -> Result<ImageDetails> {
    let row = engine.store.find(text).map_err(|error| of_store(&error))?;
    let mut shared_with = engine.store.names_of(&row.id).map_err(|error| of_store(&error))?;
    shared_with.retain(|name| *name != row.name);
    let config = config(&row)?;
    let layers = layers::read(&row)?;
    let history = config.as_ref().map(|config| history(config, &layers)).unwrap_or_default();
    // What a later version recorded may ask for what this one does not know.
    let request = row.request.as_ref().and_then(|request| serde_json::from_str::<PullImage>(request).ok());
    let request = request.map(|request| PullImage { name: Some(row.name.clone()), ..request });
    Ok(ImageDetails { image: rows::image(row), shared_with, history, request, config })
}

/// The config that an image came with.
pub(super) fn config(row: &Row) -> Result<Option<serde_json::Value>> {
    let Some(directory) = row.rootfs.parent().filter(|_| row.managed) else { return Ok(None) };
    let path = directory.join(pull::CONFIG);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_file("read", &path, &error)),
    }
}

/// How an image was made, by its config: each step with the layer that it made, and what is known of that.
fn history(config: &serde_json::Value, known: &[Layer]) -> Vec<History> {
    let text =
        |value: &serde_json::Value, key: &str| value.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    let list =
        |value: Option<&serde_json::Value>| value.and_then(|value| value.as_array()).cloned().unwrap_or_default();
    let layers = list(config.pointer("/rootfs/diff_ids"));
    let mut layers = layers.iter().map(|layer| layer.as_str().map(str::to_owned));
    let mut steps: Vec<History> = list(config.get("history"))
        .iter()
        .map(|step| {
            let is_empty = step.get("empty_layer").and_then(serde_json::Value::as_bool).unwrap_or(false);
            History {
                created: text(step, "created"),
                created_by: text(step, "created_by"),
                comment: text(step, "comment"),
                diff_id: if is_empty { None } else { layers.next().flatten() },
                size: None,
                unpacked: None,
            }
        })
        .collect();
    // Not every builder says how: its layers are there all the same.
    steps.extend(layers.map(|layer| History { diff_id: layer, ..History::default() }));
    // The same layer may be there twice, compressed in two ways: the order tells them apart.
    let mut known = known.iter().peekable();
    for step in &mut steps {
        let Some(layer) = known.next_if(|layer| step.diff_id.as_ref() == Some(&layer.diff_id)) else { continue };
        (step.size, step.unpacked) = (layer.size, layer.unpacked);
    }
    steps
}

/// Removes names of images, and with its last name the files of each: all of them, or none.
pub(super) fn remove(engine: &Engine, request: &RemoveImage) -> Result<Removed> {
    let several = !request.more.is_empty();
    let all_or_none = |mut problem: Problem| {
        if several {
            problem.message = format!("none of these images was removed: {}", problem.message);
        }
        problem
    };
    let mut names: Vec<String> = Vec::new();
    for image in [&request.image].into_iter().chain(&request.more) {
        let found = engine.store.lookup(image).map_err(|error| all_or_none(of_store(&error)))?;
        if found.len() > 1 && !request.force {
            let found: Vec<_> = found.into_iter().map(|row| row.name).collect();
            let what = format!("{image} has several names: {}", found.join(", "));
            let problem = Problem::new(ErrorKind::Conflict, what);
            return Err(all_or_none(problem.hint("name one of them, or remove them all with --force")));
        }
        // Two words may mean the same image.
        let new: Vec<_> = found.into_iter().map(|row| row.name).filter(|name| !names.contains(name)).collect();
        names.extend(new);
    }
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let freed = engine.store.remove(&wanted).map_err(|error| all_or_none(of_store(&error)))?;
    Ok(Removed { names, freed })
}

/// Gives an image another name.
pub(super) fn rename(engine: &Engine, request: &RenameImage) -> Result<Image> {
    let row = engine.store.find(&request.image).map_err(|error| of_store(&error))?;
    let reservation = engine.store.reserve(&request.name).map_err(|error| of_store(&error))?;
    engine.store.rename(&row.name, reservation).map(rows::image).map_err(|error| of_store(&error))
}

/// Gives a name to an image whose files stay where they are.
pub(super) fn register(engine: &Engine, request: &RegisterImage) -> Result<Image> {
    let observer: Arc<dyn Observer> = Arc::new(Silent);
    let reservation = engine.store.reserve(&request.name).map_err(|error| of_store(&error))?;
    let rootfs = absolute(&request.rootfs)?;
    let Examined { size, boot, architecture: found } = examine(&rootfs)?;
    let architecture = found.unwrap_or(banger_guest::agent::architecture());
    let kernel = kernel::choose(engine, &request.kernel, None, architecture, &observer)?.map(kernel::record);
    // The files may change; what does not is where they are.
    let place = serde_json::json!({ "registered": request.name, "rootfs": rootfs, "kernel": kernel.as_ref().map(|kernel| &kernel.digest) });
    let row = Row {
        id: key::hex(&Sha256::digest(place.to_string())),
        name: String::new(),
        source: rootfs.display().to_string(),
        digest: None,
        platform: found.map(|architecture| Platform::new("linux", architecture, None).to_string()),
        boot,
        kernel,
        content_id: None,
        size,
        allocated: 0,
        created: time::now(),
        request: None,
        managed: false,
        rootfs,
    };
    engine.store.register(reservation, &row).map(rows::image).map_err(|error| of_store(&error))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| of_file("find", path, &error))
}

/// What an ext4 image says of itself.
struct Examined {
    /// Bytes of it.
    size: u64,
    boot: Option<image::Boot>,
    /// What its programs run on, where that can be seen.
    architecture: Option<&'static str>,
}

/// Looks into an ext4 image.
fn examine(path: &Path) -> Result<Examined> {
    let file = std::fs::File::open(path).map_err(|error| of_file("open", path, &error))?;
    let metadata = file.metadata().map_err(|error| of_file("read", path, &error))?;
    let reader = Reader::open(file).map_err(|error| {
        Problem::new(ErrorKind::Integrity, format!("{} is not an ext4 image", path.display())).because(&error)
    })?;
    let guest = || {
        let inode = reader.lookup(paths::GUEST.as_bytes(), LastLink::Follow).ok()?;
        let mut text = Vec::new();
        (reader.stat(inode).ok()?.size <= GUEST_BYTES).then(|| reader.copy_to(inode, &mut text).ok()).flatten()?;
        let guest: Guest = serde_json::from_slice(&text).ok()?;
        Some(image::Boot { mode: guest.boot.mode.to_string(), why: guest.boot.why })
    };
    Ok(Examined { size: metadata.len(), boot: guest(), architecture: architecture(&reader) })
}

/// What the first of the usual programs in an image runs on.
fn architecture(reader: &Reader<std::fs::File>) -> Option<&'static str> {
    PROGRAMS.iter().find_map(|path| {
        let inode = reader.lookup(path.as_bytes(), LastLink::Follow).ok()?;
        let mut header = [0; ELF_HEADER];
        let count = reader.read_at(inode, 0, &mut header).ok()?;
        machine(header.get(..count)?)
    })
}

/// The architecture in the header of a program (ELF, `e_machine`), as image indexes name it.
fn machine(header: &[u8]) -> Option<&'static str> {
    let is_elf = header.starts_with(b"\x7fELF");
    let bytes: [u8; 2] = header.get(18..20)?.try_into().ok()?;
    // `EI_DATA`: 2 says that numbers begin with their most significant byte.
    let is_big = header.get(5) == Some(&2);
    let number = if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    let (_, _, name) = MACHINES.iter().find(|(known, big, _)| (*known, *big) == (number, is_big))?;
    is_elf.then_some(*name)
}

/// Takes the files of a registered image into the store.
pub(super) fn promote(engine: &Engine, request: &PromoteImage, observer: &Arc<dyn Observer>) -> Result<Image> {
    let old = engine.store.find(&request.image).map_err(|error| of_store(&error))?;
    if old.managed {
        return Err(of_store(&banger_store::Error::Managed { name: old.name }));
    }
    step(observer, Step::Checksum, old.rootfs.display().to_string());
    let sha256 = std::fs::File::open(&old.rootfs).and_then(|file| checksum::of_file(&file));
    let sha256 = sha256.map_err(|error| of_file("read", &old.rootfs, &error))?;
    let digest = old.kernel.as_ref().map(|kernel| kernel.digest.as_str());
    let id = key::id(Rootfs::Content { id: &sha256 }, digest);
    let stage = pull::stage(engine, &id, observer)?;
    let row = Row { id, managed: true, created: time::now(), request: None, ..old.clone() };
    let staging = match stage {
        Stage::Ready(shared) => {
            return engine.store.promote(&shared, &old, &row).map(rows::image).map_err(|error| of_store(&error));
        }
        Stage::New(staging) => staging,
    };
    step(observer, Step::Pack, old.rootfs.display().to_string());
    let target = staging.path().join(ROOTFS);
    banger_disk::copy::copy(&old.rootfs, &target, &Watching::new(observer, 0)).map_err(|error| of_disk(&error))?;
    let kernel = old.kernel.clone().map(|kernel| take(kernel, staging.path(), observer)).transpose()?;
    let size = examine(&target)?.size;
    let row = Row { rootfs: ROOTFS.into(), kernel, size, ..row };
    staging.promote(&old, &row).map(rows::image).map_err(|error| of_store(&error))
}

/// Takes the kernel of a registered image.
fn take(kernel: image::Kernel, directory: &Path, observer: &Arc<dyn Observer>) -> Result<image::Kernel> {
    let chosen = kernel::again(&kernel, observer)?;
    Ok(image::Kernel { name: kernel.name, ..kernel::put(&chosen, directory, observer)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_say_what_they_run_on() {
        let header = |data: u8, machine: [u8; 2]| {
            let mut header = b"\x7fELF\x02".to_vec();
            header.push(data);
            header.resize(18, 0);
            header.extend(machine);
            header
        };
        for (header, expected) in [
            (header(1, [62, 0]), Some("amd64")),
            (header(1, [183, 0]), Some("arm64")),
            (header(2, [0, 22]), Some("s390x")),
            (header(1, [22, 0]), None),
            (header(1, [1, 1]), None),
            (header(1, [62, 0])[..19].to_vec(), None),
            (b"#!/bin/sh\nexec true\n".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(machine(&header), expected, "{header:?}");
        }
    }

    #[test]
    fn steps_are_told_with_their_layers() {
        let config = serde_json::json!({
            "rootfs": { "diff_ids": ["sha256:a", "sha256:b", "sha256:c"] },
            "history": [
                { "created_by": "ADD", "created": "2026-01-01T00:00:00Z" },
                { "created_by": "ENV", "empty_layer": true, "comment": "set" },
                { "created_by": "RUN" },
            ],
        });
        let layer = |diff_id: &str, size, unpacked| Layer { diff_id: diff_id.to_owned(), size, unpacked };
        let known =
            [layer("sha256:a", Some(1), Some(10)), layer("sha256:b", None, Some(20)), layer("sha256:c", None, None)];
        let found = history(&config, &known);
        let sizes: Vec<_> = found.iter().map(|step| (step.size, step.unpacked)).collect();
        assert_eq!(sizes, [(Some(1), Some(10)), (None, None), (None, Some(20)), (None, None)]);
        let layers: Vec<_> = found.iter().map(|step| step.diff_id.as_deref()).collect();
        assert_eq!(layers, [Some("sha256:a"), None, Some("sha256:b"), Some("sha256:c")]);
        assert_eq!(found[1].comment.as_deref(), Some("set"));
        assert_eq!(found[0].created.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(found[3].created_by, None);
        assert!(history(&serde_json::json!({}), &[]).is_empty());
        assert!(history(&serde_json::json!({ "history": 1, "rootfs": [] }), &[]).is_empty());
    }
}
