//! A file of settings while it is read: each error says where.

use std::path::Path;

use banger_oci::nearest::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Error;

pub(crate) type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
pub(crate) type Value<'a> = Spanned<DeValue<'a>>;

/// The entries of a table as they stand in the file, so that the first error is the one that is told.
pub(crate) fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Key<'i>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

pub(crate) fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(&'t Key<'i>, &'t Value<'i>)> {
    table.iter().find(|(found, _)| found.get_ref() == key)
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl File<'_> {
    /// The directory that relative paths in it begin at.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(crate) fn table<'v, 'i>(
        &self,
        key: &Key<'_>,
        value: &'v Value<'i>,
        wanted: &str,
    ) -> Result<&'v DeTable<'i>, Error> {
        value.get_ref().as_table().ok_or_else(|| self.wanted(key, value, wanted))
    }

    pub(crate) fn string<'v>(&self, key: &Key<'_>, value: &'v Value<'_>) -> Result<&'v str, Error> {
        value.get_ref().as_str().ok_or_else(|| self.wanted(key, value, "a string"))
    }

    pub(crate) fn boolean(&self, key: &Key<'_>, value: &Value<'_>) -> Result<bool, Error> {
        value.get_ref().as_bool().ok_or_else(|| self.wanted(key, value, "true or false"))
    }

    pub(crate) fn number(&self, key: &Key<'_>, value: &Value<'_>, highest: u64) -> Result<u64, Error> {
        let wanted = format!("a whole number from 1 to {highest}");
        let integer = value.get_ref().as_integer().ok_or_else(|| self.wanted(key, value, &wanted))?;
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (1..=highest).contains(&number) => Ok(number),
            _ => {
                let what = format!("{:?} wants {wanted}, not {integer}", key.get_ref());
                Err(self.error(value.span().start, what))
            }
        }
    }

    pub(crate) fn wanted(&self, key: &Key<'_>, value: &Value<'_>, wanted: &str) -> Error {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        self.error(value.span().start, format!("{:?} wants {wanted}, not {article} {found}", key.get_ref()))
    }

    /// Keys come before values: what is meant by a wrong one may be why another value is wrong.
    pub(crate) fn check_keys(&self, table: &DeTable<'_>, place: &str, known: &[&'static str]) -> Result<(), Error> {
        let unknown = in_order(table).into_iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        let Some((key, _)) = unknown else { return Ok(()) };
        let error = self.error(key.span().start, format!("there is no key {:?}{place}", key.get_ref()));
        Err(error.with_hint(match nearest(key.get_ref(), known.iter().copied()) {
            Some(nearest) => format!("perhaps {nearest:?} is meant"),
            None => format!("the keys that are known: {}", known.join(", ")),
        }))
    }

    /// An error at a byte of the file.
    pub(crate) fn error(&self, offset: usize, what: impl std::fmt::Display) -> Error {
        let (line, column) = place(self.text, offset);
        Error::Content { path: self.path.to_owned(), line, column, what: what.to_string(), hint: None }
    }
}

/// Line and column of a byte, as editors count them.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_do() {
        let text = "a\nbc\n\u{e9}\u{e9}x";
        for (offset, expected) in [(0, (1, 1)), (2, (2, 1)), (3, (2, 2)), (5, (3, 1)), (9, (3, 3)), (99, (3, 4))] {
            assert_eq!(place(text, offset), expected, "{offset}");
        }
    }
}
