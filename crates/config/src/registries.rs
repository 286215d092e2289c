//! What is set for registries.
//!
//! ```toml
//! [registry."docker.io"]
//! mirrors = ["mirror.example:5000", { location = "cache.example/docker", tags = false }]
//!
//! [registry."registry.example:5000"]
//! ca = "company.pem"      # or a list; relative to this file
//! insecure = false
//! jobs = 8                # connections
//! timeout = 60            # seconds without data
//! ```

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use banger_registry::{Host, Mirror, Settings};
use toml::de::{DeTable, DeValue};

use crate::error::Error;
use crate::file::{File, Key, Value, entry, in_order};
use crate::hosts;

/// Seconds that a timeout may have: a day. Who wants to wait longer wants to wait for ever, and does not know it.
const LONGEST_TIMEOUT: u64 = 86_400;

const HOST_KEYS: [&str; 5] = ["mirrors", "ca", "insecure", "jobs", "timeout"];

/// Reads the settings of all registries.
pub(crate) fn read(file: &File<'_>, table: &DeTable<'_>) -> Result<Settings, Error> {
    let mut settings = Settings::default();
    let Some((key, value)) = entry(table, "registry") else { return Ok(settings) };
    for (host, value) in in_order(file.table(key, value, "a table [registry.\"HOST\"]")?) {
        let name = file.host(host)?;
        let table = file.table(host, value, "a table of settings")?;
        if settings.hosts.insert(name.clone(), file.settings_of(&name, table)?).is_some() {
            return Err(file.error(host.span().start, format!("{name} has settings twice")));
        }
    }
    Ok(settings)
}

impl File<'_> {
    fn settings_of(&self, host: &str, table: &DeTable<'_>) -> Result<Host, Error> {
        self.check_keys(table, &format!(" in [registry.\"{host}\"]"), &HOST_KEYS)?;
        let mut settings = Host::default();
        if let Some((key, value)) = entry(table, "mirrors") {
            let mirrors = value.get_ref().as_array().ok_or_else(|| self.wanted(key, value, "a list"))?;
            settings.mirrors = mirrors.iter().map(|value| self.mirror(key, value)).collect::<Result<_, _>>()?;
        }
        if let Some((key, value)) = entry(table, "ca") {
            settings.ca = self.files(key, value)?;
        }
        if let Some((key, value)) = entry(table, "insecure") {
            settings.insecure = self.boolean(key, value)?;
        }
        if let Some((key, value)) = entry(table, "jobs") {
            let jobs = usize::try_from(self.number(key, value, u64::from(u32::MAX))?);
            settings.jobs = jobs.ok().and_then(NonZeroUsize::new);
        }
        if let Some((key, value)) = entry(table, "timeout") {
            settings.timeout = Duration::from_secs(self.number(key, value, LONGEST_TIMEOUT)?);
        }
        Ok(settings)
    }

    /// A location, or a table of it and what is allowed.
    fn mirror(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Mirror, Error> {
        let location = |value: &Value<'_>, text: &str| {
            hosts::mirror(text).map_err(|reason| self.error(value.span().start, reason))
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Mirror { location: location(value, text)?, tags: true }),
            DeValue::Table(table) => {
                self.check_keys(table, " of a mirror", &["location", "tags"])?;
                let (key, text) = entry(table, "location")
                    .ok_or_else(|| self.error(value.span().start, "a mirror needs a location"))?;
                let location = location(text, self.string(key, text)?)?;
                let tags = entry(table, "tags").map(|(key, value)| self.boolean(key, value)).transpose()?;
                Ok(Mirror { location, tags: tags.unwrap_or(true) })
            }
            _ => Err(self.wanted(key, value, "strings, or tables with location and tags")),
        }
    }

    /// One file or a list of them, relative to the file they stand in.
    fn files(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<PathBuf>, Error> {
        let file = |value: &Value<'_>| match value.get_ref() {
            DeValue::String(text) if text.is_empty() => Err(self.error(value.span().start, "this names no file")),
            DeValue::String(text) => Ok(self.directory().join(text.as_ref())),
            _ => Err(self.wanted(key, value, "the name of a file, or a list of such names")),
        };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().map(file).collect(),
            _ => Ok(vec![file(value)?]),
        }
    }

    fn host(&self, key: &Key<'_>) -> Result<String, Error> {
        hosts::registry(key.get_ref()).map_err(|reason| {
            let error = self.error(key.span().start, reason);
            let rest = self.text.get(key.span().end..).unwrap_or_default();
            if rest.trim_start().starts_with('.') {
                // Without quotes a host is several keys.
                error.with_hint("a name with dots stands in quotes: [registry.\"docker.io\"]".to_owned())
            } else {
                error
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        crate::settings::parsed(text).unwrap_or_else(|error| panic!("{error}")).registries
    }

    #[test]
    fn everything_can_be_set() {
        let found = settings(
            r#"
            [registry."index.docker.io"]
            mirrors = ["mirror.example:5000/docker/", { location = "[::1]:80", tags = false }, { location = "localhost" }]
            [registry."localhost:5000"]
            ca = ["one.pem", "/two.pem"]
            insecure = true
            jobs = 0x8
            timeout = 1_0
            [registry]
            "a.example".ca = "../a.pem"
            "#,
        );
        let mirror = |location: &str, tags| Mirror { location: location.to_owned(), tags };
        let hub = Host {
            mirrors: vec![
                mirror("mirror.example:5000/docker", true),
                mirror("[::1]:80", false),
                mirror("localhost", true),
            ],
            ..Host::default()
        };
        let local = Host {
            ca: vec!["/etc/x/one.pem".into(), "/two.pem".into()],
            insecure: true,
            jobs: NonZeroUsize::new(8),
            timeout: Duration::from_secs(10),
            ..Host::default()
        };
        let other = Host { ca: vec!["/etc/x/../a.pem".into()], ..Host::default() };
        let expected = [("docker.io", hub), ("localhost:5000", local), ("a.example", other)];
        assert_eq!(found.hosts, expected.map(|(name, host)| (name.to_owned(), host)).into());
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "\n# nothing\n", "[registry]", "[registry.\"docker.io\"]\nmirrors = []"] {
            assert!(settings(text).hosts.into_values().all(|host| host == Host::default()), "{text}");
        }
    }
}
