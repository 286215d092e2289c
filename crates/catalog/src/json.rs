//! JSON that keeps what it does not know: the order of fields, and fields of others.
//!
//! An object that has a field twice is refused, wherever it stands: of two readers, each could take another one.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

use crate::error::{Error, Result};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// The fields of an object, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Json)>);

impl Json {
    /// Reads a document, which is one object. `what` names it in errors.
    pub(crate) fn parse_object(bytes: &[u8], what: &str) -> Result<Object> {
        let json = serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })?;
        match json {
            Self::Object(object) => Ok(object),
            _ => Err(Error::malformed(what, "it is not a JSON object")),
        }
    }
}

impl Object {
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find_map(|(known, value)| (known == key).then_some(value))
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.iter_mut().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Sets a field where it stands, else behind the others.
    pub(crate) fn set(&mut self, key: &str, value: Json) {
        match self.get_mut(key) {
            Some(old) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                let shown: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format!("the field {shown:?} is there twice")));
            }
            fields.push((key, map.next_value()?));
        }
        Ok(Json::Object(Object(fields)))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_written_as_it_was() {
        let text = r#"{"z":1,"a":[null,true,-5,1.5,"\u00fc\n",{}],"m":{"y":18446744073709551615,"b":""}}"#;
        let object = Json::parse_object(text.as_bytes(), "it").unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text.replace("\\u00fc", "\u{fc}"));
        assert_eq!(object.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
    }

    #[test]
    fn documents_that_are_none() {
        let deep = "[".repeat(100_000);
        let deep_object = r#"{"a":"#.repeat(100_000);
        for (text, message) in [
            ("", "EOF"),
            ("[]", "not a JSON object"),
            ("null", "not a JSON object"),
            ("{} {}", "trailing"),
            (r#"{"a":1,"a":1}"#, "\"a\" is there twice"),
            (r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#, "\"a\" is there twice"),
            (r#"{"a":1,"\u0061":1}"#, "\"a\" is there twice"),
            ("{\"a\":\"\u{0}\"}", "control character"),
            (&deep, "recursion"),
            (&deep_object, "recursion"),
            (r#"{"a":1e999}"#, "out of range"),
        ] {
            let error = Json::parse_object(text.as_bytes(), "it").unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(format!("{error}: {cause}").contains(message), "{text:.40}: {error}: {cause}");
        }
        assert!(Json::parse_object(b"{\"\xff\":1}", "it").is_err());
    }
}
