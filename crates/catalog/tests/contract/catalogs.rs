//! Catalogs: where they come from, in which order, and what is said when something is not there.

use crate::support::{Server, Turn, told};
use banger_catalog::address::Place;
use banger_catalog::{CatalogSource, Context, Error, ErrorKind, Found, What, list, lookup};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const URL: &str = "https://e.org/c/catalog.json";

struct Scratch {
    directory: tempfile::TempDir,
    server: Server,
    insecure: Vec<String>,
    sources: Vec<CatalogSource>,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, server: Server::default(), insecure: Vec::new(), sources: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds a catalog that is a file.
    fn file(&mut self, name: &str, document: &str) -> String {
        fs::write(self.path(name), document).unwrap();
        self.source(&self.path(name).display().to_string())
    }

    fn source(&mut self, location: &str) -> String {
        self.sources.push(CatalogSource { location: location.to_owned(), ..CatalogSource::default() });
        location.to_owned()
    }

    fn lookup(&self, what: What, name: &str, arch: &str) -> Result<Found, Error> {
        let cache = self.path("cache");
        let context = Context { fetch: &self.server, cache: &cache, insecure: &self.insecure };
        lookup(&self.sources, what, name, arch, &context)
    }
}

fn entry(name: &str, arch: &str, url: &str) -> Value {
    json!({ "name": name, "arch": arch, "url": url, "sha256": "0".repeat(64), "size": 1, "description": "" })
}

fn images(entries: &[Value]) -> String {
    json!({ "version": 1, "images": entries }).to_string()
}

#[test]
fn the_first_catalog_that_has_it_decides() {
    let mut scratch = Scratch::new();
    let first = scratch.file("first.json", &images(&[entry("a", "amd64", "first"), entry("b", "arm64", "first")]));
    let second = scratch.file("second.json", &images(&[entry("a", "amd64", "second"), entry("b", "amd64", "../b")]));
    for (name, arch, catalog, place) in [
        ("a", "amd64", &*first, Place::File(scratch.path("first"))),
        ("b", "amd64", &second, Place::File(scratch.path("../b"))),
        ("b", "arm64", &first, Place::File(scratch.path("first"))),
        ("demo", "amd64", "built in", Place::Builtin("demo".into())),
        ("demo", "arm64", "built in", Place::Builtin("demo".into())),
    ] {
        let found = scratch.lookup(What::Image, name, arch).unwrap();
        assert_eq!((&*found.offer.catalog, &found.offer.place), (catalog, &place), "{name} {arch}");
        assert_eq!(found.offer.content().is_none(), name == "demo");
        assert!(found.warnings.is_empty());
    }
    // What stands before the one that is built in can have its name.
    scratch.file("third.json", &images(&[entry("demo", "amd64", "mine")]));
    assert_eq!(scratch.lookup(What::Image, "demo", "amd64").unwrap().offer.place, Place::File(scratch.path("mine")));
}

#[test]
fn what_no_catalog_has() {
    let mut scratch = Scratch::new();
    scratch.file("c.json", &images(&[entry("debian", "amd64", "x"), entry("alpine", "arm64", "x")]));
    let gone = scratch.source("/nonexistent/catalog.json");
    for (what, name, arch, messages) in [
        (What::Image, "debain", "amd64", &["no catalog has the image \"debain\"", "\"debian\" is there"][..]),
        (What::Image, "alpine", "amd64", &["for amd64; it is there for arm64"]),
        (What::Kernel, "alpine", "amd64", &["no catalog has the kernel \"alpine\""]),
        (What::Image, "quite-another", "amd64", &["no catalog has the image"]),
    ] {
        let error = scratch.lookup(what, name, arch).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for message in messages.iter().chain(&[gone.as_str()]) {
            assert!(told(&error).contains(message), "{}", told(&error));
        }
    }
    for name in ["", "debian:12", "docker.io/debian", "Debian", "x.staging"] {
        assert_eq!(scratch.lookup(What::Image, name, "amd64").unwrap_err().kind(), ErrorKind::Usage, "{name}");
    }
}

#[test]
fn a_catalog_that_cannot_be_read_does_not_stand_in_the_way() {
    let good = images(&[entry("a", "amd64", "x")]);
    for (bad, message) in [
        ("", "EOF"),
        ("{}", "it is not a catalog"),
        (r#"{"version":2}"#, "it is of version 2"),
        (r#"{"version":1,"version":1}"#, "is there twice"),
        (&images(&[entry("a", "amd64", "x"), entry("a", "amd64", "y")]), "image \"a\": it is there twice"),
        (
            &images(&[entry("a", "amd64", "http://e.org/x")]),
            "image \"a\": \"url\" is \"http://e.org/x\": http is for hosts",
        ),
        (&images(&[entry("b", "amd64", "http://10.0.0.1/x")]), "http is for hosts"),
        (&images(&[entry("b", "amd64", "builtin:demo")]), "neither \"sha256\" nor \"size\""),
        (r#"{"version":1,"images":[{"name":"a","arch":"amd64","url":"builtin:demo"}]}"#, "other parts of it"),
        (&" ".repeat((4 << 20) + 1), "more than 4194304 bytes"),
    ] {
        let mut scratch = Scratch::new();
        let (bad, good) = (scratch.file("bad.json", bad), scratch.file("good.json", &good));
        let found = scratch.lookup(What::Image, "a", "amd64").unwrap();
        assert_eq!(found.offer.catalog, good);
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].contains(message) && found.warnings[0].contains(&bad), "{:?}", found.warnings);
        // With nothing else to find, it is named.
        let error = scratch.lookup(What::Image, "quite-another", "amd64").unwrap_err();
        assert!(told(&error).contains(message), "{}", told(&error));
    }
}

#[test]
fn settings_that_make_no_sense_end_the_search() {
    for (location, message) in [
        ("ftp://e.org/c", "\"ftp\" is not one of"),
        ("http://e.org/c", "https is meant"),
        ("https://user:secret@e.org/c", "user name or a password"),
        ("", "it is empty"),
        ("file:relative", "no host"),
    ] {
        let mut scratch = Scratch::new();
        scratch.source(location);
        let error = scratch.lookup(What::Image, "demo", "amd64").expect_err(location);
        assert!(error.kind() == ErrorKind::Usage && told(&error).contains(message), "{}", told(&error));
    }
}

#[test]
fn catalogs_on_servers_lead_to_servers() {
    let cases = [
        ("x.tar.zst", Ok("https://e.org/c/x.tar.zst")),
        ("/x", Ok("https://e.org/x")),
        ("https://other.org/x", Ok("https://other.org/x")),
        ("http://trusted/x", Ok("http://trusted/x")),
        ("file:///etc/passwd", Err("cannot name one")),
        ("http://e.org/x", Err("https is meant")),
        ("http://127.0.0.1/x", Err("cannot send to this one")),
        ("https://localhost:8080/x", Err("cannot send to this one")),
    ];
    for (url, expected) in cases {
        let mut scratch = Scratch::new();
        scratch.insecure = vec!["trusted".to_owned()];
        scratch.server.put(URL, images(&[entry("a", "amd64", url)]).as_bytes());
        scratch.source(URL);
        match (scratch.lookup(What::Image, "a", "amd64"), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.offer.place.to_string(), expected),
            (Err(error), Err(message)) => assert!(told(&error).contains(message), "{}", told(&error)),
            (found, _) => panic!("{url}: {found:?}"),
        }
    }
}

#[test]
fn what_was_fetched_last_is_known_without_a_network() {
    let mut scratch = Scratch::new();
    scratch.source(URL);
    let other = "https://e.org/other.json";
    scratch.source(other);
    scratch.server.put(URL, images(&[entry("a", "amd64", "1")]).as_bytes());
    scratch.server.put(other, images(&[entry("b", "amd64", "1")]).as_bytes());
    let url = |scratch: &Scratch, name| {
        scratch.lookup(What::Image, name, "amd64").map(|found| (found.offer.entry.url, found.warnings.len()))
    };
    assert_eq!(url(&scratch, "a").unwrap(), ("1".to_owned(), 0));
    scratch.server.put(URL, images(&[entry("a", "amd64", "2")]).as_bytes());
    assert_eq!(url(&scratch, "b").unwrap(), ("1".to_owned(), 0));

    // A catalog that is none, but was not signed either, is not replaced by an older one.
    scratch.server.put(URL, b"garbage");
    assert!(url(&scratch, "a").is_err());

    scratch.server.always = Some(Turn::Fail(ErrorKind::Network));
    assert_eq!(url(&scratch, "a").unwrap(), ("2".to_owned(), 1));
    let error = told(&scratch.lookup(What::Image, "quite-another", "amd64").unwrap_err());
    assert!(error.contains("is the one that was fetched last") && error.contains("there is no network"), "{error}");
    // What breaks off is no answer.
    scratch.server.put(URL, images(&[entry("a", "amd64", "3")]).as_bytes());
    for turn in [Turn::Break(10), Turn::End(10)] {
        scratch.server.always = Some(turn);
        assert_eq!(url(&scratch, "a").unwrap(), ("2".to_owned(), 1));
    }

    // What is kept is not believed either.
    let kept = scratch.path("cache/catalogs");
    for name in crate::support::names(&kept) {
        fs::write(kept.join(name), "garbage").unwrap();
    }
    scratch.server.always = Some(Turn::Fail(ErrorKind::Network));
    let error = told(&scratch.lookup(What::Image, "a", "amd64").unwrap_err());
    assert!(error.contains("there is no network"), "{error}");
}

#[test]
fn answers_that_are_no_catalog() {
    let document = images(&[entry("a", "amd64", "x")]);
    for (turn, message) in [
        (Turn::Offset(1), "a part of the file only"),
        (Turn::Fail(ErrorKind::NotFound), "cannot fetch"),
        (Turn::Total(1), "of 1 bytes came"),
        (Turn::Short(5), "cannot be read"),
    ] {
        let mut scratch = Scratch::new();
        scratch.source(URL);
        scratch.server = Server { always: Some(turn), ..Server::with(URL, document.as_bytes()) };
        let error = told(&scratch.lookup(What::Image, "a", "amd64").unwrap_err());
        assert!(error.contains(message) && error.contains(URL), "{error}");
    }
    let mut scratch = Scratch::new();
    scratch.source(URL);
    scratch.server.put(URL, &vec![b' '; (4 << 20) + 1]);
    let error = told(&scratch.lookup(What::Image, "a", "amd64").unwrap_err());
    assert!(error.contains("more than 4194304 bytes"), "{error}");
}

#[test]
fn all_that_is_offered() {
    let mut scratch = Scratch::new();
    let kernel =
        json!({ "name": "k", "version": "6.1", "arch": "amd64", "url": "k", "sha256": "0".repeat(64), "size": 1 });
    let document = json!({ "version": 1, "kernels": [kernel], "images": [entry("a", "amd64", "x")] }).to_string();
    let (first, bad) = (scratch.file("c.json", &document), scratch.file("bad.json", "{}"));
    let cache = scratch.path("cache");
    let listing = list(&scratch.sources, &Context { fetch: &scratch.server, cache: &cache, insecure: &[] });
    let offered: Vec<_> = listing
        .offers
        .iter()
        .map(|offer| (offer.entry.what, &*offer.entry.name, &*offer.catalog, offer.signed))
        .collect();
    let expected = [
        (What::Image, "a", &*first, false),
        (What::Kernel, "k", &first, false),
        (What::Image, "demo", "built in", true),
        (What::Image, "demo", "built in", true),
        (What::Kernel, "debian", "built in", true),
        (What::Kernel, "debian", "built in", true),
    ];
    assert_eq!(offered, expected);
    assert!(listing.warnings.len() == 1 && listing.warnings[0].contains(&bad));
}
