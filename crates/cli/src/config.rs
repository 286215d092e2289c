//! `config.toml`: what is set for registries.
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
//!
//! A key that is not known is an error, as is a value of another type: what was meant by it would silently not be done.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banger_oci::nearest::nearest;
use banger_registry::{Host, Mirror, Settings};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::directories;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hosts;

/// Seconds that a timeout may have: a day. Who wants to wait longer wants to wait for ever, and does not know it.
const LONGEST_TIMEOUT: u64 = 86_400;

const HOST_KEYS: [&str; 5] = ["mirrors", "ca", "insecure", "jobs", "timeout"];

/// Reads the settings: those of a file that is named, or else of the user's, which need not be there.
pub(crate) fn load(named: Option<&Path>) -> Result<Settings, Failure> {
    let Some(path) = named.map(Path::to_owned).or_else(directories::config) else { return Ok(Settings::default()) };
    match std::fs::read(&path) {
        Ok(bytes) => parse(&bytes, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Settings::default()),
        Err(error) => Err(Failure::file("read", &path, &error)),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Settings, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| File { path, text: "" }.failure(0, "the file is not UTF-8").because(&error))?;
    let file = File { path, text };
    let table = DeTable::parse(text)
        .map_err(|error| file.failure(error.span().map_or(0, |span| span.start), error.message()))?;
    let table = table.get_ref();
    file.check_keys(table, "", &["registry"])?;
    let mut settings = Settings::default();
    let Some((key, value)) = entry(table, "registry") else { return Ok(settings) };
    for (host, value) in in_order(file.table(key, value, "a table [registry.\"HOST\"]")?) {
        let name = file.host(host)?;
        let table = file.table(host, value, "a table of settings")?;
        if settings.hosts.insert(name.clone(), file.settings_of(&name, table)?).is_some() {
            return Err(file.failure(host.span().start, format!("{name} has settings twice")));
        }
    }
    Ok(settings)
}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

/// The entries of a table as they stand in the file, so that the first error is the one that is told.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Key<'i>, &'t Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<(&'t Key<'i>, &'t Value<'i>)> {
    table.iter().find(|(found, _)| found.get_ref() == key)
}

/// What is read, for errors that say where.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn settings_of(&self, host: &str, table: &DeTable<'_>) -> Result<Host, Failure> {
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
    fn mirror(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Mirror, Failure> {
        let location = |value: &Value<'_>, text: &str| {
            hosts::mirror(text).map_err(|reason| self.failure(value.span().start, reason))
        };
        match value.get_ref() {
            DeValue::String(text) => Ok(Mirror { location: location(value, text)?, tags: true }),
            DeValue::Table(table) => {
                self.check_keys(table, " of a mirror", &["location", "tags"])?;
                let (key, text) = entry(table, "location")
                    .ok_or_else(|| self.failure(value.span().start, "a mirror needs a location"))?;
                let location = location(text, self.string(key, text)?)?;
                let tags = entry(table, "tags").map(|(key, value)| self.boolean(key, value)).transpose()?;
                Ok(Mirror { location, tags: tags.unwrap_or(true) })
            }
            _ => Err(self.wanted(key, value, "strings, or tables with location and tags")),
        }
    }

    /// One file or a list of them, relative to the file they stand in.
    fn files(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<PathBuf>, Failure> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let file = |value: &Value<'_>| match value.get_ref() {
            DeValue::String(text) if text.is_empty() => Err(self.failure(value.span().start, "this names no file")),
            DeValue::String(text) => Ok(directory.join(text.as_ref())),
            _ => Err(self.wanted(key, value, "the name of a file, or a list of such names")),
        };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().map(file).collect(),
            _ => Ok(vec![file(value)?]),
        }
    }

    fn host(&self, key: &Key<'_>) -> Result<String, Failure> {
        hosts::registry(key.get_ref()).map_err(|reason| {
            let failure = self.failure(key.span().start, reason);
            let rest = self.text.get(key.span().end..).unwrap_or_default();
            if rest.trim_start().starts_with('.') {
                // Without quotes a host is several keys.
                failure.hint("a name with dots stands in quotes: [registry.\"docker.io\"]")
            } else {
                failure
            }
        })
    }

    fn table<'v, 'i>(&self, key: &Key<'_>, value: &'v Value<'i>, wanted: &str) -> Result<&'v DeTable<'i>, Failure> {
        value.get_ref().as_table().ok_or_else(|| self.wanted(key, value, wanted))
    }

    fn string<'v>(&self, key: &Key<'_>, value: &'v Value<'_>) -> Result<&'v str, Failure> {
        value.get_ref().as_str().ok_or_else(|| self.wanted(key, value, "a string"))
    }

    fn boolean(&self, key: &Key<'_>, value: &Value<'_>) -> Result<bool, Failure> {
        value.get_ref().as_bool().ok_or_else(|| self.wanted(key, value, "true or false"))
    }

    fn number(&self, key: &Key<'_>, value: &Value<'_>, highest: u64) -> Result<u64, Failure> {
        let wanted = format!("a whole number from 1 to {highest}");
        let integer = value.get_ref().as_integer().ok_or_else(|| self.wanted(key, value, &wanted))?;
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if (1..=highest).contains(&number) => Ok(number),
            _ => {
                let what = format!("{:?} wants {wanted}, not {integer}", key.get_ref());
                Err(self.failure(value.span().start, what))
            }
        }
    }

    fn wanted(&self, key: &Key<'_>, value: &Value<'_>, wanted: &str) -> Failure {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        self.failure(value.span().start, format!("{:?} wants {wanted}, not {article} {found}", key.get_ref()))
    }

    /// Keys come before values: what is meant by a wrong one may be why another value is wrong.
    fn check_keys(&self, table: &DeTable<'_>, place: &str, known: &[&'static str]) -> Result<(), Failure> {
        let unknown = in_order(table).into_iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        let Some((key, _)) = unknown else { return Ok(()) };
        let failure = self.failure(key.span().start, format!("there is no key {:?}{place}", key.get_ref()));
        Err(match nearest(key.get_ref(), known.iter().copied()) {
            Some(nearest) => failure.hint(format!("perhaps {nearest:?} is meant")),
            None => failure.hint(format!("the keys that are known: {}", known.join(", "))),
        })
    }

    /// An error at a byte of the file.
    fn failure(&self, offset: usize, what: impl std::fmt::Display) -> Failure {
        let (line, column) = place(self.text, offset);
        Failure::new(Exit::Usage, format!("{}:{line}:{column}: {what}", self.path.display()))
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

    fn settings(text: &str) -> Settings {
        parse(text.as_bytes(), Path::new("/etc/x/config.toml")).unwrap_or_else(|failure| panic!("{failure:?}"))
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

    #[test]
    fn places_are_counted_as_editors_do() {
        let text = "a\nbc\n\u{e9}\u{e9}x";
        for (offset, expected) in [(0, (1, 1)), (2, (2, 1)), (3, (2, 2)), (5, (3, 1)), (9, (3, 3)), (99, (3, 4))] {
            assert_eq!(place(text, offset), expected, "{offset}");
        }
    }
}
