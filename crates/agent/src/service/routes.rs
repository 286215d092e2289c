//! Who answers what.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use banger_protocol::failure::FailureKind;
use banger_protocol::limits::HEAD_SECONDS;
use banger_protocol::shutdown::Shutdown;

use super::connection::Connection;
use super::http::Trouble;
use super::http::answer::{self, Next};
use super::http::body::Body;
use super::http::head::{Head, HeadError, Length, Method, request_head};
use super::{exec, files, ports, workload};
use crate::state::State;

/// How long a connection may lie idle between two requests.
const IDLE: Duration = Duration::from_secs(60);

/// How long the host may take to take the last answer and to end the connection, while it perhaps still sends what was refused.
const FAREWELL: Duration = Duration::from_secs(10);

/// Digits of the number in `GET /sync/NUMBER`.
const SYNC_DIGITS: usize = 32;

/// Answers one request after the other, until the connection ends or must end.
pub(super) fn converse(state: &Arc<State>, connection: &mut Connection) {
    while let Ok(Some(head)) = read_head(connection) {
        // What breaks the connection is nobody's business but the host's, which sees it.
        if !matches!(respond(state, connection, &head), Ok(Next::Request)) {
            break;
        }
    }
    connection.linger(Some(FAREWELL));
}

/// The next request; `None` where none comes.
fn read_head(connection: &mut Connection) -> std::io::Result<Option<Head>> {
    let mut deadline = None;
    loop {
        let refused = match request_head(connection.buffered()) {
            Ok(Some((head, size))) => {
                connection.consume(size);
                return Ok(Some(head));
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            let kind = if error == HeadError::TooLarge { FailureKind::Limit } else { FailureKind::Request };
            let failure = banger_protocol::failure::Failure { kind, error: error.to_string() };
            answer::failure(connection, &failure, Next::End)?;
            return Ok(None);
        }
        if !connection.buffered().is_empty() && deadline.is_none() {
            deadline = Instant::now().checked_add(Duration::from_secs(HEAD_SECONDS));
        }
        if !connection.fill(deadline.or_else(|| Instant::now().checked_add(IDLE)))? {
            return Ok(None);
        }
    }
}

fn respond(state: &Arc<State>, connection: &mut Connection, head: &Head) -> Result<Next, Trouble> {
    let next = if head.keep_alive { Next::Request } else { Next::End };
    if head.method == Method::Get && head.length != Length::Bytes(0) {
        return refuse(Trouble::request("a GET has no body"), connection);
    }
    let result = match (head.method, head.path.as_str()) {
        (Method::Get, "/healthz") => answer::json(connection, 200, &state.health(), next).map_err(Trouble::from),
        (Method::Get, "/ports") => {
            ports::ports(&state.settings().ports).and_then(|ports| Ok(answer::json(connection, 200, &ports, next)?))
        }
        (Method::Post, "/exec") => return upgraded(exec::exec(state, connection, head), connection),
        (Method::Get, "/workload") => return upgraded(workload::attach(state, connection, head), connection),
        (Method::Get, "/files") => path(head).and_then(|path| files::get(connection, &path, next)),
        (Method::Put, "/files") => path(head).and_then(|path| files::put(connection, head, &path)),
        (Method::Post, "/shutdown") => shutdown(state, connection, head, next),
        (Method::Get, path) if path.starts_with("/sync/") => sync(connection, path, next),
        (_, "/healthz" | "/ports" | "/exec" | "/workload" | "/files" | "/shutdown") => {
            Err(Trouble::request(format!("{} does not understand this method", head.path)))
        }
        (_, path) => Err(Trouble::new(FailureKind::NotFound, format!("there is no {path:?}"))),
    };
    match result {
        Ok(()) => Ok(next),
        Err(trouble) => refuse(trouble, connection),
    }
}

/// After a refusal nobody knows how much of the request's body is still to come: the connection ends.
fn refuse(trouble: Trouble, connection: &mut Connection) -> Result<Next, Trouble> {
    match trouble {
        Trouble::Refusal(failure) => answer::failure(connection, &failure, Next::End)?,
        broken @ Trouble::Broken(_) => return Err(broken),
    }
    Ok(Next::End)
}

/// A stream ends with its connection.
fn upgraded(result: Result<(), Trouble>, connection: &mut Connection) -> Result<Next, Trouble> {
    result.map_or_else(|trouble| refuse(trouble, connection), |()| Ok(Next::End))
}

fn shutdown(state: &Arc<State>, connection: &mut Connection, head: &Head, next: Next) -> Result<(), Trouble> {
    let Shutdown { action } = Body::new(connection, head).json()?;
    answer::empty(connection, 202, "", next)?;
    state.request_shutdown(action);
    Ok(())
}

/// Tells the two ends of a serial port apart from what was in it before.
fn sync(connection: &mut Connection, path: &str, next: Next) -> Result<(), Trouble> {
    let number = path.strip_prefix("/sync/").unwrap_or_default();
    if number.is_empty() || number.len() > SYNC_DIGITS || !number.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Trouble::request("a number of up to 32 hexadecimal digits is needed"));
    }
    Ok(answer::empty(connection, 204, &format!("Sync: {number}\r\n"), next)?)
}

/// The path that a request is about: absolute.
fn path(head: &Head) -> Result<PathBuf, Trouble> {
    let query = head.query.as_deref().unwrap_or_default();
    let value = query.strip_prefix("path=").filter(|value| !value.contains('&'));
    let path = value.and_then(decode).filter(|path| path.starts_with(b"/") && !path.contains(&0));
    let path = path.ok_or_else(|| Trouble::request("?path= and an absolute path, percent-encoded, is needed"))?;
    Ok(std::ffi::OsString::from_vec(path).into())
}

/// Percent-encoding undone (RFC 3986, section 2.1); `None` where it is none.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.as_bytes().split(|&byte| byte == b'%');
    let mut bytes = pieces.next()?.to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_or_refused() {
        let cases: [(Option<&str>, Option<&[u8]>); 10] = [
            (Some("path=/a%20b/%C3%bc+c"), Some(b"/a b/\xc3\xbc+c")),
            (Some("path=%2Fetc"), Some(b"/etc")),
            (Some("path=/"), Some(b"/")),
            (Some("path=etc"), None),
            (Some("path=/a&path=/b"), None),
            (Some("path=/a%00b"), None),
            (Some("path=/a%2"), None),
            (Some("path=/a%+1"), None),
            (Some("pfad=/a"), None),
            (None, None),
        ];
        for (query, expected) in cases {
            let target = query.map_or("/files".to_owned(), |query| format!("/files?{query}"));
            let text = format!("GET {target} HTTP/1.1\r\n\r\n");
            let (head, _) = request_head(text.as_bytes()).unwrap().unwrap();
            let path = path(&head).ok().map(|path| path.into_os_string().into_vec());
            assert_eq!(path.as_deref(), expected, "{query:?}");
        }
    }
}
