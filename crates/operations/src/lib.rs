//! The operations on managed images and kernels.
//!
//! - [`Engine`]: all of them, in this process
//! - [`source`]: where an image comes from, and how it becomes a file
//! - [`access`]: the way to registries
//! - [`hints`]: what to do about an error; [`problem`]: what sort of error it is
//! - [`progress`]: what is told meanwhile

pub mod access;
mod engine;
pub mod hints;
mod key;
mod name;
pub mod problem;
pub mod progress;
pub mod source;

pub use engine::Engine;
