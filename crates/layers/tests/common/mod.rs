//! What the tests of this crate share: archives built byte by byte, and a sink that remembers.

#![allow(dead_code, reason = "every test uses a part of this")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

pub(crate) mod layer;
pub(crate) mod sink;
pub(crate) mod tar;
