//! Images and kernels that can be fetched by name: catalogs, their signatures, downloads, bundles.
//!
//! - [`document`]: `catalog.json`: what is offered
//! - [`source`]: where catalogs come from, and whether they can be trusted; [`signature`], [`embedded`]
//! - [`mod@lookup`]: a name in all of them
//! - [`download`]: a file by its digest, into the cache
//! - [`bundle`]: an image in a file, which a catalog can offer
//! - [`fetch`]: how the network is asked: by the caller; [`watch`]: what the caller is told, and asked
//! - [`name`], [`address`]: the grammar of names and of URLs
//! - [`limits`]: how much of everything is accepted, and why
//!
//! Nothing here knows HTTP, the store or the daemon. Whatever comes from elsewhere is bounded, and is what its digest or
//! signature says, before anything is done with it.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod address;
pub mod bundle;
pub mod document;
pub mod download;
pub mod embedded;
pub mod error;
pub mod fetch;
mod file;
mod json;
pub mod limits;
pub mod lookup;
pub mod name;
pub mod signature;
pub mod source;
pub mod watch;

pub use banger_error::ErrorKind;
pub use document::{Catalog, Content, Entry, What};
pub use download::{Downloaded, Downloads};
pub use error::{Error, Result};
pub use fetch::{Answer, Fetch, FetchError};
pub use lookup::{Found, Listing, list, lookup};
pub use source::{CatalogSource, Context, Offer};
pub use watch::{Unwatched, Watch};
