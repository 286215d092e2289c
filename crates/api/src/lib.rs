//! What can be asked of banger: requests, answers, progress and failures, as JSON has them.
//!
//! - [`Service`]: everything that can be asked, whoever does it: this process, or the daemon
//! - [`image`], [`kernel`], [`catalog`], [`system`]: requests and answers, by what they are about
//! - [`registry`]: how registries are to be spoken to
//! - [`event`]: what is told while something takes long; [`job`]: what the daemon does for somebody
//! - [`problem`]: why something failed
//! - [`time`]: points in time
//!
//! The types say what the OpenAPI document says: it is made from them. Nothing here does anything.

pub mod catalog;
pub mod event;
pub mod image;
pub mod job;
pub mod kernel;
pub mod problem;
pub mod registry;
pub mod service;
pub mod system;
pub mod time;

pub use banger_error::ErrorKind;
pub use event::{Event, Observer, Silent};
pub use problem::{Problem, Result};
pub use service::Service;
