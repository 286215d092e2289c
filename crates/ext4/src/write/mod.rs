//! Writes an image in one pass: contents while they stream in, metadata when all is known.
//!
//! Contents go to their final blocks before anyone knows how many there will be, or which of them a file will have in
//! the end. That works because ext4 fixes the place of very little: with `flex_bg` only the heads of some groups, whose
//! length is the same for every size here (see [`crate::layout::geometry`]). All other blocks, in order, are the *linear
//! space*, and contents fill it from its beginning.
//!
//! Contents come in *segments*: in an image of layers, one for each layer. Segments can be written at the same time, each
//! by a [`ContentWriter`] of its own. One that does not know its place yet, as those before it are not finished, writes
//! to an unlinked file, and what is there is copied in the kernel when its turn comes. So the bytes of the image do not
//! depend on who was faster.
//!
//! When all contents are there, [`Image::finish`] gives those that no file has back as holes, and writes everything else
//! behind the last content: bitmaps, inode tables, the journal, directories. Its time and memory depend on the number
//! of entries, hardly on the size.
//!
//! The same contents, tree and options make the same bytes. Why each thing is written as it is stands in `docs/ext4.md`.
//!
//! # Example
//!
//! ```
//! use banger_ext4::spec::inode::Timestamp;
//! use banger_ext4::write::{Content, Image, Kind, Node, NodeId, Options, Tree, Xattrs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("disk.ext4");
//! let file = std::fs::File::options().read(true).write(true).create_new(true).open(path)?;
//! let image = Image::new(file, std::env::temp_dir());
//!
//! // Contents first. This segment is the only one, and begins where the linear space does.
//! let mut contents = image.content();
//! contents.place(0)?;
//! contents.begin()?;
//! contents.write(b"hello\n")?;
//! let hello = contents.finish()?;
//! let segment = contents.done()?;
//!
//! // Then what they are called.
//! let node = |kind, mode| Node {
//!     kind,
//!     mode,
//!     uid: 0,
//!     gid: 0,
//!     mtime: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
//!     xattrs: Xattrs::NONE,
//! };
//! let mut tree = Tree::new(node(Kind::Directory, 0o755));
//! let etc = tree.add(NodeId::ROOT, b"etc", node(Kind::Directory, 0o755))?;
//! let motd = tree.add(etc, b"motd", node(Kind::File(Content { segment: 0, index: hello }), 0o644))?;
//! tree.link(NodeId::ROOT, b"greeting", motd)?;
//!
//! let summary = image.finish(tree, &[segment], &Options { uuid: *b"sixteen bytes of", ..Options::default() })?;
//! assert_eq!(summary.size, 1 << 30);
//! # Ok(())
//! # }
//! ```

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
