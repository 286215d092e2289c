//! Disk images: copies that keep holes, qcow2, archives of the files in them, and what differs between two.
//!
//! - [`output`]: a file that nobody sees before it is complete
//! - [`sparse`]: where a file has data, and a writer that leaves holes where zeros are
//! - [`raw`]: an image as the bytes of a disk; [`copy`](mod@copy): another file with the same bytes
//! - [`qcow2`]: images of QEMU's: the whole of a disk, or what is written on top of one
//! - [`files`]: an image as the files in it; [`tar`]: an archive of them; [`diff`]: what differs between two
//! - [`export`](mod@export): an image as a file of one of these kinds
//! - [`observer`]: who is told how far it is, and may end it
//!
//! What is written depends on what the image says alone: not on where a file system put holes, nor on a clock, a name or a
//! user of the host.

pub mod copy;
pub mod diff;
pub mod error;
pub mod export;
pub mod files;
mod limits;
pub mod observer;
pub mod output;
pub mod qcow2;
pub mod raw;
pub mod sparse;
pub mod tar;

pub use banger_error::ErrorKind;
pub use error::{Error, Result};
pub use export::{Exported, Format, export};
pub use files::Files;
pub use observer::{Observer, Silent};
pub use output::Output;
pub use raw::Raw;
