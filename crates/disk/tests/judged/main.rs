//! What the crate promises, judged by QEMU's tools, GNU tar, the kernel, and models.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "these are tests, and in their helpers too a panic is how they fail"
)]

mod copy;
mod diff;
mod export;
mod mounted;
mod overlay;
mod qcow2;
mod tar;
mod tree;
mod watcher;

// The tests of the reader have trees with one of everything, and compare them.
#[path = "../../../ext4/tests/reader/fixture.rs"]
mod fixture;
#[path = "../../../ext4/tests/reader/judge.rs"]
mod judge;
#[path = "../../../ext4/tests/reader/listing.rs"]
mod listing;
