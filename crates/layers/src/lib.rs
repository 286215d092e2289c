//! OCI layers: from compressed blobs to one merged tree, in memory.
//!
//! A layer is a tar archive, usually compressed. It is read once, as a stream: what is in its files goes to a
//! sink of the caller's as it comes, everything else becomes a compact list of entries. When all layers
//! have been read the lists are applied one after the other, lowest first, on a tree that starts as an empty root.
//! No host path is ever touched: names, symlinks and hardlinks mean something inside the tree only.
//!
//! - [`entry`]: the list of one layer's entries
//! - [`xattr`]: sets of extended attributes, each stored once
//! - [`path`]: the bytes of names and paths
//! - [`limits`]: how much of everything is accepted, and why

pub mod entry;
pub mod limits;
pub mod path;
pub mod xattr;
