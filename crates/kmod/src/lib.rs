//! Reads a kernel's modules: what `make modules_install` or a distribution's package puts into `/lib/modules/VERSION`.
//!
//! - [`Modules`]: such a directory with all that is in it, and the indexes that depmod(8) makes of it
//! - [`LoadOrder`]: some of its modules with their contents, each behind those that it needs
//! - [`version`]: which kernel is newer
//!
//! Modules may be compressed, as distributions have them. All that is read is bounded by the crate's limits.

mod depmod;
mod error;
mod file;
mod limits;
mod load;
mod modinfo;
mod modules;
#[cfg(test)]
mod testing;
mod trie;
pub mod version;
mod walk;

pub use error::{Error, Result};
pub use load::{LoadOrder, Loadable};
pub use modules::Modules;
pub use walk::{Kind, Member};
