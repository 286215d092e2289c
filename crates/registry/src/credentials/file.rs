//! The format of Docker's `config.json` and Podman's `auth.json`, as far as it is about credentials.
//!
//! ```json
//! {
//!     "auths": {
//!         "ghcr.io": { "auth": "<base64 of USER:PASSWORD>" },
//!         "quay.io/team": { "identitytoken": "<token>" },
//!         "registry.example": {}
//!     },
//!     "credHelpers": { "123.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login" },
//!     "credsStore": "secretservice"
//! }
//! ```
//!
//! An entry without content says that whoever is named by `credsStore` knows more. `username` and `password` in plain
//! text, which Kubernetes writes, do as well as `auth`.
//!
//! Whatever else is in a file belongs to other programs, and is still there when a login has been added.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Credential;
use super::keys::{Scope, matching};
use crate::Error;

const AUTHS: &str = "auths";
const HELPERS: &str = "credHelpers";
const STORE: &str = "credsStore";

/// The user name that says that the password is an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

/// A file of credentials in memory.
pub(super) struct AuthFile {
    path: PathBuf,
    root: Map<String, Value>,
}

/// The content is secret.
impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AuthFile {
    /// Understands what stands in a file. An empty one is one without credentials, as Docker has it: so is `/dev/null`.
    pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Self, Error> {
        let root = if content.trim_ascii().is_empty() {
            Value::Object(Map::new())
        } else {
            // The positions that the parser's messages have are harmless; it quotes nothing when it makes a `Value`.
            serde_json::from_slice(content).map_err(|error| broken(path, format!("it is not JSON: {error}")))?
        };
        let Value::Object(root) = root else {
            return Err(broken(path, "it is not a JSON object".to_owned()));
        };
        let file = Self { path: path.to_owned(), root };
        file.check_shape()?;
        Ok(file)
    }

    /// Where it was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The program that a registry's credentials are kept by, without `docker-credential-`. Empty where the file says
    /// that there shall be none.
    pub(super) fn helper_of(&self, registry: &Scope) -> Option<&str> {
        let helpers = self.object(HELPERS)?;
        let key = matching(helpers.keys().map(String::as_str).filter(|key| Scope::of_key(key).is_whole()), registry);
        helpers.get(*key.first()?)?.as_str()
    }

    /// The program that keeps all credentials that no other one keeps.
    pub(super) fn store(&self) -> Option<&str> {
        self.root.get(STORE)?.as_str().filter(|name| !name.is_empty())
    }

    /// Keys of `auths` that cover a name, the one that is meant most closely first.
    pub(super) fn keys_for(&self, name: &Scope) -> Vec<&str> {
        matching(self.keys(), name)
    }

    /// All keys of `auths`.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.object(AUTHS).into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// All keys of `credHelpers`.
    pub(super) fn keys_with_helpers(&self) -> impl Iterator<Item = &str> {
        self.object(HELPERS).into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// What stands under a key of `auths`; nothing where the entry is empty.
    pub(super) fn credential(&self, key: &str) -> Result<Option<Credential>, Error> {
        let Some(entry) = self.object(AUTHS).and_then(|auths| auths.get(key)) else { return Ok(None) };
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        if !text("identitytoken").is_empty() {
            return Ok(Some(Credential::IdentityToken(text("identitytoken").to_owned())));
        }
        let (username, password) = match text("auth").trim_ascii() {
            "" => (text("username").to_owned(), text("password").to_owned()),
            auth => decode(auth).map_err(|reason| broken(&self.path, format!("\"auth\" of {key:?} {reason}")))?,
        };
        Ok(credential(username, password))
    }

    /// Keeps a user's password, in place of what was there under any spelling of the registry's name.
    pub(super) fn set(&mut self, registry: &Scope, key: &str, username: &str, password: &str) {
        let auth = STANDARD.encode(format!("{username}:{password}"));
        self.set_entry(registry, key, json!({ "auth": auth }));
    }

    /// Notes that a helper keeps a user's password. Says whether that was new.
    pub(super) fn set_elsewhere(&mut self, registry: &Scope, key: &str) -> bool {
        let entry = self.object(AUTHS).and_then(|auths| auths.get(key));
        let others = self.keys().filter(|other| *other != key && is_entry_of(other, registry)).count();
        if others == 0 && entry.and_then(Value::as_object).is_some_and(Map::is_empty) {
            return false;
        }
        self.set_entry(registry, key, json!({}));
        true
    }

    /// Forgets what stands under a key of `auths`.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(Value::Object(auths)) = self.root.get_mut(AUTHS) {
            auths.remove(key);
        }
    }

    /// The file as it is written, with tabs as others write it.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        self.root.serialize(&mut serializer).map_err(|error| broken(&self.path, error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn set_entry(&mut self, registry: &Scope, key: &str, entry: Value) {
        let old: Vec<String> = self.keys().filter(|key| is_entry_of(key, registry)).map(str::to_owned).collect();
        for key in old {
            self.remove(&key);
        }
        let auths = self.root.entry(AUTHS).or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        if let Value::Object(auths) = auths {
            auths.insert(key.to_owned(), entry);
        }
    }

    fn object(&self, field: &str) -> Option<&Map<String, Value>> {
        self.root.get(field)?.as_object()
    }

    /// Everything that will be looked at has the right type, so that a misspelt entry is not taken for none.
    fn check_shape(&self) -> Result<(), Error> {
        let wrong = |what: String, wanted: &str| Err(broken(&self.path, format!("{what} is not {wanted}")));
        for field in [AUTHS, HELPERS] {
            if !matches!(self.root.get(field), None | Some(Value::Null | Value::Object(_))) {
                return wrong(format!("{field:?}"), "an object");
            }
        }
        if !matches!(self.root.get(STORE), None | Some(Value::Null | Value::String(_))) {
            return wrong(format!("{STORE:?}"), "a text");
        }
        for (key, helper) in self.object(HELPERS).into_iter().flatten() {
            if !helper.is_string() {
                return wrong(format!("the helper of {key:?}"), "a text");
            }
        }
        for (key, entry) in self.object(AUTHS).into_iter().flatten() {
            let Value::Object(entry) = entry else { return wrong(format!("the entry of {key:?}"), "an object") };
            for field in ["auth", "identitytoken", "username", "password"] {
                if !matches!(entry.get(field), None | Some(Value::Null | Value::String(_))) {
                    return wrong(format!("{field:?} of {key:?}"), "a text");
                }
            }
        }
        Ok(())
    }
}

/// A name and a password as they are meant; nothing where both are empty.
pub(super) fn credential(username: String, password: String) -> Option<Credential> {
    if username == TOKEN_USER {
        Some(Credential::IdentityToken(password))
    } else if username.is_empty() && password.is_empty() {
        None
    } else {
        Some(Credential::Basic { username, password })
    }
}

/// Whether a key of `auths` is for all of a registry, however it is written.
fn is_entry_of(key: &str, registry: &Scope) -> bool {
    let scope = Scope::of_key(key);
    scope.is_whole() && scope.shares_host(registry)
}

/// `USER:PASSWORD` in base64. Some programs leave the padding out, some use the alphabet for addresses, and some count the
/// zero byte at the end of a C string in.
fn decode(auth: &str) -> Result<(String, String), &'static str> {
    let digits = auth.trim_end_matches('=');
    let engine = if digits.contains(['-', '_']) { &URL_SAFE_NO_PAD } else { &STANDARD_NO_PAD };
    let bytes = engine.decode(digits).map_err(|_| "is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 inside its base64")?;
    let (username, password) = text.split_once(':').ok_or("has no colon inside its base64")?;
    Ok((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

fn broken(path: &Path, reason: String) -> Error {
    Error::Settings { what: path.display().to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> AuthFile {
        AuthFile::parse(Path::new("/f"), content.as_bytes()).unwrap()
    }

    fn basic(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { username: username.to_owned(), password: password.to_owned() })
    }

    fn token(token: &str) -> Option<Credential> {
        Some(Credential::IdentityToken(token.to_owned()))
    }

    #[test]
    fn entries_mean_what_their_programs_meant() {
        for (entry, expected) in [
            (r#"{"auth": "YW5uYTpzZWNyZXQ="}"#, basic("anna", "secret")),
            (r#"{"auth": "YW5uYTpzZWNyZXQ"}"#, basic("anna", "secret")),
            (r#"{"auth": " YW5uYTpzZWNyZXQ=\n"}"#, basic("anna", "secret")),
            // Colons and zero bytes.
            (r#"{"auth": "YW5uYTpzOmU6Yzo="}"#, basic("anna", "s:e:c:")),
            (r#"{"auth": "YW5uYTpzZWNyZXQAAAA="}"#, basic("anna", "secret")),
            // Both alphabets.
            (r#"{"auth": "YW5uYTo/Pj8+"}"#, basic("anna", "?>?>")),
            (r#"{"auth": "YW5uYTo_Pj8-"}"#, basic("anna", "?>?>")),
            (r#"{"auth": "YW5uYTrDvMO8"}"#, basic("anna", "üü")),
            (r#"{"auth": "YW5uYTo="}"#, basic("anna", "")),
            (r#"{"auth": "OnNlY3JldA=="}"#, basic("", "secret")),
            (r#"{"auth": "PHRva2VuPjphYmM="}"#, token("abc")),
            (r#"{"auth": "YW5uYTo=", "identitytoken": "abc"}"#, token("abc")),
            (r#"{"identitytoken": "abc", "email": "a@b"}"#, token("abc")),
            (r#"{"username": "anna", "password": "secret"}"#, basic("anna", "secret")),
            (r#"{"username": "other", "password": "x", "auth": "YW5uYTpzZWNyZXQ="}"#, basic("anna", "secret")),
            (r#"{"auth": "", "identitytoken": "", "username": null}"#, None),
            (r#"{"auth": "Og=="}"#, None),
            ("{}", None),
        ] {
            let file = file(&format!(r#"{{"auths": {{"q.io": {entry}}}}}"#));
            assert_eq!(file.credential("q.io").unwrap(), expected, "{entry}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_that_names_the_file_and_no_secret() {
        for content in [
            "{",
            "[]",
            "null",
            "\"c2VjcmV0\"",
            "{\"auths\": [\"c2VjcmV0\"]}",
            "{\"auths\": {\"q.io\": \"c2VjcmV0\"}}",
            "{\"auths\": {\"q.io\": {\"auth\": [\"c2VjcmV0\"]}}}",
            "{\"auths\": {\"q.io\": {\"auth\": \"c2VjcmV0\" x",
            "{\"auths\": {\"q.io\": {\"password\": 12345}}}",
            "{\"credsStore\": {\"c2VjcmV0\": 1}}",
            "{\"credHelpers\": \"c2VjcmV0\"}",
            "{\"credHelpers\": {\"q.io\": null}}",
            "\u{feff}{}",
        ] {
            let error = AuthFile::parse(Path::new("/some/file"), content.as_bytes()).expect_err(content).to_string();
            assert!(error.starts_with("/some/file: "), "{error}");
            assert!(!error.contains("c2VjcmV0") && !error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn only_the_entry_that_is_needed_must_be_right() {
        for auth in ["%%%", "YW5uYQ==", "YW5uYTr//w==", "YW5uYTpzZWNyZX=="] {
            let file = file(&format!(
                r#"{{"auths": {{"bad.io": {{"auth": "{auth}"}}, "q.io": {{"auth": "YW5uYTpzZWNyZXQ="}}}}}}"#
            ));
            assert_eq!(file.credential("q.io").unwrap(), basic("anna", "secret"));
            let error = file.credential("bad.io").expect_err(auth).to_string();
            assert!(error.starts_with("/f: \"auth\" of \"bad.io\" ") && !error.contains(auth), "{error}");
        }
    }

    #[test]
    fn empty_files_hold_nothing() {
        for content in ["", " \n", "{}", r#"{"auths": null, "credHelpers": null, "credsStore": null}"#] {
            let file = file(content);
            assert_eq!(file.keys().count(), 0);
            assert_eq!((file.store(), file.helper_of(&Scope::of_name("q.io", "x"))), (None, None));
        }
        assert_eq!(file(r#"{"credsStore": ""}"#).store(), None);
    }

    #[test]
    fn helpers_are_for_registries() {
        let file = file(
            r#"{"credHelpers": {"https://index.docker.io/v1/": "hub", "q.io": "", "q.io/a": "a"}, "credsStore": "s"}"#,
        );
        let helper = |domain: &str| file.helper_of(&Scope::of_name(domain, "a/b"));
        assert_eq!(helper("docker.io"), Some("hub"));
        assert_eq!(helper("q.io"), Some(""));
        assert_eq!(helper("r.io"), None);
        assert_eq!(file.store(), Some("s"));
    }

    #[test]
    fn a_login_leaves_everything_else_alone() {
        let mut file = file(
            r#"{"auths": {"https://q.io": {"auth": "b2xkOm9sZA=="}, "q.io/a": {"auth": "YTph"}, "r.io": {}},
                "HttpHeaders": {"X": "1"}, "psFormat": "table", "n": 12345678901234567890}"#,
        );
        file.set(&Scope::of_name("q.io", ""), "q.io", "anna", "s:e");
        assert!(!file.set_elsewhere(&Scope::of_name("r.io", ""), "r.io"));
        assert!(file.set_elsewhere(&Scope::of_name("s.io", ""), "s.io"));
        let bytes = file.to_bytes().unwrap();
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        let expected = json!({
            "auths": {"q.io": {"auth": "YW5uYTpzOmU="}, "q.io/a": {"auth": "YTph"}, "r.io": {}, "s.io": {}},
            "HttpHeaders": {"X": "1"}, "psFormat": "table", "n": 12345678901234567890_u64
        });
        assert_eq!(written, expected);
        assert!(bytes.starts_with(b"{\n\t\"") && bytes.ends_with(b"}\n"));
    }

    #[test]
    fn a_first_login_needs_no_auths() {
        for content in ["", "{}", r#"{"auths": null}"#] {
            let mut file = file(content);
            file.set(&Scope::of_name("q.io", ""), "q.io", "anna", "secret");
            assert_eq!(file.credential("q.io").unwrap(), basic("anna", "secret"));
        }
    }

    #[test]
    fn what_is_shown_of_a_file_is_where_it_is() {
        let shown = format!("{:?}", file(r#"{"auths": {"q.io": {"auth": "c2VjcmV0"}}}"#));
        assert!(shown.contains("/f") && !shown.contains("c2VjcmV0"), "{shown}");
    }
}
