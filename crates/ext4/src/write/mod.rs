//! Writes an image in one pass: contents while they stream in, metadata when all is known.

mod content;
mod image;
mod segment;
mod tree;
mod xattrs;

pub use content::{ContentWriter, MAX_FILE_SIZE};
pub use image::Image;
pub use segment::Segment;
pub use tree::{Content, Kind, Node, NodeId, Tree};
pub use xattrs::Xattrs;
