//! Catalogs, their addresses and their signatures.
//!
//! - What was read of a catalog is written so that it is read again as the same, and the same bytes are written again.
//! - An address that was understood is shown as one that means the same, and none of a server's is a file of this machine.
//! - Nothing is a signature of anything.

use banger_catalog::Catalog;
use banger_catalog::address::Place;
use banger_catalog::signature::Keys;

use crate::check_messages;

/// A public key of minisign, whose secret one nobody has who finds inputs for this.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// Takes the bytes for each of these.
pub fn check(data: &[u8]) {
    match Catalog::parse(data, "the catalog") {
        Ok(catalog) => check_catalog(catalog),
        Err(error) => check_messages(&error),
    }
    if let Ok(text) = std::str::from_utf8(data) {
        check_address(text);
    }
    let keys = Keys::parse(&[KEY.to_owned()], "c").expect("a key").expect("one key");
    check_messages(&keys.verify(b"a document", data, "c").expect_err("nobody has signed it"));
    let text = String::from_utf8_lossy(data).into_owned();
    if let Err(error) = Keys::parse(&[text], "c") {
        check_messages(&error);
    }
}

fn check_catalog(mut catalog: Catalog) {
    // It may be longer than any catalog, once it is written with spaces.
    let Ok(text) = catalog.to_json() else { return };
    let again = Catalog::parse(text.as_bytes(), "the catalog").expect("what was written can be read");
    assert_eq!(again.entries(), catalog.entries());
    assert_eq!(again.to_json().expect("it fits"), text);
    for entry in again.entries() {
        assert!(catalog.add(entry.clone()).expect("it was there"), "{entry:?}");
    }
    assert_eq!(again.entries(), catalog.entries());
    let base = Place::of_catalog("https://example.org/catalog.json").expect("an address");
    for entry in catalog.entries() {
        if let Ok(place) = base.join(&entry.url)
            && base.may_lead_to(&place, &[]).is_ok()
        {
            assert!(matches!(place, Place::Web(_)), "{place}");
        }
    }
}

fn check_address(text: &str) {
    for base in ["/etc/catalog.json", "https://example.org/a/catalog.json"] {
        let base = Place::of_catalog(base).expect("an address");
        match base.join(text) {
            Ok(Place::Web(url)) => {
                let again = Place::of_catalog(&url.to_string());
                // To join it with another may have made it too long.
                assert!(again.is_err() || again == Ok(Place::Web(url.clone())), "{url}");
                assert!(!url.host().is_empty() && !url.host().contains(['/', '@', '?', '#']), "{url}");
            }
            Ok(_) => {}
            Err(error) => check_messages(&error),
        }
    }
}
