//! Signatures, made by minisign itself.

use crate::support::{Server, judge, run, told};
use banger_catalog::{CatalogSource, Context, Error, ErrorKind, What, list, lookup};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CATALOG: &str = r#"{"version":1,"images":[{"name":"a","arch":"amd64","url":"a.tar.zst","size":1,"description":"",
    "sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]}"#;

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A pair of keys, of which the public one is given.
    fn key(&self, name: &str) -> String {
        let (public, secret) = (self.path(&format!("{name}.pub")), self.path(&format!("{name}.key")));
        run(Command::new("minisign").args(["-G", "-W", "-f", "-p"]).arg(&public).arg("-s").arg(&secret));
        fs::read_to_string(public).unwrap().lines().nth(1).unwrap().to_owned()
    }

    fn sign(&self, key: &str, file: &Path, options: &[&str]) {
        let secret = self.path(&format!("{key}.key"));
        run(Command::new("minisign").args(["-S", "-W"]).args(options).arg("-s").arg(secret).arg("-m").arg(file));
    }

    fn find(&self, source: &CatalogSource, server: &Server) -> Result<(bool, Vec<String>), Error> {
        let cache = self.path("cache");
        let context = Context { fetch: server, cache: &cache, insecure: &[] };
        let found = lookup(std::slice::from_ref(source), What::Image, "a", "amd64", &context)?;
        Ok((found.offer.signed, found.warnings))
    }
}

fn source(location: impl Into<String>, keys: &[&String], require_signature: bool) -> CatalogSource {
    CatalogSource { location: location.into(), keys: keys.iter().map(ToString::to_string).collect(), require_signature }
}

#[test]
fn catalogs_that_are_signed_and_that_are_not() {
    if !judge("minisign") {
        return;
    }
    let scratch = Scratch::new();
    let (ours, theirs) = (scratch.key("ours"), scratch.key("theirs"));
    let catalog = scratch.path("catalog.json");
    let signature = scratch.path("catalog.json.minisig");
    let whole_file = fs::read_to_string(scratch.path("ours.pub")).unwrap();
    let write = |text: &str| fs::write(&catalog, text).unwrap();
    let unsigned = || {
        write(CATALOG);
        let _ = fs::remove_file(&signature);
    };
    let signed = || {
        write(CATALOG);
        scratch.sign("ours", &catalog, &[]);
    };
    type Case<'a> = (&'a str, &'a dyn Fn(), &'a [&'a String], bool, Result<bool, (ErrorKind, &'a str)>);
    let cases: [Case<'_>; 15] = [
        ("unsigned, no key", &unsigned, &[], false, Ok(false)),
        ("unsigned, required", &unsigned, &[], true, Err((ErrorKind::Usage, "no key is set"))),
        ("unsigned, a key", &unsigned, &[&ours], false, Err((ErrorKind::Integrity, "it has no signature"))),
        ("signed, no key", &signed, &[], false, Ok(false)),
        ("signed", &signed, &[&ours], false, Ok(true)),
        ("signed, required", &signed, &[&ours], true, Ok(true)),
        ("signed by one of two", &signed, &[&theirs, &ours], true, Ok(true)),
        ("the key's whole file", &signed, &[&whole_file], true, Ok(true)),
        ("signed by another", &signed, &[&theirs], true, Err((ErrorKind::Integrity, "with another key"))),
        (
            "changed afterwards",
            &|| {
                signed();
                write(&CATALOG.replace("a.tar.zst", "b.tar.zst"));
            },
            &[&ours],
            true,
            Err((ErrorKind::Integrity, "not of this document")),
        ),
        (
            "the comment changed",
            &|| {
                signed();
                let text = fs::read_to_string(&signature).unwrap();
                fs::write(&signature, text.replace("trusted comment: t", "trusted comment: T")).unwrap();
            },
            &[&ours],
            true,
            Err((ErrorKind::Integrity, "not of this document")),
        ),
        (
            "the old form",
            &|| {
                write(CATALOG);
                scratch.sign("ours", &catalog, &["-l"]);
            },
            &[&ours],
            true,
            Err((ErrorKind::Integrity, "of the old form")),
        ),
        (
            "no signature at all",
            &|| {
                unsigned();
                fs::write(&signature, "garbage").unwrap();
            },
            &[&ours],
            true,
            Err((ErrorKind::Integrity, "not one of minisign")),
        ),
        (
            "a signature of any length",
            &|| {
                unsigned();
                fs::write(&signature, "x".repeat(1 << 20)).unwrap();
            },
            &[&ours],
            true,
            Err((ErrorKind::Integrity, "not one of minisign")),
        ),
        (
            "no key at all",
            &signed,
            &[&catalog.display().to_string()],
            true,
            Err((ErrorKind::Usage, "not a public key")),
        ),
    ];
    for (name, prepare, keys, required, expected) in cases {
        prepare();
        let found = scratch.find(&source(catalog.display().to_string(), keys, required), &Server::default());
        match (found, expected) {
            (Ok((signed, warnings)), Ok(expected)) => {
                assert_eq!(signed, expected, "{name}");
                assert_eq!(warnings, [""; 0], "{name}");
            }
            (Err(error), Err((kind, message))) => {
                assert_eq!(error.kind(), kind, "{name}: {}", told(&error));
                assert!(told(&error).contains(message), "{name}: {}", told(&error));
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn a_broken_signature_does_not_give_way_to_the_next_catalog() {
    if !judge("minisign") {
        return;
    }
    let scratch = Scratch::new();
    let key = scratch.key("ours");
    let (first, second) = (scratch.path("first.json"), scratch.path("second.json"));
    fs::write(&first, CATALOG).unwrap();
    fs::write(&second, CATALOG).unwrap();
    let sources =
        [source(first.display().to_string(), &[&key], true), source(second.display().to_string(), &[], false)];
    let (server, cache) = (Server::default(), scratch.path("cache"));
    let context = Context { fetch: &server, cache: &cache, insecure: &[] };
    let error = lookup(&sources, What::Image, "a", "amd64", &context).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");

    // A listing goes on, and says so.
    let listing = list(&sources, &context);
    assert!(listing.warnings.len() == 1 && listing.warnings[0].contains("first.json"), "{:?}", listing.warnings);
    let offered: Vec<_> = listing.offers.iter().map(|offer| (&*offer.catalog, &*offer.entry.name)).collect();
    assert_eq!(offered[0], (&*second.display().to_string(), "a"));

    fs::write(&first, "not JSON").unwrap();
    scratch.sign("ours", &first, &[]);
    let found = lookup(&sources, What::Image, "a", "amd64", &context).unwrap();
    assert_eq!(found.offer.catalog, second.display().to_string());
    assert!(found.warnings[0].contains("first.json"), "{:?}", found.warnings);
}

#[test]
fn a_signed_catalog_without_a_network() {
    const URL: &str = "https://e.org/catalog.json";
    if !judge("minisign") {
        return;
    }
    let scratch = Scratch::new();
    let (key, other) = (scratch.key("ours"), scratch.key("theirs"));
    let catalog = scratch.path("catalog.json");
    fs::write(&catalog, CATALOG).unwrap();
    scratch.sign("ours", &catalog, &[]);
    let server = Server::with(URL, CATALOG.as_bytes());
    let source_of = |key: &String| source(URL, &[key], true);

    // It has none there yet.
    let error = scratch.find(&source_of(&key), &server).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    server.put(&format!("{URL}.minisig"), &fs::read(scratch.path("catalog.json.minisig")).unwrap());
    assert_eq!(scratch.find(&source_of(&key), &server).unwrap(), (true, vec![]));

    let offline = || Server { always: Some(crate::support::Turn::Fail(ErrorKind::Network)), ..Server::with(URL, b"") };
    let (signed, warnings) = scratch.find(&source_of(&key), &offline()).unwrap();
    assert!(signed && warnings[0].contains("fetched last"), "{warnings:?}");
    // What is kept is checked like what comes.
    let error = scratch.find(&source_of(&other), &offline()).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");

    // Somebody else's catalog is not replaced by the one that is kept, and does not replace it.
    server.put(URL, CATALOG.replace("a.tar.zst", "b.tar.zst").as_bytes());
    let error = scratch.find(&source_of(&key), &server).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    server.remove(&format!("{URL}.minisig"));
    let error = scratch.find(&source_of(&key), &server).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    assert!(scratch.find(&source_of(&key), &offline()).unwrap().0);
}
