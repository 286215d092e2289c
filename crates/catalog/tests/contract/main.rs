//! What the crate promises: catalogs, signatures, downloads and bundles, with others' programs as judges.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod bundles;
mod bundles_hostile;
mod bundles_judges;
mod catalogs;
mod downloads;
mod processes;
mod signatures;
mod support;
