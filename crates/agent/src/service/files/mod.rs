//! `GET /files`, `PUT /files`: a file or a tree of the guest as a tar archive.

mod archive;
mod extract;
mod header;
mod member;
mod place;

use std::path::Path;

use banger_protocol::failure::FailureKind;

use super::connection::Connection;
use super::http::Trouble;
use super::http::answer::{self, Chunks, Next};
use super::http::body::Body;
use super::http::head::Head;

/// What an archive is called.
const TAR: &str = "application/x-tar";

/// Sends what is at `path`.
pub(super) fn get(connection: &mut Connection, path: &Path, next: Next) -> Result<(), Trouble> {
    // What is not there is told before the answer has begun; afterwards there is only breaking off.
    let source = archive::Source::open(path).map_err(|error| trouble(path, &error))?;
    let mut chunks = Chunks::begin(connection, TAR, next)?;
    source.write(&mut chunks).map_err(|error| Trouble::Broken(std::io::Error::other(error)))?;
    Ok(chunks.finish()?)
}

/// Extracts what is sent below `path`.
pub(super) fn put(connection: &mut Connection, head: &Head, path: &Path) -> Result<(), Trouble> {
    let place = place::Place::open(path).map_err(|error| trouble(path, &error))?;
    let mut body = Body::new(connection, head);
    extract::extract(&mut body, &place)?;
    if !body.is_read() {
        return Err(Trouble::request("something follows the archive"));
    }
    let next = if head.keep_alive { Next::Request } else { Next::End };
    Ok(answer::empty(connection, 204, "", next)?)
}

/// What the host is told of a path that cannot be opened.
fn trouble(path: &Path, error: &std::io::Error) -> Trouble {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => FailureKind::NotFound,
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::InvalidInput => FailureKind::Request,
        std::io::ErrorKind::PermissionDenied => FailureKind::NotPermitted,
        _ => FailureKind::Internal,
    };
    Trouble::new(kind, format!("{}: {error}", path.display()))
}
