//! Registries to pull from, and what stands between them and the program.
//!
//! - [`debian`]: Debian's `docker-registry`, the real thing
//! - [`http`]: an HTTP server that does as it is told, and remembers what it was asked
//! - [`content`]: what such a server has to say as a registry
//! - [`proxy`]: a forward proxy that knows where names lead
//! - [`tls`]: an authority of certificates
//! - [`user`]: somebody with a home directory and a cache

pub(crate) mod content;
pub(crate) mod debian;
pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod tls;
pub(crate) mod user;

pub(crate) use content::Content;
pub(crate) use debian::Debian;
pub(crate) use http::{Answer, Request, Server};
pub(crate) use proxy::Proxy;
pub(crate) use user::User;
