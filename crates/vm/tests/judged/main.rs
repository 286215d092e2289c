//! What a machine is started with, judged by the programs of others.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests, and in their helpers too a panic is how they fail"
)]

mod initrd;
mod judge;
