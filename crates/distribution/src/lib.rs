//! What a managed image is in a registry.
//!
//! - [`artifact`]: an image that banger takes as it is: its bundle, and the archive of its kernel
//! - [`containerdisk`]: a disk in a container image, as KubeVirt takes it
//! - [`package`]: the documents and blobs of either, and how they are sent
//!
//! The same files make the same documents, so that what is pushed twice has one digest.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod artifact;
pub mod containerdisk;
mod document;
mod error;
mod measure;
pub mod package;

pub use artifact::{Artifact, recognise};
pub use banger_error::ErrorKind;
pub use error::{Error, Result};
pub use package::{Facts, Package, Pushed};
