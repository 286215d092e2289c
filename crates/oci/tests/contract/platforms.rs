//! Choosing an image by platform.

use crate::support::*;
use banger_oci::{Error, ErrorKind, Warning};
use serde_json::{Value, json};

/// An index as BuildKit writes it: an image and an attestation for each platform.
fn buildkit_index(layout: &Layout, platforms: &[&str]) -> Value {
    let mut entries = Vec::new();
    for platform in platforms {
        let image = with_platform(layout.image(platform, &[platform.as_bytes()]), platform);
        let provenance = layout.blob("application/vnd.in-toto+json", b"{}");
        let config = layout.document(CONFIG, &json!({ "architecture": "unknown", "os": "unknown" }));
        let mut attestation = with_platform(layout.manifest(config, &[provenance]), "unknown/unknown");
        attestation["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"],
        });
        entries.extend([image, attestation]);
    }
    layout.nested(&entries)
}

fn opened(layout: &Layout, platform: &str) -> Result<String, Error> {
    let image = layout.open_for("", platform)?;
    Ok(String::from_utf8(contents(&image).concat()).unwrap())
}

#[test]
fn an_image_is_chosen_from_an_index() {
    let layout = Layout::new();
    let index =
        buildkit_index(&layout, &["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/386"]);
    layout.index(&[with_name(index.clone(), "latest")]);
    for (wanted, expected) in [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64/v8"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
    ] {
        assert_eq!(opened(&layout, wanted).unwrap(), expected, "{wanted}");
    }

    let error = opened(&layout, "linux/riscv64").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let place = layout.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "index {} in oci:{place} has no image for linux/riscv64; \
             there are: linux/386, linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64",
            digest_of(&index)
        )
    );
}

#[test]
fn the_hosts_platform_is_the_default() {
    let layout = Layout::new();
    layout.index(&[buildkit_index(&layout, &[foreign(), &host()])]);
    assert_eq!(contents(&layout.open("").unwrap()).concat(), host().as_bytes());

    let layout = Layout::new();
    layout.index(&[buildkit_index(&layout, &[foreign()])]);
    let error = layout.open("").unwrap_err();
    assert!(matches!(&error, Error::NoPlatform { available, .. } if available.len() == 1), "{error}");
}

#[test]
fn entries_of_index_json_are_chosen_from_as_from_an_index() {
    let layout = Layout::new();
    let entry = |platform: &str| with_platform(layout.image(platform, &[platform.as_bytes()]), platform);
    let named = |platform: &str| {
        let mut entry = entry(platform);
        entry["annotations"] = json!({ REF_NAME: "latest" });
        entry
    };
    for entries in [[entry("linux/amd64"), entry("linux/arm64")], [named("linux/amd64"), named("linux/arm64")]] {
        layout.index(&entries);
        assert_eq!(opened(&layout, "linux/arm64").unwrap(), "linux/arm64");
        assert!(matches!(opened(&layout, "linux/s390x"), Err(Error::NoPlatform { .. })));
    }
    assert_eq!(contents(&layout.open_for(":latest", "linux/amd64").unwrap()), [b"linux/amd64"]);

    // Another name is another image.
    layout.index(&[entry("linux/amd64"), named("linux/arm64")]);
    assert!(matches!(opened(&layout, "linux/arm64"), Err(Error::SeveralImages { .. })));
}

#[test]
fn an_image_named_directly_is_taken_unless_a_platform_was_asked_for() {
    let layout = Layout::new();
    layout.index(&[layout.image(foreign(), &[b"x"])]);
    let image = layout.open("").unwrap();
    assert!(matches!(image.warnings(), [Warning::Platform { .. }]), "{:?}", image.warnings());
    assert!(opened(&layout, foreign()).is_ok());
    let error = layout.open_for("", &host()).unwrap_err();
    assert!(error.to_string().ends_with(&format!("has no image for {}; there are: {}", host(), foreign())), "{error}");

    // Inside an index as well, when it is named by its digest.
    let inside = with_platform(layout.image(foreign(), &[b"x"]), foreign());
    layout.index(&[layout.nested(&[inside.clone(), with_platform(layout.image(&host(), &[b"y"]), &host())])]);
    assert_eq!(contents(&layout.open(&format!("@{}", digest_of(&inside))).unwrap()), [b"x"]);
}

#[test]
fn an_entry_without_a_platform_is_decided_by_its_config() {
    let layout = Layout::new();
    let arm = layout.image("linux/arm64", &[b"arm"]);
    let intel = layout.image("linux/amd64", &[b"intel"]);
    let mut empty = layout.image("linux/s390x", &[b"mainframe"]);
    empty["platform"] = json!({ "os": "", "architecture": "" });
    layout.index(&[layout.nested(&[arm, intel, empty])]);
    assert_eq!(opened(&layout, "linux/amd64").unwrap(), "intel");
    assert_eq!(opened(&layout, "linux/arm64").unwrap(), "arm");
    assert_eq!(opened(&layout, "linux/s390x").unwrap(), "mainframe");
    let error = opened(&layout, "linux/386").unwrap_err();
    assert!(matches!(&error, Error::NoPlatform { available, .. } if available.len() == 3), "{error}");
}

#[test]
fn indexes_inside_indexes_are_searched_to_the_limit() {
    let layout = Layout::new();
    let image = with_platform(layout.image("linux/amd64", &[b"x"]), "linux/amd64");
    let other = with_platform(layout.image("linux/arm64", &[b"y"]), "linux/arm64");
    let second = layout.nested(&[other.clone(), layout.nested(std::slice::from_ref(&image))]);
    layout.index(std::slice::from_ref(&second));
    assert_eq!(opened(&layout, "linux/amd64").unwrap(), "x");
    assert_eq!(contents(&layout.open(&format!("@{}", digest_of(&image))).unwrap()), [b"x"]);

    layout.index(&[layout.nested(&[second])]);
    let error = opened(&layout, "linux/amd64").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("lies inside more than 2 other indexes"), "{error}");
    let error = layout.open(&format!("@{}", digest_of(&image))).unwrap_err();
    assert!(error.to_string().contains("lies inside"), "{error}");
}

#[test]
fn an_index_inside_for_another_platform_is_not_opened() {
    let layout = Layout::new();
    let mut lost = with_platform(layout.nested(&[]), "linux/arm64");
    lost["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    let image = with_platform(layout.image("linux/amd64", &[b"x"]), "linux/amd64");
    layout.index(&[layout.nested(&[lost, image])]);
    assert_eq!(opened(&layout, "linux/amd64").unwrap(), "x");
    assert!(matches!(opened(&layout, "linux/arm64"), Err(Error::Missing { .. })));
}
