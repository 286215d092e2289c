//! The names of images: the entries of `index.json`.
//!
//! The file is changed by whoever holds its lock, and only in the entries that are meant: what others have written
//! into it, as fields that are not known here, stays.

use super::Cache;
use super::files::{open, replace, shown};
use crate::blob::read_limited;
use crate::descriptor::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::layout::INDEX;
use crate::limits::{INDEX_ENTRIES, MANIFEST_BYTES};
use crate::media_type::MediaType;
use crate::reference::Reference;
use serde_json::{Map, Value, json};

const MANIFESTS: &str = "manifests";

/// The content of `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// All fields but the entries.
    fields: Map<String, Value>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    descriptor: Descriptor,
    /// The same as it was found, with what the descriptor has no place for.
    json: Value,
}

impl Default for Names {
    /// No images.
    fn default() -> Self {
        let fields = [("schemaVersion", json!(2)), ("mediaType", json!(MediaType::ImageIndex.to_string()))];
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Names { fields, entries: Vec::new() }
    }
}

impl Names {
    fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let index = Index::parse(bytes, what, None)?;
        let mut fields: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        let json = match fields.remove(MANIFESTS) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        let entries = index.entries.into_iter().zip(json);
        let entries = entries.map(|(descriptor, json)| Entry { descriptor, json }).collect();
        Ok(Names { fields, entries })
    }

    fn to_json(&self, what: &str) -> Result<Vec<u8>> {
        let limit = |actual, limit, unit| Err(Error::Limit { what: what.to_owned(), actual, limit, unit });
        if self.entries.len() > INDEX_ENTRIES {
            return limit(self.entries.len() as u64, INDEX_ENTRIES as u64, "entries");
        }
        let mut fields = self.fields.clone();
        let entries = self.entries.iter().map(|entry| entry.json.clone()).collect();
        fields.insert(MANIFESTS.to_owned(), Value::Array(entries));
        let bytes = Value::Object(fields).to_string().into_bytes();
        match bytes.len() as u64 {
            length if length > MANIFEST_BYTES => limit(length, MANIFEST_BYTES, "bytes"),
            _ => Ok(bytes),
        }
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().map(|entry| &entry.descriptor)
    }

    /// Has a name mean this image and no other. Where the name stood before, it stays.
    fn set(&mut self, name: &str, descriptor: &Descriptor) {
        let entry = Entry::new(name, descriptor);
        let place = self.entries.iter().position(|entry| entry.descriptor.ref_name() == Some(name));
        let mut others = self.entries.split_off(place.unwrap_or(self.entries.len()));
        others.retain(|entry| entry.descriptor.ref_name() != Some(name));
        self.entries.push(entry);
        self.entries.append(&mut others);
    }

    /// Keeps only the entries that are wanted, and gives the others.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Descriptor) -> bool) -> Vec<Descriptor> {
        let mut removed = Vec::new();
        self.entries.retain(|entry| {
            let keep = wanted(&entry.descriptor);
            if !keep {
                removed.push(entry.descriptor.clone());
            }
            keep
        });
        removed
    }
}

impl Entry {
    fn new(name: &str, descriptor: &Descriptor) -> Self {
        let mut descriptor = descriptor.clone();
        descriptor.annotations.remove(CONTAINERD_NAME);
        descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
        let is_full = Reference::parse(name).is_ok_and(|reference| reference.to_string() == name);
        if is_full {
            descriptor.annotations.insert(CONTAINERD_NAME.to_owned(), name.to_owned());
        }
        let mut json = json!({
            "mediaType": descriptor.media_type.to_string(),
            "digest": descriptor.digest.to_string(),
            "size": descriptor.size,
            "annotations": descriptor.annotations,
        });
        if let (Some(platform), Value::Object(fields)) = (&descriptor.platform, &mut json) {
            let mut value = json!({ "architecture": platform.architecture(), "os": platform.os() });
            if let (Some(variant), Value::Object(fields)) = (platform.variant(), &mut value) {
                fields.insert("variant".to_owned(), json!(variant));
            }
            fields.insert("platform".to_owned(), value);
        }
        Entry { descriptor, json }
    }
}

impl Cache {
    /// The image of a name: the entry of `index.json` whose annotation `org.opencontainers.image.ref.name` it is.
    ///
    /// # Errors
    /// `index.json` cannot be read or understood.
    pub fn image(&self, name: &str) -> Result<Option<Descriptor>> {
        let names = self.read_names()?;
        Ok(names.descriptors().find(|descriptor| descriptor.ref_name() == Some(name)).cloned())
    }

    /// All entries of `index.json`. Others than banger may have written some, also without names.
    ///
    /// # Errors
    /// `index.json` cannot be read or understood.
    pub fn images(&self) -> Result<Vec<Descriptor>> {
        Ok(self.read_names()?.descriptors().cloned().collect())
    }

    /// Has a name mean an image, whatever it meant before.
    ///
    /// Nothing is checked here: what the image consists of is to be in the cache before it has a name, and to be kept there
    /// meanwhile by [`Cache::lock_shared`].
    ///
    /// # Errors
    /// `index.json` cannot be read, understood or written, or would have more entries than are allowed.
    pub fn name_image(&self, name: &str, descriptor: &Descriptor) -> Result<()> {
        self.update_names(|names| {
            names.set(name, descriptor);
            Ok(())
        })
    }

    /// Removes a name, and nothing else. Whether there was one.
    ///
    /// # Errors
    /// `index.json` cannot be read, understood or written.
    pub fn unname(&self, name: &str) -> Result<bool> {
        self.update_names(|names| Ok(!names.retain(|entry| entry.ref_name() != Some(name)).is_empty()))
    }

    pub(super) fn read_names(&self) -> Result<Names> {
        let path = self.index();
        let what = shown(&path);
        let Some((file, metadata)) = open(&path)? else {
            return Err(Error::Missing { what: INDEX.to_owned(), place: shown(self.path()) });
        };
        let parsed = match read_limited(file, MANIFEST_BYTES, &what)? {
            Some(bytes) => Names::parse(&bytes, &what),
            None => {
                Err(Error::Limit { what: what.clone(), actual: metadata.len(), limit: MANIFEST_BYTES, unit: "bytes" })
            }
        };
        parsed.map_err(|source| Error::Names { what, source: Box::new(source) })
    }

    /// Changes `index.json`. The file is not touched where nothing changes.
    pub(super) fn update_names<T>(&self, change: impl FnOnce(&mut Names) -> Result<T>) -> Result<T> {
        let _lock = self.lock_index()?;
        let old = self.read_names()?;
        let mut new = old.clone();
        let result = change(&mut new)?;
        if new != old {
            self.write_names(&new)?;
        }
        Ok(result)
    }

    /// Writes `index.json`; to be called with its lock held.
    pub(super) fn write_names(&self, names: &Names) -> Result<()> {
        let path = self.index();
        let bytes = names.to_json(&shown(&path))?;
        replace(&path, &self.ingest_directory().join(INDEX), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::platform::Platform;

    fn descriptor(content: &str) -> Descriptor {
        Descriptor::new(MediaType::ImageManifest, Digest::sha256(content.as_bytes()), content.len() as u64)
    }

    fn listed(names: &Names) -> Vec<(Option<&str>, Digest)> {
        names.descriptors().map(|entry| (entry.ref_name(), entry.digest)).collect()
    }

    #[test]
    fn a_name_is_replaced_where_it_stands() {
        let mut names = Names::default();
        for (name, content) in [("a", "1"), ("b", "1"), ("c", "2"), ("b", "3"), ("b", "3")] {
            names.set(name, &descriptor(content));
        }
        let of = |content: &str| Digest::sha256(content.as_bytes());
        assert_eq!(listed(&names), [(Some("a"), of("1")), (Some("b"), of("3")), (Some("c"), of("2"))]);
        let again = Names::parse(&names.to_json("x").expect("written"), "x").expect("read");
        assert_eq!(again, names);
    }

    #[test]
    fn a_full_reference_is_given_to_containerd_too() {
        let digest = Digest::sha256(b"x");
        let by_digest = format!("docker.io/library/debian@{digest}");
        for (name, is_full) in [
            ("docker.io/library/debian:bookworm", true),
            ("localhost:5000/x:y", true),
            (by_digest.as_str(), true),
            ("debian:bookworm", false),
            ("v1", false),
            ("a name/with spaces", false),
        ] {
            let mut named = descriptor("x");
            named.annotations.insert(CONTAINERD_NAME.to_owned(), "what it was called elsewhere".to_owned());
            let entry = Entry::new(name, &named);
            let expected = is_full.then_some(name);
            assert_eq!(entry.descriptor.annotations.get(CONTAINERD_NAME).map(String::as_str), expected, "{name}");
            assert_eq!(entry.descriptor.ref_name(), Some(name));
        }
    }

    #[test]
    fn a_platform_is_kept() {
        let platform = Some(Platform::new("linux", "arm", Some("v6")));
        let mut names = Names::default();
        names.set("x", &Descriptor { platform: platform.clone(), ..descriptor("x") });
        let again = Names::parse(&names.to_json("x").expect("written"), "x").expect("read");
        assert_eq!(again.descriptors().next().expect("an entry").platform, platform);
    }

    #[test]
    fn what_others_wrote_stays() {
        let digest = Digest::sha256(b"x");
        let json = format!(
            r#"{{"annotations":{{"who":"they"}},"manifests":[
                {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,
                  "artifactType":"theirs","platform":{{"os":"windows","architecture":"amd64","os.version":"10"}}}}
            ],"schemaVersion":2}}"#
        );
        let mut names = Names::parse(json.as_bytes(), "x").expect("read");
        names.set("mine", &descriptor("y"));
        let written: Value = serde_json::from_slice(&names.to_json("x").expect("written")).expect("JSON");
        let original: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(written["annotations"], original["annotations"]);
        assert_eq!(written["manifests"][0], original["manifests"][0]);
        assert_eq!(written["manifests"][1]["digest"], descriptor("y").digest.to_string());
    }

    #[test]
    fn an_index_that_could_not_be_read_again_is_not_written() {
        let of = |entry, count| Names { entries: vec![entry; count], ..Names::default() };
        let error =
            of(Entry::new("x", &descriptor("x")), INDEX_ENTRIES + 1).to_json("the index").expect_err("too many");
        assert!(matches!(error, Error::Limit { unit: "entries", .. }), "{error}");
        let error =
            of(Entry::new(&"x".repeat(1 << 20), &descriptor("x")), 5).to_json("the index").expect_err("too long");
        assert!(matches!(error, Error::Limit { unit: "bytes", .. }), "{error}");
    }
}
