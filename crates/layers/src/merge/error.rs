//! Why a layer cannot be applied.

use crate::limits;
use crate::path::Shown;
use crate::xattr::XattrsFull;

/// An entry that has no place in the tree, with both places where there are two.
///
/// The caller knows which layer it was and says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The image has more layers than [`limits::LAYERS`].
    #[error("layer {layer}: an image may have {} layers", limits::LAYERS)]
    TooManyLayers {
        /// Counted from 0.
        layer: u32,
    },
    /// `..` in the name leads out of the image.
    #[error("{entry}: the name leaves the root of the image")]
    LeavesRoot {
        /// The name as in the archive.
        entry: Shown,
    },
    /// A component is longer than [`limits::NAME_BYTES`].
    #[error("{entry}: {name} has {} bytes, more than the {} of a file name", .name.as_bytes().len(), limits::NAME_BYTES)]
    NameTooLong {
        /// The name as in the archive.
        entry: Shown,
        /// The component.
        name: Shown,
    },
    /// The entry would be below [`limits::TREE_DEPTH`] directories.
    #[error("{entry}: below more than {} directories", limits::TREE_DEPTH)]
    TooDeep {
        /// The name as in the archive.
        entry: Shown,
    },
    /// An entry for the root that is not a directory.
    #[error("{entry}: the root of the image cannot be {noun}")]
    RootNotDirectory {
        /// The name as in the archive.
        entry: Shown,
        /// What the entry is.
        noun: &'static str,
    },
    /// Something that is not a directory stands where the entry needs one.
    #[error("{entry}: {parent} is {noun}, not a directory")]
    ParentNotDirectory {
        /// The name as in the archive.
        entry: Shown,
        /// What stands in the way: its path in the tree.
        parent: Shown,
        /// What it is.
        noun: &'static str,
    },
    /// More than [`limits::SYMLINK_HOPS`] symlinks on the way.
    #[error("{entry}: more than {} symlinks on the way, the last of them {link}", limits::SYMLINK_HOPS)]
    TooManyLinks {
        /// The name as in the archive, or a hardlink's target.
        entry: Shown,
        /// The first link that was not followed: its path in the tree.
        link: Shown,
    },
    /// The layer is built to take time: [`limits::LAYER_STEPS`] are spent.
    #[error("{entry}: finding the places of this layer's entries takes more than {} steps", limits::LAYER_STEPS)]
    TooManySteps {
        /// The entry where the budget ran out.
        entry: Shown,
    },
    /// A whiteout that does not name anything that could be removed.
    #[error("{entry}: a whiteout of {name}", name = if .name.as_bytes().is_empty() { "nothing".to_owned() } else { .name.to_string() })]
    BadWhiteout {
        /// The name as in the archive.
        entry: Shown,
        /// What follows `.wh.`: nothing, `.` or `..`.
        name: Shown,
    },
    /// A hardlink's target leads out of the image.
    #[error("{entry}: the target {target} of the hardlink leaves the root of the image")]
    HardlinkLeavesRoot {
        /// The name as in the archive.
        entry: Shown,
        /// The target as in the archive.
        target: Shown,
    },
    /// A hardlink to a name that is not there, or not yet.
    #[error("{entry}: a hardlink to {target}, which does not exist")]
    HardlinkToNothing {
        /// The name as in the archive.
        entry: Shown,
        /// The target as in the archive.
        target: Shown,
    },
    /// A hardlink to a directory.
    #[error("{entry}: a hardlink to {target}, which is a directory")]
    HardlinkToDirectory {
        /// The name as in the archive.
        entry: Shown,
        /// The target as in the archive.
        target: Shown,
    },
    /// A hardlink that is its own target.
    #[error("{entry}: a hardlink to {target}, which is itself")]
    HardlinkToItself {
        /// The name as in the archive.
        entry: Shown,
        /// The target as in the archive.
        target: Shown,
    },
    /// The inode has [`limits::LINKS`] names already.
    #[error("{entry}: a hardlink to {target}, which has {} names already", limits::LINKS)]
    TooManyNames {
        /// The name as in the archive.
        entry: Shown,
        /// The target as in the archive.
        target: Shown,
    },
    /// The tree holds [`limits::TREE_NAMES`].
    #[error("{entry}: the image has more than {} names", limits::TREE_NAMES)]
    TooManyEntries {
        /// The name as in the archive.
        entry: Shown,
    },
    /// The tree's names and symlink targets take [`limits::TREE_TEXT_BYTES`].
    #[error("{entry}: the names and symlinks of the image take more than {} bytes", limits::TREE_TEXT_BYTES)]
    TooMuchText {
        /// The name as in the archive.
        entry: Shown,
    },
    /// The tree cannot take another set of extended attributes.
    #[error("{entry}")]
    TooManyXattrs {
        /// The name as in the archive.
        entry: Shown,
        /// Which limit it is.
        source: XattrsFull,
    },
}
