//! Docker archives in their forms: old, new, and those of other tools.

use crate::support::*;
use banger_oci::{Digest, Error, ErrorKind, Image, Mismatch, OpenOptions, Platform, Source, Warning};
use serde_json::{Value, json};

/// A config for the host, of these layers.
fn config(layers: &[&[u8]]) -> Vec<u8> {
    config_for(&Platform::host(), layers)
}

fn config_for(platform: &Platform, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    json!({
        "os": platform.os(), "architecture": platform.architecture(), "created": "2024-02-29T12:00:00.5Z",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string()
    .into_bytes()
}

fn manifest(tar: &mut Tar, entries: &[Value]) {
    tar.file("manifest.json", Value::from(entries.to_vec()).to_string().as_bytes());
}

fn open_archive(tar: &Tar, image: &str) -> Result<Image, Error> {
    let file = tar.save();
    open(&format!("docker-archive:{}{image}", file.path().display()))
}

/// As Docker before version 25 wrote it: a directory for each layer, whose second occurrence is a link.
fn old_form() -> Tar {
    let config = config(&[b"base", b"top", b"base"]);
    let id = Digest::sha256(&config).hex();
    let mut tar = Tar::default();
    tar.entry("aa/", b'5', "", b"").file("aa/VERSION", b"1.0").file("aa/json", b"{}").file("aa/layer.tar", b"base");
    tar.entry("bb/", b'5', "", b"").file("bb/VERSION", b"1.0").file("bb/json", b"{}").file("bb/layer.tar", b"top");
    tar.entry("cc/", b'5', "", b"").file("cc/VERSION", b"1.0").symlink("cc/layer.tar", "../aa/layer.tar");
    tar.file(&format!("{id}.json"), &config);
    let layers = ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"];
    manifest(&mut tar, &[json!({ "Config": format!("{id}.json"), "RepoTags": ["debian:12"], "Layers": layers })]);
    tar.file("repositories", br#"{"debian":{"12":"cc"}}"#);
    tar
}

/// As newer Docker writes it: a layout with a `manifest.json`.
fn new_form() -> Tar {
    let layout = Layout::new();
    let layers: [&[u8]; 2] = [b"base", b"top"];
    let config = layout.blob(CONFIG, &config(&layers));
    let layers = layers.map(|layer| layout.blob(LAYER, layer));
    let path = |descriptor: &Value| digest_of(descriptor).blob_path();
    let entry = json!({
        "Config": path(&config), "RepoTags": ["debian:12"], "Layers": [path(&layers[0]), path(&layers[1])],
        "LayerSources": { (layers[0]["digest"].as_str().unwrap()): layers[0] },
    });
    layout.index(&[with_name(layout.manifest(config, &layers), "12")]);
    let mut tar = layout.archive();
    manifest(&mut tar, &[entry]);
    tar
}

#[test]
fn the_old_form_with_links_for_layers_that_occur_twice() {
    let image = open_archive(&old_form(), "").unwrap();
    assert_eq!(contents(&image), [&b"base"[..], b"top", b"base"]);
    let diff_ids: Vec<_> = image.layers().iter().map(|layer| *layer.diff_id().unwrap()).collect();
    assert_eq!(diff_ids, [b"base".as_slice(), b"top", b"base"].map(Digest::sha256));
    assert!(image.layers().iter().all(|layer| layer.digest().is_none() && layer.media_type().is_none()));
    assert_eq!(image.layers()[1].size(), Some(3));
    assert_eq!(image.name(), Some("debian:12"));
    assert_eq!(image.created().unwrap().nanoseconds, 500_000_000);
    assert_eq!(image.warnings(), []);
}

#[test]
fn the_new_form_is_a_docker_archive_and_a_layout() {
    let file = new_form().save();
    let docker = open(&format!("docker-archive:{}:debian:12", file.path().display())).unwrap();
    assert_eq!(contents(&docker), [&b"base"[..], b"top"]);
    assert_eq!(docker.layers()[0].digest(), Some(&Digest::sha256(b"base")));
    let layout = open(&format!("oci-archive:{}:12", file.path().display())).unwrap();
    assert_eq!(contents(&layout), contents(&docker));
    assert_eq!(layout.config().unwrap().digest(), docker.config().unwrap().digest());
    assert_ne!(layout.manifest_digest(), docker.manifest_digest());
}

#[test]
fn compressed_layers_come_as_they_are() {
    let config = config(&[b"base"]);
    let name = Digest::sha256(&config).to_string();
    let mut tar = Tar::default();
    tar.file(&name, &config).file("0123.tar.gz", &gzip(b"base"));
    manifest(&mut tar, &[json!({ "Config": name, "RepoTags": null, "Layers": ["0123.tar.gz"] })]);
    let image = open_archive(&tar, "").unwrap();
    assert_eq!(contents(&image), [gzip(b"base")]);
    assert_eq!(image.layers()[0].diff_id(), Some(&Digest::sha256(b"base")));
}

#[test]
fn the_digest_stands_for_config_and_layers_alone() {
    let layers: [&[u8]; 1] = [b"base"];
    let build = |layer: &[u8], name: &str| {
        let mut tar = Tar::default();
        manifest(&mut tar, &[json!({ "Config": "config.json", "RepoTags": [name], "Layers": ["x"] })]);
        tar.file("x", layer).file("config.json", &config(&layers));
        *open_archive(&tar, "").unwrap().manifest_digest().unwrap()
    };
    let digest = build(b"base", "a:1");
    assert_eq!(build(&gzip(b"base"), "b:2"), digest);
    let text = format!("docker-archive\n{}\n{}\n", Digest::sha256(&config(&layers)), Digest::sha256(b"base"));
    assert_eq!(digest, Digest::sha256(text.as_bytes()));
}

#[test]
fn images_are_chosen_by_name_place_and_id() {
    let mut tar = Tar::default();
    let (one, two) = (config(&[b"one"]), config(&[b"two"]));
    tar.file("one.json", &one).file("two.json", &two).file("1.tar", b"one").file("2.tar", b"two");
    manifest(
        &mut tar,
        &[
            json!({ "Config": "one.json", "RepoTags": ["debian:12", "debian:latest"], "Layers": ["1.tar"] }),
            json!({ "Config": "two.json", "RepoTags": ["quay.io/a/b:1"], "Layers": ["2.tar"] }),
        ],
    );
    let id = Digest::sha256(&two);
    for (image, expected) in [
        (":debian", "one"),
        (":debian:12", "one"),
        (":docker.io/library/debian:12", "one"),
        (":@0", "one"),
        (":quay.io/a/b:1", "two"),
        (":@1", "two"),
        (&format!("@{id}"), "two"),
    ] {
        assert_eq!(contents(&open_archive(&tar, image).unwrap()), [expected.as_bytes()], "{image}");
    }
    for image in [":alpine", ":quay.io/a/b", ":@2", &format!(":debian@{id}")] {
        let error = open_archive(&tar, image).unwrap_err();
        assert!(matches!(&error, Error::NoImage { images, .. } if images.len() == 3), "{image}: {error}");
    }
    let error = open_archive(&tar, "").unwrap_err();
    assert!(error.to_string().ends_with("choose one of: debian:12, debian:latest, quay.io/a/b:1"), "{error}");
    assert_eq!(open_archive(&tar, ":Debian").unwrap_err().kind(), ErrorKind::Usage);

    // One image that is listed once for each of its names.
    let entry = |tag: &str| json!({ "Config": "one.json", "RepoTags": [tag], "Layers": ["1.tar"] });
    let mut tar = Tar::default();
    tar.file("one.json", &one).file("1.tar", b"one");
    manifest(&mut tar, &[entry("a:1"), entry("a:2")]);
    assert!(open_archive(&tar, "").is_ok());
}

#[test]
fn a_tampered_config_is_detected_by_its_name() {
    let good = config(&[b"base"]);
    let digest = Digest::sha256(&good);
    let other = String::from_utf8(good).unwrap().replace("2024", "2023").into_bytes();
    for name in [format!("{}.json", digest.hex()), digest.to_string(), digest.blob_path()] {
        let mut tar = Tar::default();
        tar.file(&name, &other).file("1.tar", b"base");
        manifest(&mut tar, &[json!({ "Config": name, "Layers": ["1.tar"] })]);
        let error = open_archive(&tar, "").unwrap_err();
        assert!(matches!(&error, Error::Integrity { source: Mismatch::Digest { .. }, .. }), "{name}: {error}");
    }
}

#[test]
fn what_is_missing_or_does_not_pair_up() {
    let config = config(&[b"base"]);
    let build = |entry: Value| {
        let mut tar = Tar::default();
        tar.file("config.json", &config).file("1.tar", b"base").entry("dir", b'5', "", b"");
        manifest(&mut tar, &[entry]);
        open_archive(&tar, "").unwrap_err()
    };
    let error = build(json!({ "Config": "config.json", "Layers": ["2.tar"] }));
    assert!(matches!(&error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().starts_with("the layer 2.tar is missing from docker-archive:"), "{error}");
    let error = build(json!({ "Config": "lost.json", "Layers": ["1.tar"] }));
    assert!(error.to_string().starts_with("the config lost.json is missing"), "{error}");
    for layers in [json!([]), json!(null), json!(["1.tar", "1.tar"])] {
        let error = build(json!({ "Config": "config.json", "Layers": layers }));
        assert!(matches!(&error, Error::DiffIds { diff_ids: 1, .. }), "{error}");
    }
    for name in ["../../etc/passwd", "/etc/passwd"] {
        let error = build(json!({ "Config": name, "Layers": ["1.tar"] }));
        assert!(matches!(&error, Error::Missing { .. }), "{name}: {error}");
    }
    let error = build(json!({ "Config": "dir", "Layers": ["1.tar"] }));
    assert!(error.to_string().ends_with("it is neither a file nor a link"), "{error}");
    let error = build(json!({ "Config": "config.json", "Layers": vec!["1.tar"; 513] }));
    assert!(matches!(&error, Error::Limit { unit: "layers", .. }), "{error}");
    for entry in [json!({}), json!("x"), json!({ "Config": 1, "Layers": [] })] {
        assert!(matches!(build(entry), Error::Json { .. }));
    }
}

#[test]
fn an_archive_without_images_or_of_another_kind() {
    let mut tar = Tar::default();
    manifest(&mut tar, &[]);
    assert!(matches!(open_archive(&tar, ""), Err(Error::Empty { .. })));

    let error = open_archive(&simple().archive(), "").unwrap_err();
    assert!(error.to_string().contains("oci-archive:FILE"), "{error}");

    let mut tar = Tar::default();
    tar.file("x", b"");
    let error = open_archive(&tar, "").unwrap_err();
    assert!(matches!(&error, Error::Missing { .. }), "{error}");

    let mut twice = old_form();
    twice.file("manifest.json", b"[]");
    assert!(open_archive(&twice, "").unwrap_err().to_string().contains("more than once"));
}

#[test]
fn an_image_without_layers_is_valid() {
    // As Docker writes the config of an image `FROM scratch` that adds nothing.
    let mut tar = Tar::default();
    tar.file("config.json", br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers"}}"#);
    manifest(&mut tar, &[json!({ "Config": "config.json", "RepoTags": ["empty:1"], "Layers": null })]);
    assert!(open_archive(&tar, "").unwrap().layers().is_empty());
}

#[test]
fn a_platform_that_was_asked_for_must_fit() {
    let platform = Platform::parse(foreign()).unwrap();
    let mut tar = Tar::default();
    tar.file("config.json", &config_for(&platform, &[]));
    manifest(&mut tar, &[json!({ "Config": "config.json", "Layers": [] })]);
    let file = tar.save();
    let source = Source::parse(format!("docker-archive:{}", file.path().display())).unwrap();
    let open = |platform| source.open(&OpenOptions { platform, ..OpenOptions::default() });
    assert!(matches!(open(None).unwrap().warnings(), [Warning::Platform { .. }]));
    assert_eq!(open(Some(platform)).unwrap().warnings(), []);
    assert!(matches!(open(Some(Platform::host())), Err(Error::NoPlatform { .. })));
}

#[test]
fn a_compressed_archive_is_read() {
    let file = save(&gzip(&old_form().finish()));
    let image = open(&format!("docker-archive:{}:debian:12", file.path().display())).unwrap();
    assert_eq!(contents(&image), [&b"base"[..], b"top", b"base"]);
}
