//! Tests of the whole product: the `banger` program, judged by the tools that everyone uses.
//!
//! `tests/README.md` says what they stand on. Each module is one idea; [`support`] is what they share.

// `cfg(test)` holds for all of this crate; said here, clippy knows that helpers may panic as tests may.
#[cfg(test)]
mod added_files;
#[cfg(test)]
mod archives;
#[cfg(test)]
mod attributes;
#[cfg(test)]
mod boot;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod config;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod docker_habits;
#[cfg(test)]
mod exit_codes;
#[cfg(test)]
mod guest;
#[cfg(test)]
mod guest_layer;
#[cfg(test)]
mod kernel_modules;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod login;
#[cfg(test)]
mod managed;
#[cfg(test)]
mod output_safety;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod pull_hints;
#[cfg(test)]
mod pull_progress;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod run_errors;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
#[cfg(test)]
mod unprivileged;
