//! skopeo and umoci read the cache, and the cache reads what they have put into it.
//!
//! What is not in their power is not asked of them: umoci takes an index of several platforms for ambiguous, and knows
//! no media types of Docker's, as older versions of skopeo do not either when they look for a name.

use crate::cache::{Scratch, begin};
use crate::judges::{has, run};
use crate::support::*;
use banger_oci::cache::Cache;
use banger_oci::{Descriptor, Digest, MediaType, OpenOptions, Source};
use serde_json::Value;

/// A layout that skopeo can have made, with an index `all` of two platforms, and an image of Docker's media types.
fn original() -> Layout {
    let layout = Layout::new();
    let platforms = [host(), foreign().to_owned()];
    let entries = platforms.map(|platform| {
        let mut tar = Tar::default();
        tar.file("platform", platform.as_bytes());
        with_platform(layout.image(&platform, &[&tar.finish()]), &platform)
    });
    let docker = {
        let oci: Value = serde_json::from_slice(&std::fs::read(layout.blob_file(&entries[0])).unwrap()).unwrap();
        let mut config = oci["config"].clone();
        config["mediaType"] = "application/vnd.docker.container.image.v1+json".into();
        let mut layer = oci["layers"][0].clone();
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar".into();
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": docker, "config": config, "layers": [layer],
        });
        layout.document(docker, &manifest)
    };
    layout.index(&[with_name(layout.nested(&entries), "all"), with_name(docker, "docker")]);
    layout
}

/// Brings a blob of a layout into the cache, as it comes over a network.
fn copy(layout: &Layout, cache: &Cache, descriptor: &Value) -> Descriptor {
    let content = std::fs::read(layout.blob_file(descriptor)).unwrap();
    let media_type = MediaType::from(descriptor["mediaType"].as_str().unwrap());
    let descriptor = Descriptor::new(media_type, digest_of(descriptor), descriptor["size"].as_u64().unwrap());
    if !cache.contains(&descriptor) {
        let mut partial = begin(cache, &descriptor);
        content.chunks(100).for_each(|piece| partial.append(piece).unwrap());
        partial.commit().unwrap();
    }
    descriptor
}

fn copy_image(layout: &Layout, cache: &Cache, manifest: &Value) -> Descriptor {
    let parsed: Value = serde_json::from_slice(&std::fs::read(layout.blob_file(manifest)).unwrap()).unwrap();
    copy(layout, cache, &parsed["config"]);
    parsed["layers"].as_array().unwrap().iter().for_each(|layer| drop(copy(layout, cache, layer)));
    copy(layout, cache, manifest)
}

const MULTI: &str = "docker.io/library/debian:bookworm";
const DOCKER: &str = "localhost:5000/team/image:v1";
const SINGLE: &str = "quay.io/team/image_of-one.platform:v1.2-3";

/// A cache with the host's image of an index, without the other platform's, and an image of Docker's types by digest.
fn fetched() -> (Layout, Scratch, Descriptor, String) {
    let layout = original();
    let scratch = Scratch::new();
    let entries: Value = serde_json::from_slice(&std::fs::read(layout.path().join("index.json")).unwrap()).unwrap();
    let [all, docker] = [&entries["manifests"][0], &entries["manifests"][1]];
    let index: Value = serde_json::from_slice(&std::fs::read(layout.blob_file(all)).unwrap()).unwrap();
    let manifest = copy_image(&layout, &scratch.cache, &index["manifests"][0]);
    scratch.cache.name_image(SINGLE, &manifest).unwrap();
    scratch.cache.name_image(MULTI, &copy(&layout, &scratch.cache, all)).unwrap();
    let docker = copy_image(&layout, &scratch.cache, docker);
    scratch.cache.name_image(DOCKER, &docker).unwrap();
    let pinned = format!("quay.io/team/image@{}", manifest.digest);
    scratch.cache.name_image(&pinned, &manifest).unwrap();
    (layout, scratch, manifest, pinned)
}

#[test]
fn skopeo_reads_the_cache() {
    if !has("skopeo", "skopeo_reads_the_cache") {
        return;
    }
    let (_layout, scratch, manifest, pinned) = fetched();
    let path = scratch.path().to_str().unwrap();
    let raw = run("skopeo", &["inspect", "--raw", &format!("oci:{path}:{MULTI}")]);
    assert_eq!(Digest::sha256(&raw), scratch.cache.image(MULTI).unwrap().unwrap().digest);
    for name in [MULTI, SINGLE, &pinned] {
        let source = format!("oci:{path}:{name}");
        let inspected: Value = serde_json::from_slice(&run("skopeo", &["inspect", &source])).unwrap();
        assert_eq!(inspected["Layers"].as_array().unwrap().len(), 1, "{name}");
        // What skopeo takes out of the cache is what we take out of it.
        let copied = scratch.beside("copied");
        let target = format!("oci:{}:copy", copied.display());
        run("skopeo", &["--insecure-policy", "copy", "--preserve-digests", &source, &target]);
        let (ours, theirs) = (open(&source).unwrap(), open(&target).unwrap());
        assert_eq!(ours.manifest_digest(), theirs.manifest_digest(), "{name}");
        assert_eq!(contents(&ours), contents(&theirs));
        std::fs::remove_dir_all(copied).unwrap();
    }
    assert_eq!(open(&format!("oci:{path}:{MULTI}")).unwrap().manifest_digest(), Some(&manifest.digest));
}

#[test]
fn umoci_reads_the_cache() {
    if !has("umoci", "umoci_reads_the_cache") {
        return;
    }
    let (_layout, scratch, _, pinned) = fetched();
    let path = scratch.path().to_str().unwrap();
    let listed = String::from_utf8(run("umoci", &["ls", "--layout", path])).unwrap();
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, [MULTI, DOCKER, &pinned, SINGLE]);
    let bundle = scratch.beside("bundle");
    let image = format!("{path}:{SINGLE}");
    run("umoci", &["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(bundle.join("rootfs/platform")).unwrap(), host());
    // An empty cache is a layout too.
    let empty = Scratch::new();
    assert_eq!(run("umoci", &["ls", "--layout", empty.path().to_str().unwrap()]), b"");
}

#[test]
fn what_skopeo_puts_into_the_cache_is_kept() {
    if !has("skopeo", "what_skopeo_puts_into_the_cache_is_kept") {
        return;
    }
    let (layout, scratch, ..) = fetched();
    let path = scratch.path().to_str().unwrap();
    let from = format!("oci:{}:all", layout.path().display());
    for name in ["theirs", "docker.io/library/debian:bookworm"] {
        run(
            "skopeo",
            &["--insecure-policy", "copy", "--all", "--preserve-digests", &from, &format!("oci:{path}:{name}")],
        );
    }
    let before = scratch.files();
    assert_eq!(scratch.cache.prune(false, false, &mut || {}).unwrap().blobs, 0);
    assert_eq!(scratch.files(), before);
    let usage = scratch.cache.usage().unwrap();
    assert!(usage.images.iter().all(|image| image.complete), "{usage:?}");
    assert_eq!(scratch.cache.verify(&mut |_, _| {}).unwrap().damaged, []);
    let options = OpenOptions { platform: Some(foreign().parse().unwrap()), ..OpenOptions::default() };
    let source = Source::parse(format!("oci:{path}:theirs")).unwrap();
    contents(&source.open(&options).unwrap());
}
