//! The documents that are published are those of this version.

use std::path::Path;

use serde_json::Value;

/// `BANGER_UPDATE_SNAPSHOTS=1 cargo test` writes what is made instead; the difference is then read in `git diff`.
#[track_caller]
fn check(name: &str, found: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let found = banger_daemon::document::text(found);
    if std::env::var_os("BANGER_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(found == expected, "docs/{name} has changed; BANGER_UPDATE_SNAPSHOTS=1 accepts it");
}

#[test]
fn the_openapi_document_is_published() {
    check("openapi.json", &banger_daemon::document::openapi());
}

#[test]
fn the_schema_of_events_is_published() {
    check("events.schema.json", &banger_daemon::document::events());
}

#[test]
fn the_daemon_serves_its_document() {
    let served = super::served::Served::new();
    let answer = super::curl::curl(&served.socket, "/v1/openapi.json", None);
    assert_eq!(answer.json(), banger_daemon::document::openapi());
}

/// Every reference leads somewhere, and everything that is there is referred to.
#[test]
fn references_are_kept() {
    for (document, places) in [
        (banger_daemon::document::openapi(), &["/components/schemas", "/components/responses"][..]),
        (banger_daemon::document::events(), &["/$defs"]),
    ] {
        let mut referred = std::collections::BTreeSet::new();
        collect(&document, &mut referred);
        let names = |place: &&str| {
            let defined = document.pointer(place).unwrap().as_object().unwrap();
            defined.keys().map(|name| format!("#{place}/{name}")).collect::<Vec<_>>()
        };
        assert_eq!(referred, places.iter().flat_map(names).collect());
    }
}

fn collect(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref") {
                into.insert(target.clone());
            }
            object.values().for_each(|value| collect(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}
