//! How the network is asked: by whoever uses this crate, who knows HTTP.

use std::error::Error as StdError;
use std::fmt;
use std::io::Read;

use banger_error::ErrorKind;

/// Asks servers for files.
pub trait Fetch: Send + Sync {
    /// Asks for a file, from the byte `offset` on. The address is `https:` or `http:`; who is asked has been decided.
    ///
    /// To try again what fails at once, redirects, encryption, proxies and time limits are the implementation's. To ask again when
    /// a body breaks off is the caller's.
    ///
    /// # Errors
    /// There is no answer, or one that means failure.
    fn get(&self, url: &str, offset: u64) -> Result<Answer, FetchError>;
}

/// A server's answer.
pub struct Answer {
    /// Where in the file the body begins: 0 if the server has paid no attention to what was asked for.
    pub offset: u64,
    /// Bytes of the whole file, where the server says so.
    pub total: Option<u64>,
    /// The rest of the file.
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("offset", &self.offset).field("total", &self.total).finish_non_exhaustive()
    }
}

/// Why a server could not be asked, or has no file.
#[derive(Debug)]
pub struct FetchError {
    /// What sort of failure it is: [`ErrorKind::NotFound`] when the server says that there is no such file, [`ErrorKind::Network`] mostly.
    pub kind: ErrorKind,
    /// The reason.
    pub reason: Box<dyn StdError + Send + Sync>,
}

impl FetchError {
    /// A failure of that sort.
    pub fn new(kind: ErrorKind, reason: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl StdError for FetchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.reason.source()
    }
}
