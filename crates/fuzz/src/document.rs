//! Indexes, manifests and configs.
//!
//! - No document is an index and a manifest.
//! - What was read is what a reader without any rules of its own finds in the same JSON.
//! - No number of entries is over its limit, and no size is one that no file has.
//! - The search for an image among entries that lead nowhere ends with an error.

use std::slice;

use banger_oci::select::{Wanted, choose};
use banger_oci::{BlobReader, Blobs, Config, Descriptor, Digest, Error, Index, Manifest, limits};
use serde_json::Value;

use crate::check_messages;

/// Takes the bytes for each of the three.
pub fn check(data: &[u8]) {
    let index = Index::parse(data, "the index", None);
    let manifest = Manifest::parse(data, "the manifest", None);
    assert!(index.is_err() || manifest.is_err(), "an index and a manifest");
    let config = Config::parse(data.to_vec(), "the config");
    // A field that nobody looks at may hold what this reader, which keeps everything, cannot keep: half of a surrogate pair.
    let json = serde_json::from_slice::<Value>(data).ok();
    match index {
        Ok(index) => check_index(&index, json.as_ref()),
        Err(error) => check_messages(&error),
    }
    match manifest {
        Ok(manifest) => check_manifest(&manifest, json.as_ref()),
        Err(error) => check_messages(&error),
    }
    match config {
        Ok((config, _)) => check_config(&config, data, json.as_ref()),
        Err(error) => check_messages(&error),
    }
}

fn check_index(index: &Index, json: Option<&Value>) {
    assert!(index.entries.len() <= limits::INDEX_ENTRIES);
    if let Some(json) = json {
        check_descriptors(&index.entries, list(&json["manifests"]));
    }
    for platform in [None, Some("linux/arm64/v8")] {
        let wanted = Wanted::new(platform.map(|text| text.parse().expect("a platform")));
        let error = choose(&Nowhere, &index.entries, "the index", 1, &wanted).expect_err("there is nothing to find");
        check_messages(&error);
    }
}

fn check_manifest(manifest: &Manifest, json: Option<&Value>) {
    assert!(manifest.layers.len() <= limits::LAYERS);
    assert!(manifest.config.size <= limits::CONFIG_BYTES);
    if let Some(json) = json {
        check_descriptors(slice::from_ref(&manifest.config), slice::from_ref(&json["config"]));
        check_descriptors(&manifest.layers, list(&json["layers"]));
    }
}

/// Go writes an empty list as null.
fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn check_descriptors(found: &[Descriptor], json: &[Value]) {
    assert_eq!(found.len(), json.len());
    for (found, json) in found.iter().zip(json) {
        assert_eq!(Some(found.digest.to_string().as_str()), json["digest"].as_str());
        assert_eq!(Some(found.size), json["size"].as_u64());
        assert_eq!(Some(found.media_type.as_ref()), json["mediaType"].as_str());
        assert!(i64::try_from(found.size).is_ok());
        assert!(list(&json["urls"]).is_empty(), "content from elsewhere");
    }
}

fn check_config(config: &Config, data: &[u8], json: Option<&Value>) {
    assert_eq!(config.raw(), data);
    assert_eq!(*config.digest(), Digest::sha256(data));
    assert!(config.diff_ids().len() <= limits::LAYERS);
    let found: Vec<String> = config.diff_ids().iter().map(Digest::to_string).collect();
    let Some(json) = json else { return };
    let expected: Vec<&str> = list(&json["rootfs"]["diff_ids"]).iter().filter_map(Value::as_str).collect();
    assert_eq!(found, expected);
}

/// A place that has no blob.
#[derive(Debug)]
struct Nowhere;

impl Blobs for Nowhere {
    fn open(&self, descriptor: &Descriptor) -> Result<BlobReader, Error> {
        Err(Error::Missing { what: descriptor.digest.to_string(), place: self.place() })
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}
