//! Settings, and where things are kept.
//!
//! - [`Settings`]: what `config.toml` says: of registries, of catalogs, of kernels
//! - [`Directories`]: the places of the XDG base directory specification
//! - [`hosts`]: names of registries and mirrors, as people write them

mod catalogs;
pub mod directories;
mod error;
mod file;
pub mod hosts;
mod registries;
mod settings;

pub use self::catalogs::Catalog;
pub use self::directories::Directories;
pub use self::error::Error;
pub use self::settings::Settings;
pub use banger_error::ErrorKind;
