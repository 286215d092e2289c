//! Hostile documents, as a layout brings them.

use crate::support::*;
use banger_oci::{Error, ErrorKind, limits};
use serde_json::{Value, json};

/// A layout whose only entry is this document.
fn layout_of(media_type: &str, document: &[u8]) -> Layout {
    let layout = Layout::new();
    layout.index(&[layout.blob(media_type, document)]);
    layout
}

#[test]
fn hostile_manifests_and_indexes() {
    let layer = json!({ "mediaType": LAYER, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 });
    let config = json!({ "mediaType": CONFIG, "digest": format!("sha256:{}", "1".repeat(64)), "size": 2 });
    let mut bad = layer.clone();
    let with_digest = |digest: &str| {
        let mut layer = layer.clone();
        layer["digest"] = json!(digest);
        json!({ "schemaVersion": 2, "config": config, "layers": [layer] })
    };
    bad["size"] = json!(-1);
    let negative = json!({ "schemaVersion": 2, "config": config, "layers": [bad] });
    let both = json!({ "schemaVersion": 2, "config": config, "layers": [layer], "manifests": [] });
    let schema_1 = json!({ "schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [{ "blobSum": "x" }] });
    let chart = json!({ "schemaVersion": 2, "layers": [], "config":
        { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": config["digest"], "size": 2 } });
    let many = json!({ "schemaVersion": 2, "config": config, "layers": vec![&layer; limits::LAYERS + 1] });
    let manifest = |text: &str| text.replace("CONFIG", &config.to_string()).replace("LAYER", &layer.to_string());

    let malformed = ErrorKind::Integrity;
    let unsupported = ErrorKind::Unsupported;
    let cases: Vec<(&str, &str, String, ErrorKind, &str)> = vec![
        ("both", MANIFEST, both.to_string(), malformed, "both an index and a manifest"),
        ("both, as index", INDEX, both.to_string(), malformed, "both an index and a manifest"),
        ("schema 1", MANIFEST, schema_1.to_string(), unsupported, "schema 1"),
        (
            "schema 1 by type",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            schema_1.to_string(),
            unsupported,
            "schema 1",
        ),
        ("index as manifest", MANIFEST, json!({ "manifests": [] }).to_string(), malformed, "fields of an index"),
        ("manifest as index", INDEX, with_digest("sha256:0").to_string(), malformed, "fields of a manifest"),
        (
            "manifest that calls itself an index",
            MANIFEST,
            manifest(&format!(r#"{{"mediaType":"{INDEX}","config":CONFIG,"layers":[LAYER]}}"#)),
            malformed,
            "calls itself",
        ),
        ("unknown type", "text/html", "<html>".into(), unsupported, "not a container image"),
        ("not JSON", MANIFEST, "<html>".into(), malformed, "cannot be understood"),
        ("empty", MANIFEST, String::new(), malformed, "cannot be understood"),
        ("deep", MANIFEST, r#"{"a":"#.repeat(200_000), malformed, "cannot be understood"),
        ("helm chart", MANIFEST, chart.to_string(), unsupported, "not a container image"),
        ("513 layers", MANIFEST, many.to_string(), malformed, "513 layers"),
        ("negative size", MANIFEST, negative.to_string(), malformed, "said to have -1 bytes"),
        ("traversal", MANIFEST, with_digest("sha256:../../../etc/passwd").to_string(), malformed, "bad digest"),
        ("traversal in algorithm", MANIFEST, with_digest("../x:00").to_string(), malformed, "bad digest"),
        (
            "upper case",
            MANIFEST,
            with_digest(&format!("sha256:{}", "A".repeat(64))).to_string(),
            malformed,
            "bad digest",
        ),
        (
            "md5",
            MANIFEST,
            with_digest("md5:d41d8cd98f00b204e9800998ecf8427e").to_string(),
            malformed,
            "\"md5\" is not accepted",
        ),
        (
            "two lists of layers",
            MANIFEST,
            manifest(r#"{"config":CONFIG,"layers":[],"layers":[LAYER]}"#),
            malformed,
            "\"layers\" is spelt",
        ),
        (
            "a second spelling",
            MANIFEST,
            manifest(r#"{"config":CONFIG,"layers":[],"Layers":[LAYER]}"#),
            malformed,
            "\"Layers\" is spelt",
        ),
    ];
    for (case, media_type, document, kind, text) in cases {
        let layout = layout_of(media_type, document.as_bytes());
        let error = layout.open("").expect_err(case);
        assert_eq!(error.kind(), kind, "{case}: {}", chain(&error));
        assert!(chain(&error).contains(text), "{case}: {}", chain(&error));
    }
}

#[test]
fn an_index_of_a_hundred_thousand_entries_is_refused() {
    let entry = json!({ "mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 });
    let index = json!({ "schemaVersion": 2, "manifests": vec![entry; 100_000] }).to_string();
    let layout = layout_of(INDEX, index.as_bytes());
    let error = layout.open("").unwrap_err();
    assert!(matches!(error, Error::Limit { limit: limits::MANIFEST_BYTES, .. }), "{error}");

    layout.write("index.json", index.as_bytes());
    let error = layout.open("").unwrap_err();
    assert!(matches!(error, Error::Limit { limit: limits::MANIFEST_BYTES, .. }), "{error}");
}

#[test]
fn an_index_of_many_entries_without_a_platform_costs_few_reads() {
    let layout = Layout::new();
    let platform = with_platform(layout.image(foreign(), &[b"x"]), foreign());
    let entries: Vec<Value> = (0..100).map(|n: u32| layout.image(foreign(), &[&n.to_le_bytes()])).collect();
    layout.index(&[layout.nested(&[&[platform], &entries[..]].concat())]);
    let error = layout.open("").unwrap_err();
    assert!(error.to_string().contains("more than 64 documents"), "{error}");

    let indexes: Vec<Value> = entries.iter().map(|entry| layout.nested(std::slice::from_ref(entry))).collect();
    layout.index(&[layout.nested(&indexes)]);
    let error = layout.open("").unwrap_err();
    assert!(error.to_string().contains("more than 64 documents"), "{error}");
}

#[test]
fn an_index_nested_in_itself_cannot_exist_and_is_not_followed() {
    // Its digest would have to be in itself; so one that claims it does not have the digest it is found under.
    let digest = format!("sha256:{}", "7".repeat(64));
    let layout = Layout::new();
    let mut entry = json!({ "mediaType": INDEX, "digest": digest, "size": 0 });
    let size = loop {
        let text = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string();
        if entry["size"] == json!(text.len()) {
            layout.write(&format!("blobs/sha256/{}", "7".repeat(64)), text.as_bytes());
            break text.len();
        }
        entry["size"] = json!(text.len());
    };
    assert!(size > 100);
    layout.index(&[entry]);
    let error = layout.open("").unwrap_err();
    assert!(matches!(&error, Error::Integrity { .. }), "{error}");

    // The layout's own index.json has no digest, and may be a link to a blob that it names.
    let layout = Layout::new();
    let chain: Value = (0..4).fold(layout.image(&host(), &[b"x"]), |inner, _| layout.nested(&[inner]));
    layout.index(&[chain]);
    assert_eq!(layout.open("").unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn diff_ids_and_layers_pair_up() {
    let layout = Layout::new();
    let layer = layout.blob(LAYER, b"x");
    let diff_id = layer["digest"].clone();
    for (diff_ids, layers) in [(vec![&diff_id; 2], 1), (vec![], 1), (vec![&diff_id], 0), (vec![&diff_id], 2)] {
        let config = layout.document(CONFIG, &json!({ "rootfs": { "type": "layers", "diff_ids": diff_ids } }));
        layout.index(&[layout.manifest(config, &vec![layer.clone(); layers])]);
        let error = layout.open("").unwrap_err();
        assert!(
            matches!(&error, Error::DiffIds { layers: l, diff_ids: d, .. } if *l == layers && *d == diff_ids.len()),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
}

#[test]
fn documents_over_their_limit_are_not_read() {
    let layout = Layout::new();
    let large = vec![b' '; 9 << 20];
    let blob = layout.blob(CONFIG, &large);
    layout.index(&[layout.manifest(blob, &[])]);
    let error = layout.open("").unwrap_err();
    assert!(matches!(&error, Error::Limit { limit: limits::CONFIG_BYTES, .. }), "{error}");

    layout.index(&[layout.blob(MANIFEST, &large)]);
    let error = layout.open("").unwrap_err();
    assert!(matches!(&error, Error::Limit { limit: limits::MANIFEST_BYTES, .. }), "{error}");
}

#[test]
fn content_kept_elsewhere_is_never_fetched() {
    let layout = Layout::new();
    let config = layout.document(CONFIG, &json!({ "rootfs": { "diff_ids": [] } }));
    let mut urls = layout.blob(LAYER, b"x");
    urls["urls"] = json!(["http://169.254.169.254/latest/meta-data"]);
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    for (layer, text) in [(urls, "never done"), (layout.blob(foreign, b"x"), "not distributable")] {
        layout.index(&[layout.manifest(config.clone(), &[layer])]);
        let error = layout.open("").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn docker_media_types_are_accepted() {
    let layout = Layout::new();
    let layer = layout.blob("application/vnd.docker.image.rootfs.diff.tar.gzip", &gzip(b"x"));
    let config = layout.document(
        "application/vnd.docker.container.image.v1+json",
        &json!({ "os": "linux", "architecture": "amd64", "rootfs":
            { "type": "layers", "diff_ids": [banger_oci::Digest::sha256(b"x").to_string()] } }),
    );
    let manifest_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer] });
    let entry = with_platform(layout.document(manifest_type, &manifest), "linux/amd64");
    let list_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list = json!({ "schemaVersion": 2, "mediaType": list_type, "manifests": [entry] });
    layout.index(&[layout.document(list_type, &list)]);
    let image = layout.open_for("", "linux/amd64").unwrap();
    assert_eq!(contents(&image), [gzip(b"x")]);
    assert_eq!(image.warnings(), []);
}
