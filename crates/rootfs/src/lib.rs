//! The pipeline: an OCI image in, an ext4 root file system out.
//!
//! - [`build`](fn@build): the whole of it, with its [`Options`], [`Report`] and [`Progress`]
//! - `pipeline`: layers are read, verified, placed and merged, in parallel
//! - `addition`: files of the host as a layer
//! - `guest`: a kernel's modules and the guest layer, made when the tree below them is known
//! - `disk`: the merged tree as the writer takes it
//! - [`checksum`]: of a finished image
//! - `content_id`: what the bytes depend on, as a digest

mod addition;
mod attributes;
mod build;
pub mod checksum;
mod content_id;
mod disk;
mod entry_digest;
mod error;
mod guest;
mod options;
mod pipeline;
mod progress;
mod report;

pub use banger_error::ErrorKind;
pub use build::build;
pub use content_id::FORMAT_VERSION;
pub use error::{Error, LayerError};
pub use options::{Addition, DEFAULT_LABEL, Options};
pub use progress::{Event, LayerSummary, Progress, Silent, Stage};
pub use report::{LayerReport, Report, Seconds};
