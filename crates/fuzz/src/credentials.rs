//! Files of credentials, and what the user calls a registry.
//!
//! - A file that cannot be understood is refused, and is left as it is by a login.
//! - What a login has kept is found, and everything else in the file is still there.
//! - What a logout has forgotten is not found.
//! - A registry's name, once understood, means itself.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use banger_oci::Reference;
use banger_registry::credentials::{Credential, Credentials, Environment, Place, Search, Store, registry};
use serde_json::Value;

use crate::check_messages;

/// Registries, and a repository that no seed has an entry for.
const REGISTRIES: [(&str, &str); 3] = [
    ("docker.io", "docker.io/not-in-any-seed/x"),
    ("quay.io", "quay.io/not-in-any-seed/x"),
    ("localhost:5000", "localhost:5000/not-in-any-seed/x"),
];

const USER: &str = "anna";
const PASSWORD: &str = "a:b";

/// Takes the bytes for a file of credentials, and for the name of a registry.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        match registry(text) {
            Ok(name) => assert_eq!(registry(&name).ok(), Some(name)),
            Err(error) => check_messages(&error),
        }
    }
    // Without a PATH no helper is ever found, so none is run.
    let environment = Environment::default();
    let path = scratch();
    for (registry, repository) in REGISTRIES {
        write(path, data);
        let found = find(path, &environment, "quay.io/a/b");
        let store = Store::new(Some(path), &environment).expect("a file is named");
        match store.save(registry, USER, PASSWORD) {
            Ok(stored) => {
                assert_eq!(stored.place, Place::File(path.to_owned()));
                let expected = Credential::Basic { username: USER.to_owned(), password: PASSWORD.to_owned() };
                assert_eq!(find(path, &environment, repository), Ok(Some(expected)));
                assert_eq!(without_credentials(data), without_credentials(&read(path)));
            }
            Err(error) => {
                check_messages(&error);
                assert_eq!(read(path), data);
            }
        }
        if store.erase(registry).is_ok() {
            assert_eq!(find(path, &environment, repository), Ok(None));
        }
        if registry != "quay.io" && store.erase(registry).is_ok() {
            assert_eq!(find(path, &environment, "quay.io/a/b"), found, "what belongs to another registry");
        }
    }
}

fn find(path: &Path, environment: &Environment, repository: &str) -> Result<Option<Credential>, String> {
    let name = Reference::parse(repository).expect("a reference");
    Search::new(Some(path), environment).find(&name).map_err(|error| {
        check_messages(&error);
        error.to_string()
    })
}

/// What else is in a file.
fn without_credentials(data: &[u8]) -> Value {
    let mut value = match data.trim_ascii() {
        b"" => Value::Object(serde_json::Map::new()),
        data => serde_json::from_slice(data).expect("what was accepted is JSON"),
    };
    if let Value::Object(fields) = &mut value {
        fields.remove("auths");
    }
    value
}

/// A file of this process.
fn scratch() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| std::env::temp_dir().join(format!("banger-fuzz-{}", std::process::id())))
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the file is read")
}

fn write(path: &Path, data: &[u8]) {
    std::fs::write(path, data).expect("the file is written");
}
