//! A name in all catalogs, in the order of the settings; the catalog that is a part of banger comes last.
//!
//! The first catalog that has the name for the architecture decides, and those behind it are not asked. A catalog that cannot be
//! read is passed over with a warning. One that is not signed as it must be, or that the settings say something impossible of, ends
//! the search: otherwise whoever breaks a signature would choose the catalog that is believed instead.

use std::fmt;

use banger_oci::nearest::nearest;

use crate::document::What;
use crate::error::{Error, Result};
use crate::name::is_name;
use crate::source::{CatalogSource, Context, Offer, embedded, load, told};

/// What was found under a name.
#[derive(Debug)]
pub struct Found {
    /// What is offered.
    pub offer: Offer,
    /// What is odd about the catalogs that were looked through, but did not stand in the way.
    pub warnings: Vec<String>,
}

/// What all catalogs offer.
#[derive(Debug, Default)]
pub struct Listing {
    /// The offers, in the order in which catalogs are looked through.
    pub offers: Vec<Offer>,
    /// What is odd about some catalogs, and which could not be read.
    pub warnings: Vec<String>,
}

/// That no catalog offers something.
#[derive(Debug)]
pub struct NotFound {
    /// What was wanted.
    pub what: What,
    /// Its name.
    pub name: String,
    /// The architecture that it was wanted for.
    pub arch: String,
    /// The architectures that it is offered for.
    pub elsewhere: Vec<String>,
    /// A name that is offered, and nearly the same.
    pub nearest: Option<String>,
    /// What was odd about the catalogs, and which could not be read: it may have been in one of those.
    pub warnings: Vec<String>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no catalog has the {} {:?}", self.what.word(), self.name)?;
        if !self.elsewhere.is_empty() {
            write!(f, " for {}; it is there for {}", self.arch, self.elsewhere.join(", "))?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; {nearest:?} is there")?;
        }
        for warning in &self.warnings {
            write!(f, "; {warning}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotFound {}

/// Looks for an image or a kernel.
///
/// # Errors
/// [`Error::NotFound`] when no catalog has it, [`Error::Name`] when no catalog can have it, and whatever ends the search.
pub fn lookup(sources: &[CatalogSource], what: What, name: &str, arch: &str, context: &Context<'_>) -> Result<Found> {
    if !is_name(name) {
        return Err(Error::Name { name: name.chars().take(200).collect() });
    }
    let mut warnings = Vec::new();
    let mut others = Vec::new();
    let catalogs = sources.iter().map(Some).chain([None]);
    for source in catalogs {
        let offers = match source {
            None => embedded()?,
            Some(source) => match load(source, context) {
                Ok(loaded) => {
                    warnings.extend(loaded.warning);
                    loaded.offers
                }
                Err(error) if ends_search(&error) => return Err(error),
                Err(error) => {
                    warnings.push(unread(source, &error));
                    continue;
                }
            },
        };
        for offer in offers {
            if offer.is(what, name) && offer.entry.arch == arch {
                return Ok(Found { offer, warnings });
            }
            others.push(offer);
        }
    }
    let mut elsewhere: Vec<String> =
        others.iter().filter(|offer| offer.is(what, name)).map(|offer| offer.entry.arch.clone()).collect();
    elsewhere.sort();
    elsewhere.dedup();
    let names = others.iter().filter(|offer| offer.entry.what == what && offer.entry.arch == arch);
    let nearest = nearest(name, names.map(|offer| offer.entry.name.as_str())).map(str::to_owned);
    let (name, arch) = (name.to_owned(), arch.to_owned());
    Err(Error::NotFound(Box::new(NotFound { what, name, arch, elsewhere, nearest, warnings })))
}

/// What all catalogs offer. Whatever is wrong with one of them is a warning.
pub fn list(sources: &[CatalogSource], context: &Context<'_>) -> Listing {
    let mut listing = Listing::default();
    for source in sources {
        match load(source, context) {
            Ok(loaded) => {
                listing.warnings.extend(loaded.warning);
                listing.offers.extend(loaded.offers);
            }
            Err(error) => listing.warnings.push(unread(source, &error)),
        }
    }
    match embedded() {
        Ok(offers) => listing.offers.extend(offers),
        Err(error) => listing.warnings.push(told(&error)),
    }
    listing
}

fn ends_search(error: &Error) -> bool {
    matches!(error, Error::Signature { .. } | Error::Setting { .. } | Error::Cancelled)
        || error.kind() == banger_error::ErrorKind::Cancelled
}

fn unread(source: &CatalogSource, error: &Error) -> String {
    format!("the catalog {} was passed over: {}", source.location, told(error))
}
