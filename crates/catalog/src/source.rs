//! Where catalogs come from, and what must hold before one of them is believed.
//!
//! A catalog is a file of this machine or on a server. With keys in the settings it must have a signature by one of them. What
//! was fetched last from a server, and was believed, is kept with its signature: a machine without a network still knows its
//! catalogs. What is kept is checked again each time, as if it had just come.

use std::path::Path;

use banger_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::address::{Place, Url};
use crate::document::{Catalog, Content, Entry, What};
use crate::embedded;
use crate::error::{Error, Result};
use crate::fetch::{Fetch, FetchError};
use crate::file;
use crate::limits::{CATALOG_BYTES, KEPT_BYTES, SIGNATURE_BYTES};
use crate::signature::{Keys, SUFFIX};
use banger_error::ErrorKind;

/// What the settings say of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogSource {
    /// A path, or a `file:`, `https:` or `http:` address.
    pub location: String,
    /// Public keys of minisign. With any, the catalog must be signed by one of them.
    pub keys: Vec<String>,
    /// Whether it is to be refused as long as no key is set.
    pub require_signature: bool,
}

/// What is needed to read catalogs.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// How servers are asked.
    pub fetch: &'a dyn Fetch,
    /// Where what was fetched is kept.
    pub cache: &'a Path,
    /// Hosts, perhaps with ports, that may be asked without encryption.
    pub insecure: &'a [String],
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("cache", &self.cache).field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

/// What a catalog offers, with what is known from the catalog that offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The entry.
    pub entry: Entry,
    /// Where its file is.
    pub place: Place,
    /// The catalog, as the settings call it.
    pub catalog: String,
    /// Whether the catalog's signature was checked.
    pub signed: bool,
}

impl Offer {
    /// Whether it is offered under this name.
    pub(crate) fn is(&self, what: What, name: &str) -> bool {
        self.entry.what == what && self.entry.name == name
    }

    /// What is in its file; none for what is a part of banger.
    pub fn content(&self) -> Option<&Content> {
        self.entry.content.as_ref()
    }
}

/// A catalog that was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) offers: Vec<Offer>,
    /// What is odd about it, but does not stand in the way.
    pub(crate) warning: Option<String>,
}

/// The bytes of a catalog and of its signature.
struct Pair {
    document: Vec<u8>,
    /// None where none is needed.
    signature: Option<Vec<u8>>,
}

/// What is kept of a catalog that was fetched, in one file, so that both parts always belong together.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    document: String,
    signature: Option<String>,
}

/// The catalog that is a part of banger.
pub(crate) fn embedded() -> Result<Vec<Offer>> {
    // It is as trustworthy as the program.
    offers(embedded::catalog()?, &embedded::place(), embedded::NAME, true, &[])
}

/// Reads a catalog.
pub(crate) fn load(source: &CatalogSource, context: &Context<'_>) -> Result<Loaded> {
    let name = source.location.as_str();
    let setting = |reason: String| Error::Setting { what: format!("the catalog {name}"), reason };
    let place = Place::of_catalog(name).map_err(|error| setting(error.to_string()))?;
    let keys = Keys::parse(&source.keys, name)?;
    if source.require_signature && keys.is_none() {
        let reason = "a signature is required, but no key is set: set the public key that it is to be signed with";
        return Err(setting(reason.to_owned()));
    }
    let believe = |pair: &Pair| {
        if let Some(keys) = &keys {
            let reason = "it has no signature, though a key is set for it".to_owned();
            let unsigned = || Error::Signature { catalog: name.to_owned(), reason };
            keys.verify(&pair.document, pair.signature.as_deref().ok_or_else(unsigned)?, name)?;
        }
        let catalog = Catalog::parse(&pair.document, &format!("the catalog {name}"))?;
        offers(catalog, &place, name, keys.is_some(), context.insecure)
    };
    match &place {
        Place::Web(url) => {
            url.check_encryption(context.insecure).map_err(|error| setting(error.to_string()))?;
            match fetch(&place, keys.is_some(), context) {
                Ok(pair) => {
                    let offers = believe(&pair)?;
                    // Whoever cannot write there can do without.
                    let warning = keep(url, &pair, context.cache).err();
                    let warning =
                        warning.map(|error| format!("the catalog {name} is not kept for later: {}", told(&error)));
                    Ok(Loaded { offers, warning })
                }
                Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
                Err(error) => {
                    let Ok(Some(pair)) = kept(url, context.cache) else { return Err(error) };
                    let offers = believe(&pair)?;
                    let warning = format!("the catalog {name} is the one that was fetched last: {}", told(&error));
                    Ok(Loaded { offers, warning: Some(warning) })
                }
            }
        }
        Place::File(path) => {
            let document = read(path, CATALOG_BYTES)?;
            let signature = match (&keys, place.with_suffix(SUFFIX)) {
                (Some(_), Place::File(path)) => signature_of(read(&path, SIGNATURE_BYTES))?,
                _ => None,
            };
            Ok(Loaded { offers: believe(&Pair { document, signature })?, warning: None })
        }
        // No location in the settings is parsed to one.
        Place::Builtin(_) => Ok(Loaded { offers: embedded()?, warning: None }),
    }
}

/// What a catalog offers, each with its place, if all of them are places to which such a catalog may lead.
fn offers(catalog: Catalog, base: &Place, name: &str, signed: bool, insecure: &[String]) -> Result<Vec<Offer>> {
    let offer = |entry: &Entry| {
        let place = base.join(&entry.url).and_then(|place| base.may_lead_to(&place, insecure).map(|()| place));
        let place = place.map_err(|error| {
            let what = format!("the catalog {name}, {} {:?}", entry.what.word(), entry.name);
            Error::malformed(what, format!("\"url\" is {:?}: {error}", entry.url))
        })?;
        Ok(Offer { entry: entry.clone(), place, catalog: name.to_owned(), signed })
    };
    catalog.entries().iter().map(offer).collect()
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, _) = file::open(path)?;
    let bytes = file::read_limited(file, limit).map_err(Error::io("read", path))?;
    bytes.ok_or_else(|| Error::Limit { what: path.display().to_string(), limit, unit: "bytes" })
}

/// Fetches a catalog, and its signature where that is needed.
fn fetch(place: &Place, signed: bool, context: &Context<'_>) -> Result<Pair> {
    let document = get(&place.to_string(), CATALOG_BYTES, context)?;
    let signature = match signed {
        true => signature_of(get(&place.with_suffix(SUFFIX).to_string(), SIGNATURE_BYTES, context))?,
        false => None,
    };
    Ok(Pair { document, signature })
}

/// A signature as it was read: that there is none, and that it is too long for one, is no failure of reading.
fn signature_of(read: Result<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(Error::Limit { .. }) => Ok(Some(Vec::new())),
        read => read.map(Some),
    }
}

fn get(url: &str, limit: u64, context: &Context<'_>) -> Result<Vec<u8>> {
    let failed = |source| Error::Fetch { url: url.to_owned(), source };
    let answer = context.fetch.get(url, 0).map_err(failed)?;
    if answer.offset != 0 {
        return Err(Error::Protocol { url: url.to_owned(), reason: "it is a part of the file only".to_owned() });
    }
    let bytes =
        file::read_limited(answer.body, limit).map_err(|error| failed(FetchError::new(ErrorKind::Network, error)))?;
    let bytes = bytes.ok_or_else(|| Error::Limit { what: url.to_owned(), limit, unit: "bytes" })?;
    match answer.total {
        Some(total) if total != bytes.len() as u64 => {
            let reason = format!("{} of {total} bytes came", bytes.len());
            Err(failed(FetchError::new(ErrorKind::Network, reason)))
        }
        _ => Ok(bytes),
    }
}

/// The directory of the catalogs that were fetched last.
fn directory(cache: &Path) -> std::path::PathBuf {
    cache.join("catalogs")
}

fn kept_path(url: &Url, cache: &Path) -> std::path::PathBuf {
    directory(cache).join(format!("{}.json", Digest::sha256(url.to_string().as_bytes()).hex()))
}

fn keep(url: &Url, pair: &Pair, cache: &Path) -> Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kept =
        Kept { url: url.to_string(), document: text(&pair.document), signature: pair.signature.as_deref().map(text) };
    let path = kept_path(url, cache);
    let json = |source| Error::Json { what: path.display().to_string(), source };
    file::make_directory(&directory(cache))?;
    file::replace(&path, &serde_json::to_vec(&kept).map_err(json)?)
}

fn kept(url: &Url, cache: &Path) -> Result<Option<Pair>> {
    let path = kept_path(url, cache);
    let Some((file, _)) = file::open_if_there(&path)? else { return Ok(None) };
    let bytes = file::read_limited(file, KEPT_BYTES).map_err(Error::io("read", &path))?;
    let bytes =
        bytes.ok_or_else(|| Error::Limit { what: path.display().to_string(), limit: KEPT_BYTES, unit: "bytes" })?;
    let json = |source| Error::Json { what: path.display().to_string(), source };
    let kept: Kept = serde_json::from_slice(&bytes).map_err(json)?;
    let pair = Pair { document: kept.document.into_bytes(), signature: kept.signature.map(String::into_bytes) };
    Ok((kept.url == url.to_string()).then_some(pair))
}

/// An error and its causes, on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
