//! Properties: whatever the bytes, an answer; whatever is well formed, round trips.

use crate::support::*;
use banger_oci::{Algorithm, Config, Digest, ErrorKind, Index, Manifest, Platform, Reference, Source, Timestamp};
use banger_oci::{document, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Text of the characters that the grammars here are made of, so that nearly right input is frequent.
fn grammatical() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9:/@._-]{0,80}",
        "(sha256|sha512|md5|SHA256)?:?[0-9a-fA-F/.]{0,140}",
        "([a-z0-9.:-]{1,12}/)?[a-z0-9._/-]{1,40}(:[A-Za-z0-9._-]{0,130})?(@sha256:[0-9a-f]{63,65})?",
        any::<String>(),
    ]
}

fn digests() -> impl Strategy<Value = Digest> {
    (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(long, content)| Digest::of(if long { Algorithm::Sha512 } else { Algorithm::Sha256 }, &content))
}

/// JSON of any shape, where the fields of the documents are frequent.
fn json_documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        grammatical().prop_map(Value::from),
        digests().prop_map(|digest| Value::from(digest.to_string())),
        prop_oneof![Just(INDEX), Just(MANIFEST), Just(CONFIG), Just(LAYER), Just(LAYER_GZIP)].prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
    ];
    let keys = prop_oneof![
        proptest::sample::select(vec![
            "schemaVersion",
            "mediaType",
            "manifests",
            "layers",
            "config",
            "fsLayers",
            "digest",
            "size",
            "urls",
            "platform",
            "os",
            "architecture",
            "variant",
            "annotations",
            "rootfs",
            "type",
            "diff_ids",
            "created",
            "history",
            "Layers",
            "Config",
            "RepoTags",
            REF_NAME,
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(keys.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every reader of documents, on the same bytes.
fn read_everything(bytes: &[u8]) {
    drop(document::shape(bytes, "the document", None));
    let manifest = Manifest::parse(bytes, "the document", None);
    let index = Index::parse(bytes, "the document", None);
    assert!(manifest.is_err() || index.is_err(), "both a manifest and an index");
    drop(Config::parse(bytes.to_vec(), "the document"));
    for error in [manifest.err(), index.err()].into_iter().flatten() {
        assert!(matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Unsupported), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn digests_round_trip(digest in digests()) {
        let text = digest.to_string();
        prop_assert_eq!(text.parse::<Digest>(), Ok(digest));
        prop_assert!(digest.blob_path().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'/'));
    }

    #[test]
    fn a_digest_is_what_the_grammar_says(text in grammatical()) {
        let parsed = text.parse::<Digest>();
        let right = [("sha256:", 64), ("sha512:", 128)].iter().any(|(prefix, digits)| {
            text.strip_prefix(prefix).is_some_and(|hex| {
                hex.len() == *digits && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        });
        prop_assert_eq!(parsed.is_ok(), right);
        if let Ok(digest) = parsed {
            prop_assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn references_round_trip(text in grammatical()) {
        if let Ok(reference) = Reference::parse(&text) {
            let expanded = reference.to_string();
            prop_assert_eq!(Reference::parse(&expanded), Ok(reference.clone()));
            prop_assert!(reference.name().len() <= limits::REFERENCE_NAME);
            prop_assert!(reference.tag().is_some() || reference.digest().is_some());
            prop_assert!(reference.path().split('/').all(|c| !c.is_empty() && c != "." && c != ".."));
        }
    }

    #[test]
    fn well_formed_references_are_accepted(
        domain in prop_oneof![Just(String::new()), "[a-z][a-z0-9]{0,8}\\.[a-z]{2,5}(:[0-9]{1,5})?/", Just("localhost/".to_owned())],
        path in "[a-z0-9]{1,9}((_|__|-{1,3})[a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,9}){0,3}",
        tag in prop_oneof![Just(String::new()), ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"],
        digest in proptest::option::of(digests()),
    ) {
        let text = format!("{domain}{path}{tag}{}", digest.map(|d| format!("@{d}")).unwrap_or_default());
        let reference = Reference::parse(&text).unwrap();
        prop_assert_eq!(reference.digest(), digest.as_ref());
        prop_assert!(reference.path().ends_with(path.rsplit('/').next().unwrap()));
    }

    #[test]
    fn sources_and_platforms_never_panic(text in grammatical(), prefix in "(oci|tar|oci-archive|docker-archive|docker)?:?") {
        let text = format!("{prefix}{text}");
        if let Ok(source) = Source::parse(&text) {
            prop_assert_eq!(Source::parse(source.to_string()), Ok(source));
        }
        if let Ok(platform) = Platform::parse(&text) {
            prop_assert_eq!(Platform::parse(&platform.to_string()), Ok(platform.clone()));
            prop_assert!(platform.accepts(&platform));
        }
        if let Some(time) = Timestamp::parse_rfc3339(&text) {
            prop_assert!(time.nanoseconds < 1_000_000_000);
        }
    }

    #[test]
    fn times_are_ordered_as_their_text(
        one in "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z",
        two in "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z",
    ) {
        let (first, second) = (Timestamp::parse_rfc3339(&one).unwrap(), Timestamp::parse_rfc3339(&two).unwrap());
        prop_assert_eq!(first.cmp(&second), one.cmp(&two));
    }

    #[test]
    fn arbitrary_bytes_are_no_document(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_everything(&bytes);
    }

    #[test]
    fn arbitrary_json_never_panics(value in json_documents()) {
        read_everything(value.to_string().as_bytes());
    }

    #[test]
    fn a_document_with_a_byte_changed_never_panics(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let layer = json!({ "mediaType": LAYER, "digest": Digest::sha256(b"x").to_string(), "size": 7,
            "platform": { "os": "linux", "architecture": "arm", "variant": "v7" }, "annotations": { REF_NAME: "x" } });
        let documents = [
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [layer] }),
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer] }),
            json!({ "os": "linux", "created": "2025-01-01T00:00:00Z", "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] } }),
        ];
        for document in documents {
            let mut bytes = document.to_string().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            read_everything(&bytes);
        }
    }
}

proptest! {
    // Each case opens files.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_layout_of_arbitrary_documents_never_panics(index in json_documents(), manifest in json_documents()) {
        let layout = Layout::new();
        layout.write("index.json", index.to_string().as_bytes());
        drop(layout.open(""));
        layout.index(&[layout.document(MANIFEST, &manifest), layout.document(INDEX, &index)]);
        drop(layout.open(":@0"));
        drop(layout.open(":@1"));
    }

    #[test]
    fn an_archive_with_bytes_changed_never_panics(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = simple().archive().finish();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let file = save(&bytes);
        for transport in ["oci-archive", "docker-archive"] {
            if let Ok(image) = open(&format!("{transport}:{}", file.path().display())) {
                prop_assert_eq!(image.layers().len(), 1);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_archive(bytes in proptest::collection::vec(any::<u8>(), 0..3000), head in 0usize..4) {
        let magic: [&[u8]; 4] = [b"", &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh9"];
        let file = save(&[magic[head], &bytes].concat());
        for transport in ["oci-archive", "docker-archive"] {
            let opened = open(&format!("{transport}:{}", file.path().display()));
            prop_assert!(opened.is_err());
        }
    }
}
