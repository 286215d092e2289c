//! OCI images, read from local sources.
//!
//! A [`Source`] is parsed from what the user wrote (`oci:DIR`, `docker-archive:FILE:REF`, ...) and opened into an
//! [`Image`]: its manifest digest, its config and its layers in order, each of which can be opened and read from
//! any thread. Nothing here knows of compression of layers, of tar entries inside them, or of networks.
//!
//! What this crate promises about foreign bytes:
//! - a digest is checked against its grammar before any path is built from it ([`digest`]);
//! - no document is read beyond its limit ([`limits`]), and none is believed before its digest has been checked;
//! - a document that two readers could take for two different things is refused ([`document`]);
//! - a layer's size is checked when it is opened. Its digest and diff ID are checked by whoever reads it to the
//!   end, with [`Verifier`] or [`Verified`];
//! - members of archives are looked up by name and read in place, never extracted.
//!
//! ```no_run
//! use banger_oci::{OpenOptions, Source};
//! use std::io::Read;
//!
//! let source = Source::parse("oci:images/debian:bookworm")?;
//! let image = source.open(&OpenOptions::default())?;
//! for layer in image.layers() {
//!     let mut blob = Vec::new();
//!     layer.open()?.read_to_end(&mut blob).expect("readable");
//! }
//! # Ok::<(), banger_oci::Error>(())
//! ```

// Sizes, offsets and counts come from foreign bytes; in tests they do not.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod artifact;
pub mod blob;
pub mod cache;
pub mod config;
pub mod descriptor;
pub mod digest;
pub mod document;
pub mod error;
mod go;
pub mod image;
pub mod index;
mod layout;
pub mod limits;
pub mod manifest;
pub mod media_type;
pub mod nearest;
pub mod platform;
pub mod reference;
pub mod select;
pub mod source;
pub mod timestamp;
pub mod verify;

pub use artifact::Artifact;
pub use banger_error::ErrorKind;
pub use blob::{Arriving, BlobReader, Blobs};
pub use config::Config;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError};
pub use error::{Error, PlaceError, Result};
pub use image::{Image, Layer, Warning};
pub use index::Index;
pub use manifest::Manifest;
pub use media_type::{Compression, MediaType};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
pub use source::{Location, OpenOptions, Source, SourceError};
pub use timestamp::Timestamp;
pub use verify::{Mismatch, Verified, Verifier};
