//! The catalog that is a part of banger: what can be had without a setting. It is looked through last.
//!
//! Its image is made here, without a network. Its kernel is Debian's, which stays at that address and whose digest is checked; it is
//! for systems without apt, which has a newer one.

use crate::address::Place;
use crate::document::Catalog;
use crate::error::Result;

/// What messages and listings call it.
pub const NAME: &str = "built in";

/// The name of Debian's kernel.
pub const DEBIAN: &str = "debian";

/// What an entry for the demonstration image leads to.
pub const DEMO: &str = "demo";

const DOCUMENT: &[u8] = include_bytes!("embedded.json");

/// The catalog.
///
/// # Errors
/// None: the document has been tested.
pub fn catalog() -> Result<Catalog> {
    Catalog::parse(DOCUMENT, NAME)
}

/// Where it stands.
pub(crate) fn place() -> Place {
    Place::Builtin(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::What;

    #[test]
    fn the_demonstration_and_a_kernel_are_offered_everywhere() {
        let catalog = catalog().unwrap();
        let found: Vec<_> = catalog.entries().iter().map(|entry| (entry.what, &*entry.name, &*entry.arch)).collect();
        let (image, kernel) = (What::Image, What::Kernel);
        let expected =
            [(image, "demo", "amd64"), (image, "demo", "arm64"), (kernel, DEBIAN, "amd64"), (kernel, DEBIAN, "arm64")];
        assert_eq!(found, expected);
        for entry in catalog.entries() {
            let place = place().join(&entry.url).unwrap();
            match entry.what {
                What::Image => assert_eq!(place, Place::Builtin(DEMO.to_owned())),
                What::Kernel => assert!(matches!(place, Place::Web(_)) && entry.url.starts_with("https://"), "{place}"),
            }
        }
        assert_eq!(catalog.to_json().unwrap().as_bytes(), DOCUMENT);
    }
}
