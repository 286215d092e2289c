//! What the client promises, against a server on loopback that misbehaves on command.
//!
//! The certificates in `tls` are for tests alone; the key of their authority has been thrown away.

mod authorization;
mod blobs;
mod hosts;
mod logins;
mod manifests;
mod mirrors;
mod redirects;
mod retries;
mod server;
mod support;
mod tokens;
