//! One entry of a catalog: its fields, and what they must be.

use banger_oci::{Algorithm, Digest};
use serde_json::Number;

use crate::address;
use crate::json::{Json, Object};
use crate::limits::{FILE_BYTES, TEXT_BYTES};
use crate::name::{check_architecture, is_name};

const NAME: &str = "name";
const DISTRO: &str = "distro";
const ARCH: &str = "arch";
const KERNEL_REF: &str = "kernel_ref";
const VERSION: &str = "version";
const URL: &str = "url";
const SHA256: &str = "sha256";
const SIZE: &str = "size";
const DESCRIPTION: &str = "description";

const KNOWN: [&str; 9] = [NAME, DISTRO, ARCH, KERNEL_REF, VERSION, URL, SHA256, SIZE, DESCRIPTION];

/// What an entry offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// An image, in a bundle.
    Image,
    /// A kernel, in an archive.
    Kernel,
}

impl What {
    pub(crate) const ALL: [Self; 2] = [Self::Image, Self::Kernel];

    /// Its list in the document.
    pub(crate) fn list(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Kernel => "kernels",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Kernel => "kernel",
        }
    }
}

/// The bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Their digest; always sha256.
    pub sha256: Digest,
    /// How many they are.
    pub size: u64,
}

/// What is offered under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether it is an image or a kernel.
    pub what: What,
    /// Its name.
    pub name: String,
    /// The distribution that it is of.
    pub distro: Option<String>,
    /// What it runs on, as image indexes name it.
    pub arch: String,
    /// Of an image: the name of the kernel that it is meant for.
    pub kernel_ref: Option<String>,
    /// Of a kernel: its version.
    pub version: Option<String>,
    /// Where the file is, as it stands in the catalog.
    pub url: String,
    /// What is in the file. None for what is a part of banger, and for that alone.
    pub content: Option<Content>,
    /// What it is, in words.
    pub description: String,
}

/// What is wrong with an entry.
#[derive(Debug)]
pub(super) struct Problem {
    /// The entry's name, where it has one.
    pub(super) name: Option<String>,
    pub(super) reason: String,
}

impl Entry {
    pub(super) fn from_json(what: What, json: &Json) -> Result<Self, Problem> {
        let Json::Object(json) = json else {
            return Err(Problem { name: None, reason: "it is not an object".to_owned() });
        };
        let read = || {
            check_spelling(json, &KNOWN)?;
            let entry = Self {
                what,
                name: required(json, NAME)?,
                distro: text(json, DISTRO)?,
                arch: required(json, ARCH)?,
                kernel_ref: text(json, KERNEL_REF)?,
                version: text(json, VERSION)?,
                url: required(json, URL)?,
                content: content(json)?,
                description: text(json, DESCRIPTION)?.unwrap_or_default(),
            };
            entry.check()?;
            Ok(entry)
        };
        read().map_err(|reason| {
            let name = text(json, NAME).ok().flatten().filter(|name| name.len() <= TEXT_BYTES);
            Problem { name, reason }
        })
    }

    /// What every entry must be, wherever it comes from. The addresses that may be followed depend on the catalog's own place, which
    /// is not known here.
    pub(super) fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            let reason = "is no name: lower case letters, digits and '.', '_', '-' are";
            return Err(format!("{:?} {reason}", shortened(&self.name)));
        }
        check_architecture(&self.arch)?;
        let texts = [
            (DISTRO, self.distro.as_deref()),
            (VERSION, self.version.as_deref()),
            (DESCRIPTION, Some(&*self.description)),
        ];
        for (key, text) in texts {
            // They are shown to somebody, on a terminal perhaps.
            if text.is_some_and(|text| text.len() > TEXT_BYTES || text.chars().any(is_unfit)) {
                return Err(format!("{key:?} has more than {TEXT_BYTES} bytes, or control characters"));
            }
        }
        match (self.what, &self.kernel_ref, &self.version) {
            (What::Image, _, Some(_)) => return Err(format!("an image has no {VERSION:?}")),
            (What::Kernel, Some(_), _) => return Err(format!("a kernel has no {KERNEL_REF:?}")),
            (What::Kernel, _, None) => return Err(format!("{VERSION:?} is missing")),
            (What::Image, Some(name), _) if !is_name(name) => {
                return Err(format!("{KERNEL_REF:?} is no name of a kernel: {:?}", shortened(name)));
            }
            _ => {}
        }
        let builtin = address::check(&self.url)
            .map_err(|error| format!("{URL:?} is no address ({:?}): {error}", shortened(&self.url)))?;
        match self.content {
            Some(_) if builtin => Err(format!("what is built in has neither {SHA256:?} nor {SIZE:?}")),
            None if !builtin => Err(format!("{SHA256:?} and {SIZE:?} are missing")),
            Some(Content { size, .. }) if size == 0 || size > FILE_BYTES => {
                Err(format!("{SIZE:?} is {size}; no file has less than 1 byte or more than {FILE_BYTES}"))
            }
            Some(Content { sha256, .. }) if sha256.algorithm() != Algorithm::Sha256 => {
                Err(format!("{SHA256:?} is another digest"))
            }
            _ => Ok(()),
        }
    }

    /// Writes the fields into an object, and removes those that the entry does not have.
    pub(super) fn write(&self, json: &mut Object) {
        let content = self.content.map(|content| (content.sha256.hex(), content.size));
        let (sha256, size) = content.map_or((None, None), |(sha256, size)| (Some(sha256), Some(size)));
        let string = |text: &str| Json::String(text.to_owned());
        let fields = [
            (NAME, Some(string(&self.name))),
            (DISTRO, self.distro.as_deref().map(string)),
            (ARCH, Some(string(&self.arch))),
            (KERNEL_REF, self.kernel_ref.as_deref().map(string)),
            (VERSION, self.version.as_deref().map(string)),
            (URL, Some(string(&self.url))),
            (SHA256, sha256.map(Json::String)),
            (SIZE, size.map(|size| Json::Number(Number::from(size)))),
            (DESCRIPTION, Some(string(&self.description))),
        ];
        for (key, value) in fields {
            match value {
                Some(value) => json.set(key, value),
                None => json.remove(key),
            }
        }
    }
}

/// A field that equals a known one but for upper and lower case: not every reader would pass over it.
pub(super) fn check_spelling(json: &Object, known: &[&str]) -> Result<(), String> {
    for key in json.keys() {
        if let Some(meant) = known.iter().find(|known| known.eq_ignore_ascii_case(key) && **known != key) {
            return Err(format!("the field {key:?} is spelt {meant:?}"));
        }
    }
    Ok(())
}

fn text(json: &Object, key: &str) -> Result<Option<String>, String> {
    match json.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{key:?} is not a text")),
    }
}

fn required(json: &Object, key: &str) -> Result<String, String> {
    text(json, key)?.ok_or_else(|| format!("{key:?} is missing"))
}

fn content(json: &Object) -> Result<Option<Content>, String> {
    let size = match json.get(SIZE) {
        None | Some(Json::Null) => None,
        Some(Json::Number(number)) => {
            Some(number.as_u64().ok_or_else(|| format!("{SIZE:?} is {number}, which is no number of bytes"))?)
        }
        Some(_) => return Err(format!("{SIZE:?} is not a number")),
    };
    match (text(json, SHA256)?, size) {
        (None, None) => Ok(None),
        (Some(hex), Some(size)) => {
            let sha256 = format!("{}:{hex}", Algorithm::Sha256).parse();
            let sha256 = sha256.map_err(|_| format!("{SHA256:?} is not 64 hexadecimal digits in lower case"))?;
            Ok(Some(Content { sha256, size }))
        }
        (None, _) => Err(format!("{SHA256:?} is missing")),
        (_, None) => Err(format!("{SIZE:?} is missing")),
    }
}

/// Control characters, and those that turn the direction of text or take no place.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The beginning of a foreign text, as much as a message should show.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;
    use banger_error::ErrorKind;
    use serde_json::{Value, json};

    fn image() -> Value {
        json!({
            "name": "debian", "arch": "amd64", "url": "https://e.org/debian.tar.zst",
            "sha256": Digest::sha256(b"x").hex(), "size": 1, "description": "d"
        })
    }

    fn with(key: &str, value: Value) -> Value {
        let mut image = image();
        image[key] = value;
        image
    }

    fn without(key: &str) -> Value {
        let mut image = image();
        image.as_object_mut().unwrap().remove(key);
        image
    }

    fn parse(document: &Value) -> crate::Result<Catalog> {
        Catalog::parse(document.to_string().as_bytes(), "the catalog c")
    }

    #[test]
    fn entries_that_are_none() {
        let sha256 = Digest::sha256(b"x").hex();
        let cases = [
            (json!(1), "image number 1: it is not an object"),
            (without("name"), "image number 1: \"name\" is missing"),
            (with("name", json!(1)), "image number 1: \"name\" is not a text"),
            (with("name", json!("Debian")), "is no name"),
            (with("name", json!("debian:12")), "is no name"),
            (with("name", json!("../x")), "is no name"),
            (with("name", json!("\u{1b}[0m")), "\\u{1b}[0m"),
            (with("name", json!(sha256)), "is no name"),
            (with("Name", json!("x")), "\"Name\" is spelt \"name\""),
            (without("arch"), "image \"debian\": \"arch\" is missing"),
            (with("arch", json!("x86_64")), "is called \"amd64\""),
            (with("arch", json!(null)), "\"arch\" is missing"),
            (without("url"), "\"url\" is missing"),
            (with("url", json!("")), "\"url\" is no address"),
            (with("url", json!("ftp://e.org/x")), "\"ftp\" is not one of"),
            (with("url", json!("//e.org/x")), "\"url\" is no address"),
            (with("url", json!("https://u:p@e.org/x")), "user name or a password"),
            (with("url", json!("x\ny")), "\"url\" is no address"),
            (with("url", json!("builtin:demo")), "neither \"sha256\" nor \"size\""),
            (without("sha256"), "\"sha256\" is missing"),
            (without("size"), "\"size\" is missing"),
            (with("sha256", json!(sha256.to_uppercase())), "64 hexadecimal digits"),
            (with("sha256", json!(&sha256[1..])), "64 hexadecimal digits"),
            (with("sha256", json!(format!("{sha256}0"))), "64 hexadecimal digits"),
            (with("sha256", json!("../../etc/passwd")), "64 hexadecimal digits"),
            (with("sha256", json!("")), "64 hexadecimal digits"),
            (with("size", json!(0)), "no file has less than 1 byte"),
            (with("size", json!(-1)), "no number of bytes"),
            (with("size", json!(1.5)), "no number of bytes"),
            (with("size", json!("1")), "not a number"),
            (with("size", json!(FILE_BYTES + 1)), "no file has"),
            (with("version", json!("1")), "an image has no \"version\""),
            (with("kernel_ref", json!("a b")), "no name of a kernel"),
            (with("description", json!("\u{202e}")), "control characters"),
            (with("distro", json!("x".repeat(TEXT_BYTES + 1))), "more than 1024 bytes"),
        ];
        for (entry, message) in cases {
            let error = parse(&json!({ "version": 1, "images": [entry] })).expect_err(message);
            assert_eq!(error.kind(), ErrorKind::Integrity);
            assert!(error.to_string().contains(message), "{error} ({message})");
            assert!(error.to_string().starts_with("the catalog c, image"), "{error}");
        }
    }

    #[test]
    fn kernels_that_are_none() {
        for (entry, message) in [
            (image(), "kernel \"debian\": \"version\" is missing"),
            (with("kernel_ref", json!("x")), "a kernel has no \"kernel_ref\""),
        ] {
            let error = parse(&json!({ "version": 1, "kernels": [entry] })).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let catalog = parse(&json!({ "version": 1, "kernels": [with("version", json!("6.1.0"))] })).unwrap();
        assert_eq!(catalog.entries()[0].version.as_deref(), Some("6.1.0"));
    }

    #[test]
    fn documents_that_are_no_catalogs() {
        let many: Vec<Value> =
            (0..=crate::limits::ENTRIES).map(|number| with("name", json!(format!("n{number}")))).collect();
        let cases = [
            (json!({}), "it has no version"),
            (json!({ "version": "1" }), "it has no version"),
            (json!({ "version": 2, "pictures": [] }), "it is of version 2; this program reads version 1"),
            (json!({ "version": 1.0 }), "it is of version 1.0"),
            (json!({ "version": 1, "Images": [] }), "\"Images\" is spelt \"images\""),
            (json!({ "version": 1, "images": {} }), "\"images\" is not a list"),
            (json!({ "version": 1, "images": [image(), image()] }), "image \"debian\": it is there twice for amd64"),
            (json!({ "version": 1, "images": many }), "more than 10000 entries"),
        ];
        for (document, message) in cases {
            let error = parse(&document).expect_err(message).to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = Catalog::parse(&vec![b' '; (4 << 20) + 1], "it").unwrap_err().to_string();
        assert_eq!(error, "it has more than 4194304 bytes");
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let mut arm = with("arch", json!("arm64"));
        arm["signed-off-by"] = json!({ "x": [1] });
        arm["description"] = json!(null);
        let catalog = parse(&json!({ "version": 1, "later": 1, "images": [image(), arm] })).unwrap();
        let found: Vec<_> = catalog.entries().iter().map(|entry| (&*entry.arch, &*entry.description)).collect();
        assert_eq!(found, [("amd64", "d"), ("arm64", "")]);
    }
}
