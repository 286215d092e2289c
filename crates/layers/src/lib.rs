//! OCI layers: from compressed blobs to one merged tree, in memory.
//!
//! A layer is a tar archive, usually compressed. It is read once, as a stream: what is in its files goes to a
//! sink of the caller's as it comes, everything else becomes a compact list of entries. When all layers
//! have been read the lists are applied one after the other, lowest first, on a tree that starts as an empty root.
//! No host path is ever touched: names, symlinks and hardlinks mean something inside the tree only.
//!
//! - [`decompress`]: from a blob's bytes to an archive's
//! - [`tar`]: from an archive to entries, contents going to a [`sink`]
//! - [`entry`]: the list of one layer's entries
//! - [`merge`]: applying such a list to the tree: the rules of the image specification
//! - [`tree`]: all names and inodes of the merged image
//! - [`attributes`]: ACLs and other attributes that mean something only in the whole tree
//! - [`xattr`]: sets of extended attributes, each stored once
//! - [`path`]: the bytes of names and paths
//! - [`limits`]: how much of everything is accepted, and why

pub mod attributes;
pub mod decompress;
pub mod entry;
pub mod error;
pub mod limits;
pub mod merge;
pub mod path;
pub mod sink;
pub mod tar;
pub mod tree;
pub mod xattr;

pub use error::Error;
pub use sink::ContentSink;
