//! `config.toml`, as a whole.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::catalogs::{self, Catalog};
use crate::error::Error;
use crate::file::{File, entry};
use crate::registries;

const KEYS: [&str; 5] = ["registry", "catalog", "require_signature", "kernel", "zstd_window_mib"];

/// The largest window of zstd that can be set, in MiB: what its library can decode.
const ZSTD_WINDOW_MAX_MIB: u64 = 2048;

/// What is set.
///
/// ```toml
/// kernel = "mine"             # the kernel of images that are pulled without one
/// require_signature = true    # of all catalogs that others provide
/// zstd_window_mib = 1024      # the most memory for windows of zstd while layers are read
///
/// [[catalog]]
/// url = "https://images.example/catalog.json"
/// keys = ["RWQ…"]
///
/// [registry."docker.io"]
/// mirrors = ["mirror.example:5000"]
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of registries.
    pub registries: banger_registry::Settings,
    /// Catalogs, in the order in which they are looked through.
    pub catalogs: Vec<Catalog>,
    /// The name of the kernel that images get where nothing else is said.
    pub kernel: Option<String>,
    /// The largest window of zstd in a layer, in bytes, and the most that all of them take together.
    pub zstd_window: Option<u64>,
}

impl Settings {
    /// Reads the settings: those of a file that is named, or else of the `usual` one, which need not be there.
    ///
    /// # Errors
    /// The file cannot be read or understood. A key that is not known is an error, as is a value of another type: what was
    /// meant by it would silently not be done.
    pub fn load(named: Option<&Path>, usual: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = named.or(usual) else { return Ok(Self::default()) };
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Self::default()),
            Err(error) => Err(Error::read(path, error)),
        }
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let encoding = |source| Error::Encoding { path: PathBuf::from(path), source };
        let file = File { path, text: std::str::from_utf8(bytes).map_err(encoding)? };
        let table = DeTable::parse(file.text)
            .map_err(|error| file.error(error.span().map_or(0, |span| span.start), error.message()))?;
        let table = table.get_ref();
        file.check_keys(table, "", &KEYS)?;
        let registries = registries::read(&file, table)?;
        let required = match entry(table, "require_signature") {
            Some((key, value)) => file.boolean(key, value)?,
            None => false,
        };
        let catalogs = catalogs::read(&file, table, required)?;
        let kernel = entry(table, "kernel").map(|(key, value)| file.string(key, value)).transpose()?;
        let zstd_window = entry(table, "zstd_window_mib")
            .map(|(key, value)| file.number(key, value, ZSTD_WINDOW_MAX_MIB).map(|mib| mib << 20))
            .transpose()?;
        Ok(Self { registries, catalogs, kernel: kernel.map(str::to_owned), zstd_window })
    }
}

#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Result<Settings, Error> {
    Settings::parse(text.as_bytes(), Path::new("/etc/x/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "\n# nothing\n", "catalog = []"] {
            assert_eq!(parsed(text).unwrap(), Settings::default(), "{text}");
        }
    }

    #[test]
    fn windows_of_zstd_have_a_limit_in_mib() {
        assert_eq!(parsed("zstd_window_mib = 1024").unwrap().zstd_window, Some(1 << 30));
        for wrong in ["0", "2049", "\"1GiB\"", "-1"] {
            let error = parsed(&format!("zstd_window_mib = {wrong}")).unwrap_err().to_string();
            assert!(error.contains("\"zstd_window_mib\" wants a whole number from 1 to 2048"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_named_need_not_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        assert_eq!(Settings::load(None, None).unwrap(), Settings::default());
        assert_eq!(Settings::load(None, Some(&path)).unwrap(), Settings::default());
        assert!(matches!(Settings::load(Some(&path), None), Err(Error::Read { .. })));
        std::fs::write(&path, "kernel = \"mine\"").unwrap();
        assert_eq!(Settings::load(Some(&path), None).unwrap().kernel.as_deref(), Some("mine"));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(matches!(Settings::load(None, Some(&path)), Err(Error::Encoding { .. })));
    }
}
