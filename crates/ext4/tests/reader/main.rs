//! What the reader promises: it reads what mke2fs and the kernel write, exactly, and survives what nobody should write.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, and in their helpers too a panic is how they fail"
)]

mod arbitrary;
mod damage;
mod fixture;
mod judge;
mod kernel;
mod listing;
mod lookup;
mod mke2fs;
mod structures;
