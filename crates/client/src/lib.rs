//! Asks the daemon: everything that can be asked, over HTTP on its Unix socket. Blocking, without a runtime.
//!
//! - [`Client`]: a [`Service`](banger_api::Service) that somebody else is; and what there is to say about jobs
//! - [`Daemon`]: how the daemon is started where none answers
//! - `connection`: a connection to a path of any length, to a daemon of this user's or root's
//! - `http`: one request and its answer; `follow`: a job's events until its end

mod client;
mod connection;
mod follow;
mod http;
mod limits;
mod service;
mod start;

pub use self::client::Client;
pub use self::connection::ConnectError;
pub use self::start::{Daemon, EXIT_TAKEN, Ensured, StartError, program};
