//! OCI images from registries (distribution specification 1.1), through a cache on disk, and into them; plain downloads by
//! the same rules.
//!
//! - [`Registry`]: opens an image that streams, fetches one, says what a reference means
//! - [`Client`]: HTTP: endpoints, mirrors, authorisation, retries; pushes, and gets any file
//! - [`credentials`]: who asks: files of Docker and Podman, helpers
//! - [`Settings`]: what can be set for each host
//! - [`Progress`]: what is told meanwhile
//!
//! Nothing here knows what is in a layer.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod auth;
mod body;
mod client;
mod clock;
pub mod credentials;
mod download;
mod endpoint;
mod error;
mod incoming;
pub mod limits;
mod lock;
mod progress;
mod proxy;
mod pull;
mod redirect;
mod repository;
mod retry;
mod settings;
mod tls;
mod transport;
mod url;
mod words;

pub use auth::challenge;
pub use body::Body;
pub use client::{Client, Document, Found, Get, Open, Sent, Surroundings, Tags};
pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use progress::{BlobSummary, Event, Progress, Silent};
pub use proxy::Proxies;
pub use pull::{Fetched, Platforms, Pull, Registry, Resolved};
pub use repository::{Amount, Tally};
pub use settings::{DEFAULT_JOBS, DEFAULT_TIMEOUT, Host, Mirror, Settings};
