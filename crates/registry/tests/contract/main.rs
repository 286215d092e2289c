//! What the client promises, against a server on loopback that misbehaves on command.
//!
//! The certificates in `tls` are for tests alone; the key of their authority has been thrown away.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that fails fails the test that called it"
)]

mod authorization;
mod blobs;
mod cancellation;
mod fake;
mod gets;
mod hosts;
mod logins;
mod manifests;
mod mirrors;
mod pushes;
mod redirects;
mod retries;
mod server;
mod support;
mod tokens;
