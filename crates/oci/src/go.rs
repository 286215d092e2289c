//! Documents as Go's decoder reads them: by programs in Go they are written and read.
//!
//! Where a value of some type is wanted, null stands for that type's zero: no text, no list, no number. That holds anywhere in a
//! document. Other types than the wanted one are errors for Go, and here.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A value that may be null. For `deserialize_with`, beside `default` for one that may be missing.
pub(crate) fn or_zero<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list that may be null, of elements that may.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let list: Vec<Option<T>> = or_zero(deserializer)?;
    Ok(list.into_iter().map(Option::unwrap_or_default).collect())
}

/// Texts by name, which may be null, each of which may.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let texts: BTreeMap<String, Option<String>> = or_zero(deserializer)?;
    Ok(texts.into_iter().map(|(name, text)| (name, text.unwrap_or_default())).collect())
}
