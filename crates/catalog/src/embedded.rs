//! The catalog that is a part of banger: what there is without a network and without a setting. It is looked through last.

use crate::address::Place;
use crate::document::Catalog;
use crate::error::Result;

/// What messages and listings call it.
pub const NAME: &str = "built in";

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
    fn the_demonstration_is_offered_everywhere() {
        let catalog = catalog().unwrap();
        let found: Vec<_> = catalog.entries().iter().map(|entry| (entry.what, &*entry.name, &*entry.arch)).collect();
        assert_eq!(found, [(What::Image, "demo", "amd64"), (What::Image, "demo", "arm64")]);
        for entry in catalog.entries() {
            assert_eq!(place().join(&entry.url).unwrap(), Place::Builtin(DEMO.to_owned()));
        }
        assert_eq!(catalog.to_json().unwrap().as_bytes(), DOCUMENT);
    }
}
