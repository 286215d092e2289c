//! `catalog.json`: images and kernels that are offered, each with the address of a file and the digest of what is in it.
//!
//! ```json
//! { "version": 1,
//!   "images":  [ { "name": ..., "distro": ..., "arch": ..., "kernel_ref": ..., "url": ..., "sha256": ..., "size": ..., "description": ... } ],
//!   "kernels": [ { "name": ..., "distro": ..., "arch": ..., "version": ..., "url": ..., "sha256": ..., "size": ..., "description": ... } ] }
//! ```
//!
//! A catalog has one meaning or none: a field that is there twice or in another spelling, two entries of one name and
//! architecture, and a version that is not known are errors. Fields that are not known are passed over, and kept when the catalog
//! is written again: that is how the format can grow. Within one list nothing is believed by its order.

mod entry;

use std::collections::HashSet;

use serde_json::Number;

pub use self::entry::{Content, Entry, What};
use crate::error::{Error, Result};
use crate::json::{Json, Object};
use crate::limits::{CATALOG_BYTES, ENTRIES};

/// The version of the format that is read and written.
pub const VERSION: u64 = 1;

const VERSION_KEY: &str = "version";

/// A catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// All of it, as it was found.
    json: Object,
    entries: Vec<Entry>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalog {
    /// A catalog that offers nothing.
    pub fn new() -> Self {
        let mut json = Object::default();
        json.set(VERSION_KEY, Json::Number(Number::from(VERSION)));
        for what in What::ALL {
            json.set(what.list(), Json::Array(Vec::new()));
        }
        Self { json, entries: Vec::new() }
    }

    /// Reads a catalog. `what` names it in errors.
    ///
    /// # Errors
    /// It is none, or not of this version, or an entry is not what an entry must be.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        if bytes.len() as u64 > CATALOG_BYTES {
            return Err(Error::Limit { what: what.to_owned(), limit: CATALOG_BYTES, unit: "bytes" });
        }
        let json = Json::parse_object(bytes, what)?;
        entry::check_spelling(&json, &[VERSION_KEY, What::Image.list(), What::Kernel.list()])
            .map_err(|reason| Error::malformed(what, reason))?;
        match json.get(VERSION_KEY) {
            Some(Json::Number(number)) if number.as_u64() == Some(VERSION) => {}
            Some(Json::Number(number)) => {
                let reason = format!("it is of version {number}; this program reads version {VERSION}");
                return Err(Error::malformed(what, reason));
            }
            _ => return Err(Error::malformed(what, "it has no version: it is not a catalog")),
        }
        let mut entries = Vec::new();
        for kind in What::ALL {
            let list = match json.get(kind.list()) {
                None => continue,
                Some(Json::Array(list)) => list,
                Some(_) => return Err(Error::malformed(what, format!("{:?} is not a list", kind.list()))),
            };
            for (number, json) in list.iter().enumerate() {
                if entries.len() >= ENTRIES {
                    return Err(Error::Limit { what: what.to_owned(), limit: ENTRIES as u64, unit: "entries" });
                }
                let entry = Entry::from_json(kind, json).map_err(|problem| {
                    let name = problem
                        .name
                        .map_or_else(|| format!("number {}", number.saturating_add(1)), |name| format!("{name:?}"));
                    Error::malformed(format!("{what}, {} {name}", kind.word()), problem.reason)
                })?;
                entries.push(entry);
            }
        }
        let mut seen = HashSet::new();
        for entry in &entries {
            if !seen.insert((entry.what, &entry.name, &entry.arch)) {
                let what = format!("{what}, {} {:?}", entry.what.word(), entry.name);
                return Err(Error::malformed(what, format!("it is there twice for {}", entry.arch)));
            }
        }
        Ok(Self { json, entries })
    }

    /// What is offered: images first, in the order of the document.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds an entry. One that has the same name and architecture is replaced where it stands, and keeps its fields that are not
    /// known. Whether there was one.
    ///
    /// # Errors
    /// The entry is not what an entry must be, or there would be too many.
    pub fn add(&mut self, entry: Entry) -> Result<bool> {
        entry.check().map_err(|reason| Error::malformed(format!("{} {:?}", entry.what.word(), entry.name), reason))?;
        let is_same = |other: &Entry| (other.what, &other.name, &other.arch) == (entry.what, &entry.name, &entry.arch);
        let place = self.entries.iter().position(is_same);
        // Entries of a list are in the order in which they stand there.
        let number =
            self.entries.iter().take(place.unwrap_or(usize::MAX)).filter(|other| other.what == entry.what).count();
        if self.json.get(entry.what.list()).is_none() {
            self.json.set(entry.what.list(), Json::Array(Vec::new()));
        }
        let Some(Json::Array(list)) = self.json.get_mut(entry.what.list()) else {
            return Err(Error::malformed(entry.what.list(), "it is not a list"));
        };
        match (place.and_then(|place| self.entries.get_mut(place)), list.get_mut(number)) {
            (Some(old), Some(Json::Object(json))) => {
                entry.write(json);
                *old = entry;
                Ok(true)
            }
            _ => {
                if self.entries.len() >= ENTRIES {
                    return Err(Error::Limit {
                        what: "the catalog".to_owned(),
                        limit: ENTRIES as u64,
                        unit: "entries",
                    });
                }
                let mut json = Object::default();
                entry.write(&mut json);
                list.push(Json::Object(json));
                let behind = self.entries.iter().rposition(|other| other.what <= entry.what);
                self.entries.insert(behind.map_or(0, |place| place.saturating_add(1)), entry);
                Ok(false)
            }
        }
    }

    /// The document: the same bytes for the same catalog.
    ///
    /// # Errors
    /// It would have more bytes than a catalog may have.
    pub fn to_json(&self) -> Result<String> {
        let what = || "the catalog".to_owned();
        let mut text =
            serde_json::to_string_pretty(&self.json).map_err(|source| Error::Json { what: what(), source })?;
        text.push('\n');
        if text.len() as u64 > CATALOG_BYTES {
            return Err(Error::Limit { what: what(), limit: CATALOG_BYTES, unit: "bytes" });
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_oci::Digest;

    fn entry(what: What, name: &str, arch: &str) -> Entry {
        Entry {
            what,
            name: name.to_owned(),
            distro: None,
            arch: arch.to_owned(),
            kernel_ref: None,
            version: (what == What::Kernel).then(|| "6.1.0".to_owned()),
            url: format!("{name}.tar.zst"),
            content: Some(Content { sha256: Digest::sha256(name.as_bytes()), size: 5 }),
            description: String::new(),
        }
    }

    fn names(catalog: &Catalog) -> Vec<(What, &str, &str)> {
        catalog.entries().iter().map(|entry| (entry.what, &*entry.name, &*entry.arch)).collect()
    }

    #[test]
    fn entries_are_added_and_replaced_where_they_stand() {
        let mut catalog = Catalog::new();
        for (what, name, arch, replaced) in [
            (What::Kernel, "k", "amd64", false),
            (What::Image, "a", "amd64", false),
            (What::Image, "b", "amd64", false),
            (What::Image, "a", "arm64", false),
            (What::Image, "b", "amd64", true),
            (What::Image, "k", "amd64", false),
            (What::Kernel, "k", "amd64", true),
        ] {
            assert_eq!(catalog.add(entry(what, name, arch)).unwrap(), replaced, "{name} {arch}");
            let text = catalog.to_json().unwrap();
            let again = Catalog::parse(text.as_bytes(), "it").unwrap();
            assert_eq!(again, catalog, "{text}");
            assert_eq!(again.to_json().unwrap(), text);
        }
        let image = What::Image;
        let expected = [
            (image, "a", "amd64"),
            (image, "b", "amd64"),
            (image, "a", "arm64"),
            (image, "k", "amd64"),
            (What::Kernel, "k", "amd64"),
        ];
        assert_eq!(names(&catalog), expected);
    }

    #[test]
    fn the_document_is_readable() {
        let mut catalog = Catalog::new();
        let distro = Some("debian".to_owned());
        catalog.add(Entry { distro, description: "A \u{fc}".into(), ..entry(What::Image, "a", "amd64") }).unwrap();
        let expected = format!(
            r#"{{
  "version": 1,
  "images": [
    {{
      "name": "a",
      "distro": "debian",
      "arch": "amd64",
      "url": "a.tar.zst",
      "sha256": "{}",
      "size": 5,
      "description": "A {}"
    }}
  ],
  "kernels": []
}}
"#,
            Digest::sha256(b"a").hex(),
            '\u{fc}'
        );
        assert_eq!(catalog.to_json().unwrap(), expected);
    }

    #[test]
    fn what_others_wrote_stays() {
        let digest = Digest::sha256(b"x").hex();
        let text = format!(
            r#"{{"kernels":[],"comment":{{"b":1,"a":2}},"images":[
                {{"x-theirs":[1,2],"kernel_ref":"k","arch":"amd64","name":"a","url":"old","sha256":"{digest}","size":1,"description":""}}
            ],"version":1}}"#
        );
        let mut catalog = Catalog::parse(text.as_bytes(), "it").unwrap();
        assert!(catalog.add(entry(What::Image, "a", "amd64")).unwrap());
        let written: serde_json::Value = serde_json::from_str(&catalog.to_json().unwrap()).unwrap();
        assert_eq!(written["comment"]["a"], 2);
        assert_eq!(written["images"][0]["x-theirs"][1], 2);
        assert_eq!(written["images"][0]["url"], "a.tar.zst");
        assert_eq!(written["images"][0].get("kernel_ref"), None);
        assert!(catalog.to_json().unwrap().find("kernels") < catalog.to_json().unwrap().find("images"));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let mut catalog = Catalog::new();
        for bad in [
            entry(What::Image, "A", "amd64"),
            entry(What::Image, "a", "x86_64"),
            Entry { content: None, ..entry(What::Image, "a", "amd64") },
            Entry { description: "\u{1b}[0m".into(), ..entry(What::Image, "a", "amd64") },
            Entry { url: "ftp://x/".into(), ..entry(What::Image, "a", "amd64") },
            Entry { version: Some("1".into()), ..entry(What::Image, "a", "amd64") },
            Entry { kernel_ref: Some("k".into()), ..entry(What::Kernel, "a", "amd64") },
        ] {
            catalog.add(bad.clone()).expect_err(&format!("{bad:?}"));
        }
        assert_eq!(catalog, Catalog::new());

        for number in 0..ENTRIES {
            catalog.entries.push(entry(What::Image, &number.to_string(), "amd64"));
        }
        let error = catalog.add(entry(What::Image, "a", "amd64")).unwrap_err();
        assert!(matches!(error, Error::Limit { unit: "entries", .. }), "{error}");
    }
}
