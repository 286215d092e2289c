//! What the writer promises, judged by e2fsprogs, the kernel, and two readers.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, and in their helpers too a panic is how they fail"
)]

mod common;
mod growth;
mod guest;
mod kinds;
mod limits;
mod placement;
mod random;
mod roundtrip;
