//! Image indexes (image-index.md of the image specification) and Docker's manifest lists.

use crate::descriptor::{Descriptor, RawDescriptor};
use crate::document::{self, Shape};
use crate::error::{Error, Result};
use crate::go;
use crate::limits::INDEX_ENTRIES;
use crate::media_type::MediaType;

/// A checked index: a list of images, and of other indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The entries, in the order of the document.
    pub entries: Vec<Descriptor>,
}

#[derive(serde::Deserialize)]
struct Fields {
    #[serde(deserialize_with = "go::list")]
    manifests: Vec<RawDescriptor>,
}

impl Index {
    /// Parses and checks an index. `what` names it in errors; `found_as` is the media type under which it was found.
    ///
    /// # Errors
    /// It is not, or not clearly, an index; it has too many entries; an entry breaks a rule of [`Descriptor`].
    pub fn parse(bytes: &[u8], what: &str, found_as: Option<&MediaType>) -> Result<Self> {
        if document::shape(bytes, what, found_as)? != Shape::Index {
            return Err(Error::malformed(what, "it is a manifest where an index is needed"));
        }
        let fields: Fields =
            serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        let manifests = fields.manifests;
        if manifests.len() > INDEX_ENTRIES {
            return Err(Error::Limit {
                what: what.to_owned(),
                actual: manifests.len() as u64,
                limit: INDEX_ENTRIES as u64,
                unit: "entries",
            });
        }
        let entries = manifests.iter().map(|entry| Descriptor::check(entry, what)).collect::<Result<_>>()?;
        Ok(Index { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_error::ErrorKind;

    #[test]
    fn an_index_of_a_hundred_thousand_entries_is_over_the_limit() {
        let entry = format!(r#"{{"mediaType":"x","digest":"sha256:{}","size":1}}"#, "0".repeat(64));
        let json = |count| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![entry.as_str(); count].join(","));
        let index = Index::parse(json(INDEX_ENTRIES).as_bytes(), "the index", None).expect("at the limit");
        assert_eq!(index.entries.len(), INDEX_ENTRIES);
        let error = Index::parse(json(100_000).as_bytes(), "the index", None).expect_err("over the limit");
        assert!(matches!(error, Error::Limit { actual: 100_000, unit: "entries", .. }), "{error}");
    }

    #[test]
    fn a_manifest_is_not_an_index() {
        let error = Index::parse(br#"{"layers":[]}"#, "the index", None).expect_err("a manifest");
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }

    #[test]
    fn an_index_without_entries_is_an_index() {
        for json in [r#"{"manifests":[]}"#, r#"{"manifests":null}"#] {
            assert!(Index::parse(json.as_bytes(), "the index", None).expect(json).entries.is_empty());
        }
    }
}
