//! Bodies of answers, read while they arrive.
//!
//! A read fails when nothing comes for as long as the host may be silent, when over such a time less comes than
//! [`RATE`] asks for (a body that trickles would otherwise never be given up), and when the connection ends before the
//! body does. What has been read until then is good as far as it goes.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use crate::error::Error;
use crate::limits::RATE;
use crate::progress::Progress;
use crate::transport::Fault;

/// A blob on its way, or the rest of one.
pub struct Body {
    reader: Watched<BodyReader<'static>>,
    offset: u64,
    /// Bytes that are still to come.
    left: u64,
    end: End,
    host: String,
    what: String,
    progress: Arc<dyn Progress>,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server has said how many bytes it sends.
    Length,
    /// The last piece says so.
    Marked,
    /// It is that of the connection, however that ended.
    Connection,
}

impl Body {
    /// The body of an answer that sends what has `size` bytes from an offset on, if it sends what it should. Where nobody
    /// knows the size, the end of the connection is that of the body.
    pub(crate) fn new(
        answer: Response<ureq::Body>,
        size: Option<u64>,
        offset: u64,
        timeout: Duration,
        (host, what): (&str, &str),
        progress: &Arc<dyn Progress>,
    ) -> Self {
        let is_chunked = answer.headers().contains_key(TRANSFER_ENCODING);
        // Of a body of no bytes the library says that there is none.
        let is_empty = answer.headers().get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() == b"0");
        let body = answer.into_body();
        let length = body.content_length().or(is_empty.then_some(0));
        let end = match length {
            Some(_) => End::Length,
            None if is_chunked => End::Marked,
            None => End::Connection,
        };
        Self {
            reader: Watched::new(body.into_reader(), timeout),
            offset,
            left: length.or(size.map(|size| size.saturating_sub(offset))).unwrap_or_default(),
            end,
            host: host.to_owned(),
            what: what.to_owned(),
            progress: Arc::clone(progress),
        }
    }

    /// Where in the blob it begins: 0 too where the server sent everything though it was asked for the rest.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The host that sends it: the registry or one of its mirrors.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The error of a read that failed, with what was being read from where.
    pub fn broken(&self, error: io::Error) -> Error {
        // The end of all connections shows as all sorts of failures.
        if self.progress.is_cancelled() {
            return Error::Cancelled;
        }
        Fault::of_io(error, self.reader.timeout).into_error(&self.host, &self.what)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other(Fault::Cancelled));
        }
        let count = self.reader.read(buffer)?;
        if count == 0 && self.progress.is_cancelled() {
            return Err(io::Error::other(Fault::Cancelled));
        }
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && !buffer.is_empty() && self.end == End::Connection && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended too early"));
        }
        if count > 0 && self.end == End::Length && self.left == 0 {
            // Reading the end as well, which does not wait, gives the connection back for others.
            let _ = self.reader.read(&mut [0])?;
        }
        Ok(count)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("host", &self.host)
            .field("what", &self.what)
            .field("offset", &self.offset)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Reads a small body to its end; `None` where it has more bytes than the limit.
pub(crate) fn read_limited(body: ureq::Body, limit: u64, timeout: Duration) -> Result<Option<Vec<u8>>, Fault> {
    if body.content_length().is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    Watched::new(body.into_reader(), timeout)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Fault::of_io(error, timeout))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Reads as much of a body as comes, up to a limit.
pub(crate) fn read_beginning(body: ureq::Body, limit: u64, timeout: Duration) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Bytes that do not come are not missed.
    let _ = Watched::new(body.into_reader(), timeout).take(limit).read_to_end(&mut bytes);
    bytes
}

/// A reader that does not put up with too slow a pace. Only the time spent in reads counts: whoever reads may take theirs.
struct Watched<R> {
    inner: R,
    timeout: Duration,
    spent: Duration,
    bytes: u64,
}

impl<R> Watched<R> {
    fn new(inner: R, timeout: Duration) -> Self {
        Self { inner, timeout, spent: Duration::ZERO, bytes: 0 }
    }

    fn watch(&mut self, count: usize, elapsed: Duration) -> io::Result<()> {
        self.spent = self.spent.saturating_add(elapsed);
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.spent < self.timeout {
            return Ok(());
        }
        let (bytes, period) = (self.bytes, self.spent);
        (self.spent, self.bytes) = (Duration::ZERO, 0);
        let wanted = period.as_millis().saturating_mul(u128::from(RATE)) / 1000;
        if u128::from(bytes) < wanted {
            return Err(io::Error::other(Fault::Slow { bytes, period }));
        }
        Ok(())
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let count = self.inner.read(buffer)?;
        // The end may be as late as it likes.
        if count > 0 {
            self.watch(count, start.elapsed())?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_not_put_up_with() {
        let second = Duration::from_secs(1);
        let mut watched = Watched::new(io::empty(), second * 10);
        // Ten seconds with one byte each.
        let failed = (0..10).map(|_| watched.watch(1, second)).position(|result| result.is_err());
        assert_eq!(failed, Some(9));
        // A kibibyte a second goes on for ever.
        assert!((0..1000).all(|_| watched.watch(1024, second).is_ok()));
        // A pause is made up for by what comes before and after it.
        assert!((0..100).all(|_| watched.watch(11 << 10, second * 9).is_ok() && watched.watch(0, second).is_ok()));
    }

    #[test]
    fn the_reason_of_a_slow_read_survives() {
        let mut watched = Watched::new(io::empty(), Duration::from_secs(2));
        let error = watched.watch(3, Duration::from_secs(2)).expect_err("slow");
        let fault = Fault::of_io(error, Duration::from_secs(2));
        assert_eq!(fault.to_string(), "it sends too slowly: 3 bytes in 2 s");
        assert!(fault.is_temporary());
    }
}
