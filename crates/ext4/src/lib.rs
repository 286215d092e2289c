//! Writes ext4 images in one pass, and reads them back.
//!
//! - [`write`](mod@write): file data goes to its final blocks while it streams in, all metadata follows.
//! - [`layout`]: where things go.
//! - [`read`]: paths, metadata and content of an image, without mounting it.
//! - [`spec`]: the on-disk structures, encoded and decoded.

mod error;
pub mod layout;
pub mod read;
mod shown;
pub mod spec;
pub mod write;

pub use error::Error;
