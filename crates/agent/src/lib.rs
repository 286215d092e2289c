//! What runs in a guest: one program with several roles, which it takes by its process number and its name.
//!
//! - [`boot`]: process 1, in banger's initial RAM disk and in a guest
//! - [`run`]: the service, and the programs that an image's init starts; [`service`]: what it answers the host
//! - [`state`]: what the service knows; [`settings`]: what is wanted
//! - [`network`], [`grow`], [`workload`], [`first_boot`]: what is done at boot
//! - `identity`: the machine's id, where the image's init makes none
//! - `modules`, `drivers`: kernel modules, where nothing else loads them
//! - [`launch`], [`users`], [`namespace`], [`stdio`]: how a program of the guest is started; `insist`: how it is ended; `program`: one that
//!   the agent needs
//! - [`rlimits`], `sysctl`: limits of processes, settings of the kernel
//! - [`sys`]: system calls that have no safe binding

pub mod boot;
pub mod console;
mod drivers;
pub mod file;
pub mod first_boot;
pub mod grow;
pub mod hello;
mod identity;
mod insist;
pub mod launch;
mod modules;
pub mod namespace;
pub mod network;
mod program;
pub mod rlimits;
pub mod run;
pub mod service;
pub mod settings;
pub mod state;
pub mod stdio;
pub mod sys;
mod sysctl;
#[cfg(test)]
mod testing;
pub mod users;
pub mod workload;
