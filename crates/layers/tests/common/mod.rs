//! What the tests of this crate share: archives built byte by byte, and a sink that remembers.

#![expect(clippy::allow_attributes, reason = "which parts are unused differs from test to test")]
#![allow(dead_code, reason = "every test uses a part of this")]

pub mod sink;
pub mod tar;
