//! The one error of this crate, made of those of its parts.
//!
//! Each part says what it was doing to which bytes; which layer it was is known to the caller alone, who adds it.

use crate::decompress::DecompressError;
use crate::entry::EntryError;
use crate::merge::MergeError;
use crate::tar::TarError;
use crate::xattr::XattrsFull;

/// Anything that can go wrong between a compressed blob and the merged tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The blob does not decompress.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// What was decompressed is not an archive that can be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// An entry does not fit into the list of the layer's entries.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The layer has more extended attributes than are taken.
    #[error(transparent)]
    Xattrs(#[from] XattrsFull),
    /// The entries do not fit on the layers below.
    #[error(transparent)]
    Merge(#[from] MergeError),
}
