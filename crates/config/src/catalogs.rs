//! What is set for catalogs.
//!
//! ```toml
//! [[catalog]]
//! url = "https://images.example/catalog.json"
//! keys = ["RWQ…"]                 # minisign's public keys, one of which has signed it
//! require_signature = true
//!
//! [[catalog]]
//! path = "team/catalog.json"      # relative to this file
//! ```

use toml::de::{DeTable, DeValue};

use crate::error::Error;
use crate::file::{File, Key, Value, entry};

const KEYS: [&str; 4] = ["url", "path", "keys", "require_signature"];

/// A catalog that is looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// A URL, or an absolute path.
    pub location: String,
    /// minisign's public keys: where there are any, one of them must have signed it.
    pub keys: Vec<String>,
    /// Whether it is of no use without a signature.
    pub require_signature: bool,
}

/// Reads which catalogs there are. `required` is what holds for those that say nothing of signatures.
pub(crate) fn read(file: &File<'_>, table: &DeTable<'_>, required: bool) -> Result<Vec<Catalog>, Error> {
    let Some((key, value)) = entry(table, "catalog") else { return Ok(Vec::new()) };
    let tables = value.get_ref().as_array().ok_or_else(|| file.wanted(key, value, "tables [[catalog]]"))?;
    tables.iter().map(|value| file.catalog(key, value, required)).collect()
}

impl File<'_> {
    fn catalog(&self, key: &Key<'_>, value: &Value<'_>, required: bool) -> Result<Catalog, Error> {
        let table = self.table(key, value, "tables [[catalog]]")?;
        self.check_keys(table, " of a catalog", &KEYS)?;
        let location = match (entry(table, "url"), entry(table, "path")) {
            (Some((key, value)), None) => self.string(key, value)?.to_owned(),
            (None, Some((key, value))) => {
                let path = self.directory().join(self.string(key, value)?);
                let what = || self.error(value.span().start, "the path is not UTF-8");
                path.into_os_string().into_string().map_err(|_| what())?
            }
            _ => return Err(self.error(value.span().start, "a catalog needs either a url or a path")),
        };
        let keys = match entry(table, "keys") {
            Some((key, value)) => self.strings(key, value)?,
            None => Vec::new(),
        };
        let own = entry(table, "require_signature").map(|(key, value)| self.boolean(key, value)).transpose()?;
        Ok(Catalog { location, keys, require_signature: own.unwrap_or(required) })
    }

    /// One string, or a list of them.
    fn strings(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<String>, Error> {
        let wanted = |value: &Value<'_>| self.wanted(key, value, "a string, or a list of strings");
        let text = |value: &Value<'_>| value.get_ref().as_str().map(str::to_owned).ok_or_else(|| wanted(value));
        match value.get_ref() {
            DeValue::Array(values) => values.iter().map(text).collect(),
            _ => Ok(vec![text(value)?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parsed;

    #[test]
    fn catalogs_keep_their_order() {
        let found = parsed(
            r#"
            require_signature = true
            [[catalog]]
            url = "https://a.example/catalog.json"
            keys = ["RWQa", "RWQb"]
            [[catalog]]
            path = "team/catalog.json"
            keys = "RWQc"
            require_signature = false
            "#,
        );
        let catalog = |location: &str, keys: &[&str], require_signature| Catalog {
            location: location.to_owned(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            require_signature,
        };
        let expected = [
            catalog("https://a.example/catalog.json", &["RWQa", "RWQb"], true),
            catalog("/etc/x/team/catalog.json", &["RWQc"], false),
        ];
        assert_eq!(found.unwrap().catalogs, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, said) in [
            ("catalog = 1", ":1:11: \"catalog\" wants tables [[catalog]], not an integer"),
            ("catalog = [1]", ":1:12: \"catalog\" wants tables [[catalog]], not an integer"),
            ("[[catalog]]\nurl = \"a\"\npath = \"b\"", ": a catalog needs either a url or a path"),
            ("[[catalog]]\nkeys = []", ": a catalog needs either a url or a path"),
            ("[[catalog]]\nkey = \"a\"", ":2:1: there is no key \"key\" of a catalog"),
            ("[[catalog]]\nurl = \"a\"\nkeys = [1]", ":3:9: \"keys\" wants a string, or a list of strings"),
            ("require_signature = 1", ":1:21: \"require_signature\" wants true or false"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
