//! The daemon: what can be asked of banger, over HTTP on a Unix socket, in JSON.
//!
//! It knows how to be asked, not what is done: that does a [`Service`](banger_api::Service), which is given to it.
//!
//! - [`Socket`]: where it listens; [`serve`] answers there until it is told to stop
//! - `operations`: what can be asked, in one table, which the paths and the OpenAPI document are made from
//! - `table`, `request`, `refusal`: from a request to an answer, or to why there is none
//! - `jobs`: what takes long: done in the background, joined, watched, cancelled
//! - [`document`]: the OpenAPI document, and the schema of a job's events
//! - `notify`: what systemd is told
//!
//! Only this crate has an async runtime, with one thread, for connections alone. Whatever does work has a thread of its own.

pub mod document;
mod jobs;
pub mod limits;
mod log;
mod notify;
mod operations;
mod peer;
mod refusal;
mod request;
mod server;
mod socket;
mod table;

pub use self::server::{Options, ServeError, serve};
pub use self::socket::{Socket, SocketError};
