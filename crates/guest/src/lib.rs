//! What banger puts into a guest.
//!
//! - [`agent`]: the agent, embedded
//! - [`boot_mode`]: how an image boots, decided from its merged tree
//! - [`layer`]: the guest layer: the agent, and what starts it; its [`Options`]
//! - `identity`: what a machine must have of its own, and an image must not bring
//! - [`modules`]: a kernel's modules as a layer, with the indexes that modprobe reads
//! - [`demo`]: an image that is nothing but the guest layer and a greeting
//! - [`contents`]: how entries and contents get into a layer

pub mod agent;
pub mod boot_mode;
pub mod contents;
pub mod demo;
mod follow;
mod identity;
mod inittab;
pub mod layer;
pub mod modules;
mod options;
#[cfg(test)]
mod testing;

pub use options::Options;
