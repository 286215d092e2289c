//! Which images and kernels there are: files that appear by one rename, rows in SQLite.
//!
//! - [`Store`]: a directory with a database; opened by any number of threads and processes at once
//! - [`image`]: images by name; those with the same id share their files
//! - [`kernel`]: kernels by name
//! - [`Reservation`]: a name that is taken before there is anything to give it to
//! - [`Shared`]: files that stay as long as it is held
//! - [`leftovers`]: what was killed left behind; [`usage`]: what takes up how much
//! - [`completion`]: which names there are, for who only wants to look
//! - [`name`]: the grammar of names and ids; [`limits`]: numbers and their reasons
//!
//! The rule that everything here keeps: a row is written after its files are in their place and on the disk, and it is
//! deleted before they go. So there is no moment at which a kill leaves a row without files. Files without a row belong to
//! whoever holds their directory's lock (flock(2)); what nobody holds was left behind, and goes when a store is opened.
//!
//! Nothing here reads a clock, chooses an id or copies files: whoever stages an image does.

mod area;
pub mod completion;
mod database;
mod error;
mod files;
pub mod image;
pub mod kernel;
pub mod leftovers;
pub mod limits;
mod lock;
pub mod name;
mod reservation;
mod shared;
mod store;
pub mod usage;

pub use banger_error::ErrorKind;
pub use error::{Error, Result, What};
pub use reservation::Reservation;
pub use shared::Shared;
pub use store::Store;
