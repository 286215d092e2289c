//! What a pushed image is, by the judgement of Debian's registry, skopeo, umoci and qemu-img, and what comes back.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails fails the test that called it"
)]

mod artifacts;
mod containerdisks;
mod cut;
mod files;
mod registry;
