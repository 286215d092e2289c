//! Writes an image in one pass: contents while they stream in, metadata when all is known.

mod content;
mod directories;
mod extents;
mod finish;
mod groups;
mod image;
mod inodes;
mod live;
mod plan;
mod segment;
mod stream;
mod tree;
mod xattrs;

pub use content::{ContentWriter, MAX_FILE_SIZE};
pub use finish::{Options, Summary};
pub use image::Image;
pub use segment::Segment;
pub use tree::{Content, Kind, Node, NodeId, Tree};
pub use xattrs::Xattrs;
