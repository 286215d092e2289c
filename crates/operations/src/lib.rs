//! The operations on managed images and kernels.
//!
//! - [`Engine`]: all of them, in this process
//! - [`source`]: where an image comes from, and how it becomes a file
//! - [`access`]: the way to registries; [`kernel`]: which kernel is taken where none is named
//! - [`hints`]: what to do about an error; [`problem`]: what sort of error it is
//! - [`progress`]: what is told meanwhile

pub mod access;
mod apt;
mod engine;
pub mod hints;
pub mod kernel;
mod key;
pub mod name;
pub mod problem;
pub mod progress;
pub mod source;

pub use engine::Engine;
