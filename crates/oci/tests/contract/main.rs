//! What the crate promises: each test states an input and what must come of it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that fails fails the test that called it"
)]

mod archives;
mod cache;
mod cache_judges;
mod cache_maintenance;
mod cache_processes;
mod docker;
mod documents;
mod judges;
mod layouts;
mod platforms;
mod properties;
mod stdin;
mod support;
