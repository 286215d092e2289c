//! Linux kernels as files: what they are, what belongs to them, archives and packages of them.
//!
//! - [`image`]: what kind of kernel a file is, for which machine, which version; [`initrd`]: whether a file is an initial RAM disk
//! - [`triple`]: a kernel with its initial RAM disk and its modules, checked to belong together; [`place`]: puts it into a directory
//! - [`archive`]: a kernel in one file (`.tar.zst`), written and read
//! - [`mod@import`]: a kernel from a directory, a Debian package or an archive; [`find`]: where directories have kernels
//! - [`ar`]: the archives that Debian packages are; [`control`]: what a package says of itself; [`packages`]: those that one kernel comes in
//! - [`limits`]: how much of everything is accepted, and why
//!
//! All of it is foreign: nothing here panics, follows a path out of where it belongs, or takes more than the limits say.

pub mod ar;
pub mod archive;
pub mod control;
mod deb;
mod error;
pub mod find;
pub mod image;
pub mod import;
pub mod initrd;
pub mod limits;
mod looks;
mod member;
mod open;
mod output;
pub mod packages;
mod payload;
pub mod place;
#[cfg(test)]
mod testing;
pub mod triple;
mod unpack;
mod watch;

pub use banger_error::ErrorKind;
pub use error::{Error, Result};
pub use image::{Format, Image};
pub use import::{Imported, import};
pub use triple::{Triple, check};
pub use watch::Watch;
