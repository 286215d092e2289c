//! What skopeo writes is read back as it was.

use crate::support::*;
use banger_oci::{Digest, Image, OpenOptions, Platform, Source};
use std::io::Read;
use std::path::Path;
use std::process::Command;

/// Whether a program is there that judges.
pub(crate) fn has(judge: &str, test: &str) -> bool {
    let there = Command::new(judge).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        missing(test, judge);
    }
    there
}

/// A test cannot run here. Where judges are required it fails, elsewhere it says that it was skipped.
pub(crate) fn missing(test: &str, what: &str) {
    let required =
        std::env::var_os("CI").is_some() || std::env::var_os("BANGER_JUDGES").is_some_and(|value| value == "required");
    assert!(!required, "{test}: {what} is missing");
    eprintln!("SKIPPED {test}: {what} is missing");
}

/// Runs a judge, which must be content, and gives what it says.
pub(crate) fn run(judge: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(judge).args(arguments).output().unwrap();
    assert!(output.status.success(), "{judge} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn has_skopeo(test: &str) -> bool {
    has("skopeo", test)
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    run("skopeo", &[&["--insecure-policy"], arguments].concat())
}

/// A layout with the image `v1` of two layers, one of them compressed, and a tar archive in each.
fn layout() -> (Layout, [Vec<u8>; 2]) {
    let layers = ["one", "two"].map(|name| {
        let mut tar = Tar::default();
        tar.entry("etc", b'5', "", b"").file(&format!("etc/{name}"), name.repeat(100_000).as_bytes());
        tar.finish()
    });
    let layout = Layout::new();
    let diff_ids = [Digest::sha256(&layers[0]).to_string(), Digest::sha256(&layers[1]).to_string()];
    let platform = Platform::host();
    let config = serde_json::json!({
        "created": "2025-01-01T00:00:00Z", "os": platform.os(), "architecture": platform.architecture(),
        "config": { "Env": ["A=b"], "Cmd": ["/bin/sh"] }, "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let blobs = [layout.blob(LAYER_GZIP, &gzip(&layers[0])), layout.blob(LAYER_GZIP, &gzip(&layers[1]))];
    let manifest = layout.manifest(layout.document(CONFIG, &config), &blobs);
    layout.index(&[with_name(manifest, "v1")]);
    (layout, layers)
}

/// The layers, unpacked where they are compressed, each checked against its diff ID.
fn unpacked(image: &Image) -> Vec<Vec<u8>> {
    let unpack = |(bytes, layer): (Vec<u8>, &banger_oci::Layer)| {
        let plain = match banger_oci::Compression::detect(&bytes) {
            banger_oci::Compression::Gzip => {
                let mut plain = Vec::new();
                flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
                plain
            }
            _ => bytes,
        };
        assert_eq!(layer.diff_id(), Some(&Digest::sha256(&plain)));
        plain
    };
    contents(image).into_iter().zip(image.layers()).map(unpack).collect()
}

fn in_directory(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

#[test]
fn an_oci_archive_by_skopeo() {
    if !has_skopeo("an_oci_archive_by_skopeo") {
        return;
    }
    let (layout, layers) = layout();
    let from = format!("oci:{}:v1", layout.path().display());
    let scratch = tempfile::tempdir().unwrap();
    let to = format!("oci-archive:{}:v2", in_directory(scratch.path(), "image.tar"));
    skopeo(&["copy", &from, &to]);

    let original = open(&from).unwrap();
    let archived = open(&to).unwrap();
    assert_eq!(archived.name(), Some("v2"));
    assert_eq!(archived.manifest_digest(), original.manifest_digest());
    assert_eq!(archived.config(), original.config());
    assert_eq!(contents(&archived), contents(&original));
    assert_eq!(unpacked(&archived), layers);
    assert_eq!(archived.warnings(), []);

    let raw = skopeo(&["inspect", "--raw", &to]);
    assert_eq!(archived.manifest_digest(), Some(&Digest::sha256(&raw)));
    assert_eq!(archived.config().unwrap().raw(), skopeo(&["inspect", "--raw", "--config", &to]));
}

#[test]
fn a_docker_archive_by_skopeo() {
    if !has_skopeo("a_docker_archive_by_skopeo") {
        return;
    }
    let (layout, layers) = layout();
    let from = format!("oci:{}:v1", layout.path().display());
    let scratch = tempfile::tempdir().unwrap();
    let file = in_directory(scratch.path(), "image.tar");
    let to = format!("docker-archive:{file}:registry.example/team/image:v2");
    skopeo(&["copy", &from, &to]);

    let original = open(&from).unwrap();
    for source in [to, format!("docker-archive:{file}")] {
        let archived = open(&source).unwrap();
        assert_eq!(archived.name(), Some("registry.example/team/image:v2"));
        assert_eq!(unpacked(&archived), layers);
        assert_eq!(archived.platform(), original.platform());
        assert_eq!(archived.created(), original.created());
        assert_eq!(archived.config().unwrap().runtime(), original.config().unwrap().runtime());
        assert_eq!(archived.warnings(), []);
    }
}

#[test]
fn a_layout_of_several_platforms_by_skopeo() {
    if !has_skopeo("a_layout_of_several_platforms_by_skopeo") {
        return;
    }
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    let layout = Layout::new();
    let entries = platforms.map(|platform| with_platform(layout.image(platform, &[platform.as_bytes()]), platform));
    layout.index(&[with_name(layout.nested(&entries), "all")]);
    let from = format!("oci:{}:all", layout.path().display());
    let scratch = tempfile::tempdir().unwrap();
    let to = format!("oci:{}:all", in_directory(scratch.path(), "copy"));
    skopeo(&["copy", "--all", "--preserve-digests", &from, &to]);
    for (platform, entry) in platforms.iter().zip(&entries) {
        let options = OpenOptions { platform: Some(Platform::parse(platform).unwrap()), ..OpenOptions::default() };
        for source in [&from, &to] {
            let image = Source::parse(source).unwrap().open(&options).unwrap();
            assert_eq!(image.manifest_digest(), Some(&digest_of(entry)), "{source} {platform}");
            assert_eq!(contents(&image), [platform.as_bytes()]);
        }
    }
}

#[test]
fn skopeo_chooses_the_same_image() {
    if !has_skopeo("skopeo_chooses_the_same_image") {
        return;
    }
    let layout = Layout::new();
    let platforms = ["linux/amd64", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/s390x"];
    let entries = platforms.map(|platform| with_platform(layout.image(platform, &[]), platform));
    layout.index(&[layout.nested(&entries)]);
    let source = format!("oci:{}", layout.path().display());
    for (os, architecture, variant) in [
        ("linux", "amd64", None),
        ("linux", "arm64", None),
        ("linux", "arm64", Some("v8")),
        ("linux", "arm", Some("v7")),
        ("linux", "arm", Some("v6")),
        ("linux", "arm", Some("v5")),
        ("linux", "s390x", None),
    ] {
        let mut arguments = vec!["--override-os", os, "--override-arch", architecture];
        arguments.extend(variant.iter().flat_map(|variant| ["--override-variant", variant]));
        arguments.extend(["inspect", "--config", "--raw", &source]);
        let config = skopeo(&arguments);
        let platform = Some(Platform::new(os, architecture, variant));
        let image = Source::parse(&source).unwrap().open(&OpenOptions { platform, ..OpenOptions::default() }).unwrap();
        assert_eq!(image.config().unwrap().raw(), config, "{os}/{architecture} {variant:?}");
    }
}
