//! What a JSON document is, before it is believed.
//!
//! A registry's documents do not say reliably what they are: an index and a manifest are told apart by a media type
//! that comes from elsewhere, or by their fields. A document that one reader takes for an index and another for a
//! manifest has one digest and two meanings (CVE-2021-41190). So the fields at the top are looked at first, and a
//! document is refused when
//! - it has the fields of an index and of a manifest;
//! - its own media type, or the one it was found under, contradicts its fields;
//! - one of those fields occurs twice, or in another spelling (`Layers`), which Go's decoder would take for it.

use crate::error::{Error, Result};
use crate::media_type::{DocumentClass, MediaType, document_class};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// An image index (Docker: a manifest list).
    Index,
    /// An image manifest.
    Manifest,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Index => "an index",
            Shape::Manifest => "a manifest",
        }
    }
}

/// Says what a document is. `what` names it in errors; `found_as` is the media type of the descriptor that led to
/// it, or of the response that brought it.
///
/// # Errors
/// The document is no JSON object, is neither or both, contradicts a media type, or is of Docker's schema 1.
pub fn shape(bytes: &[u8], what: &str, found_as: Option<&MediaType>) -> Result<Shape> {
    let keys = keys(bytes, what)?;
    let malformed = |reason: String| Err(Error::malformed(what, reason));
    if let Some(other) = keys.misspelt {
        return malformed(format!("the field {other:?} is spelt in a way that not every reader takes alike"));
    }
    if keys.fs_layers || keys.schema_version == Some(1) {
        return Err(Error::unsupported(
            what,
            "it is of Docker's schema 1, which ended in 2019; push the image again with a current tool",
        ));
    }
    if let Some(version) = keys.schema_version
        && version != 2
    {
        return malformed(format!("schemaVersion is {version} instead of 2"));
    }
    let (index, manifest) = (keys.manifests, keys.layers.max(keys.config));
    // A field that is null is missing, as Go has it, unless it is all that there is to go by.
    let present = index.max(manifest);
    let has = |field| field != Field::Missing && field == present;
    let shape = match (has(index), has(manifest)) {
        (true, true) => return malformed("it is both an index and a manifest".into()),
        (true, false) => Shape::Index,
        (false, true) => Shape::Manifest,
        (false, false) => return malformed("it is neither an index nor a manifest".into()),
    };
    let own = keys.media_type.as_deref().map(MediaType::from);
    for (media_type, whose) in [(own.as_ref(), "it calls itself"), (found_as, "it was referred to as")] {
        let Some(media_type) = media_type else { continue };
        let agrees = match document_class(media_type) {
            DocumentClass::Index => shape == Shape::Index,
            DocumentClass::Manifest => shape == Shape::Manifest,
            DocumentClass::Schema1 | DocumentClass::Other => false,
        };
        if !agrees {
            let media_type = crate::digest::shorten(media_type.as_ref());
            return malformed(format!("{whose} {media_type:?}, but it has the fields of {}", shape.name()));
        }
    }
    Ok(shape)
}

/// The fields at the top of a document that say what it is.
#[derive(Debug, Default)]
struct Keys {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Field,
    layers: Field,
    config: Field,
    fs_layers: bool,
    /// A field that equals a known one but for upper and lower case, or that occurs twice.
    misspelt: Option<String>,
}

/// Whether a field is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    #[default]
    Missing,
    Null,
    Value,
}

impl Field {
    fn of<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        Ok(map.next_value::<Option<IgnoredAny>>()?.map_or(Self::Null, |_| Self::Value))
    }
}

const KNOWN: [&str; 6] = ["schemaVersion", "mediaType", "manifests", "layers", "config", "fsLayers"];

fn keys(bytes: &[u8], what: &str) -> Result<Keys> {
    let json = |source| Error::Json { what: what.to_owned(), source };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let keys = deserializer.deserialize_map(KeysVisitor).map_err(json)?;
    deserializer.end().map_err(json)?;
    Ok(keys)
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index or a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Keys::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&key)).copied();
            if let Some(known) = known
                && (known != key || seen.contains(&known))
            {
                keys.misspelt = Some(crate::digest::shorten(&key));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match key.as_str() {
                "schemaVersion" => keys.schema_version = map.next_value()?,
                "mediaType" => keys.media_type = map.next_value()?,
                "manifests" => keys.manifests = Field::of(&mut map)?,
                "layers" => keys.layers = Field::of(&mut map)?,
                "config" => keys.config = Field::of(&mut map)?,
                "fsLayers" => keys.fs_layers = Field::of(&mut map)? == Field::Value,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            seen.extend(known);
        }
        // Go leaves the field out or writes an empty string when a type is not known.
        keys.media_type = keys.media_type.filter(|media_type| !media_type.is_empty());
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_error::ErrorKind;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn check(json: &str, found_as: Option<&str>) -> Result<Shape> {
        shape(json.as_bytes(), "the document", found_as.map(MediaType::from).as_ref())
    }

    #[test]
    fn documents_that_are_clear() {
        let docker = "application/vnd.docker.distribution.manifest.list.v2+json";
        let cases = [
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(INDEX), Shape::Index),
            (r#"{"manifests":[]}"#, Some(docker), Shape::Index),
            (r#"{"manifests":null}"#, None, Shape::Index),
            (r#"{"manifests":[],"layers":null,"config":null}"#, Some(INDEX), Shape::Index),
            (r#"{"manifests":null,"config":{},"layers":null,"fsLayers":null}"#, Some(MANIFEST), Shape::Manifest),
            (r#"{"schemaVersion":null,"mediaType":null,"config":{},"layers":[]}"#, None, Shape::Manifest),
            (r#"{"mediaType":"","schemaVersion":2,"config":{},"layers":[]}"#, Some(MANIFEST), Shape::Manifest),
            (r#"{"schemaVersion":2,"config":{},"layers":null,"x":{"manifests":[]}}"#, None, Shape::Manifest),
            (r#"{"config":{}}"#, Some("application/vnd.docker.distribution.manifest.v2+json"), Shape::Manifest),
        ];
        for (json, found_as, expected) in cases {
            assert_eq!(check(json, found_as).unwrap_or_else(|e| panic!("{json}: {e}")), expected);
        }
    }

    #[test]
    fn documents_of_two_meanings_are_refused() {
        let cases = [
            (r#"{"manifests":[],"layers":[]}"#.to_owned(), None),
            (r#"{"manifests":[],"config":{}}"#.to_owned(), None),
            (r#"{"manifests":null,"layers":null}"#.to_owned(), None),
            (r#"{"schemaVersion":2}"#.to_owned(), None),
            (r#"{}"#.to_owned(), Some(MANIFEST)),
            (r#"{"manifests":[]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"layers":[]}"#.to_owned(), Some(INDEX)),
            (r#"{"layers":[]}"#.to_owned(), Some("text/html")),
            (format!(r#"{{"mediaType":"{INDEX}","layers":[]}}"#), Some(MANIFEST)),
            (format!(r#"{{"mediaType":"{MANIFEST}","manifests":[]}}"#), None),
            (r#"{"layers":[],"Manifests":[]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"layers":[],"layers":[1]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"layers":[],"LAYERS":[1]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"schemaVersion":3,"layers":[]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"schemaVersion":"2","layers":[]}"#.to_owned(), Some(MANIFEST)),
            (r#"{"layers":[]} {}"#.to_owned(), Some(MANIFEST)),
            (r#"[]"#.to_owned(), Some(MANIFEST)),
            ("".to_owned(), Some(MANIFEST)),
            ("null".to_owned(), Some(MANIFEST)),
            ("[".repeat(100_000), Some(MANIFEST)),
            (format!(r#"{{"x":{}"#, r#"{"x":"#.repeat(100_000)), Some(MANIFEST)),
        ];
        for (json, found_as) in cases {
            let error = check(&json, found_as).expect_err(&json);
            assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
        }
    }

    #[test]
    fn schema_1_is_told_by_name() {
        for json in [r#"{"schemaVersion":1,"name":"x","fsLayers":[],"history":[]}"#, r#"{"fsLayers":[]}"#] {
            let error = check(json, None).expect_err(json);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("schema 1"), "{error}");
        }
    }
}
