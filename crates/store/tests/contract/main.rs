//! What the store promises: each test states what is done, and what must come of it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that fails fails the test that called it"
)]

mod databases;
mod faults;
mod images;
mod kernels;
mod leftovers;
mod model;
mod names;
mod processes;
mod replaced;
mod support;
mod together;
