//! Reads ar archives as Debian packages are (deb(5)): names in the header, no tables of longer ones.
//!
//! Layout (deb(5), ar(5)): `!<arch>` and a newline; then for each member a header of 60 bytes, its content, and a newline where that has
//! an odd length. A header is text filled up with spaces: name (16), time (12), owner (6), group (6), mode (8), size (10),
//! a grave accent and a newline.

use std::io::{self, Read};

/// What an archive begins with.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";
/// Bytes of a header.
const HEADER: usize = 60;
/// What a header ends with.
const END: &[u8] = b"`\n";

/// Why an archive cannot be read. Offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArError {
    /// It is no such archive.
    #[error("it is no ar archive")]
    NotAr,
    /// A header is malformed.
    #[error("the header at byte {offset} of the ar archive is malformed: {reason}")]
    Header {
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// It ends within a header or a member.
    #[error("the ar archive ends too early, after {offset} bytes")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// It cannot be read.
    #[error("the ar archive cannot be read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why not.
        source: io::Error,
    },
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, without what fills the field up and without the slash that GNU's ar puts behind it.
    pub name: String,
    /// Bytes of it.
    pub size: u64,
}

/// An archive that is read from its start to its end. To read from it is to read from the member at hand.
#[derive(Debug)]
pub struct Archive<R> {
    source: R,
    offset: u64,
    /// Bytes of the member that have not been read.
    left: u64,
    /// Whether a byte follows it that fills it up.
    is_odd: bool,
}

impl<R: Read> Archive<R> {
    /// Begins to read an archive.
    ///
    /// # Errors
    /// It is none, or cannot be read.
    pub fn new(source: R) -> Result<Self, ArError> {
        let mut archive = Self { source, offset: 0, left: 0, is_odd: false };
        let mut magic = [0; MAGIC.len()];
        let count = archive.fill(&mut magic)?;
        if count < magic.len() || magic != *MAGIC { Err(ArError::NotAr) } else { Ok(archive) }
    }

    /// Goes on to the next member; what was not read of the one at hand is skipped. `None` at the end.
    ///
    /// # Errors
    /// The archive is malformed, or cannot be read.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArError> {
        let skipped = io::copy(&mut (&mut self.source).take(self.left), &mut io::sink())
            .map_err(|source| ArError::Read { offset: self.offset, source })?;
        self.offset = self.offset.saturating_add(skipped);
        if skipped < self.left {
            return Err(ArError::Truncated { offset: self.offset });
        }
        self.left = 0;
        // The last member may lack the byte that would fill it up.
        if std::mem::take(&mut self.is_odd) && self.fill(&mut [0])? == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        let mut header = [0; HEADER];
        match self.fill(&mut header)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(ArError::Truncated { offset: self.offset }),
        }
        let member = parse(&header).map_err(|reason| ArError::Header { offset, reason })?;
        self.left = member.size;
        self.is_odd = member.size % 2 == 1;
        Ok(Some(member))
    }

    /// Fills the buffer, or as much of it as there is before the end.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ArError> {
        let mut count: usize = 0;
        while let Some(room) = buffer.get_mut(count..).filter(|room| !room.is_empty()) {
            match self.source.read(room) {
                Ok(0) => break,
                Ok(read) => {
                    count = count.saturating_add(read);
                    self.offset = self.offset.saturating_add(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ArError::Read { offset: self.offset, source }),
            }
        }
        Ok(count)
    }
}

impl<R: Read> Read for Archive<R> {
    /// Reads of the member at hand. That the archive ends before the member does is an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..most).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let count = self.source.read(room)?;
        if count == 0 {
            let error = ArError::Truncated { offset: self.offset };
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        self.offset = self.offset.saturating_add(count as u64);
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// Reads a header; an error is what is wrong with it.
fn parse(header: &[u8; HEADER]) -> Result<Member, &'static str> {
    let (fields, end) = header.split_at(HEADER.saturating_sub(END.len()));
    if end != END {
        return Err("it does not end as headers do");
    }
    let field = |range| fields.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    let name = std::str::from_utf8(field(0..16)).map_err(|_| "its name is no text")?.trim_end_matches(' ');
    // GNU: `/`, `//` and `/NUMBER` are tables and what refers to them. BSD: `#1/LENGTH` has the name in front of the content.
    if name.starts_with('/') || name.starts_with("#1/") {
        return Err("it has a long name, which packages have not");
    }
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has no proper name");
    }
    let size = std::str::from_utf8(field(48..58)).unwrap_or_default().trim_end_matches(' ');
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("its size is no number");
    }
    let size = size.parse().map_err(|_| "its size is no number")?;
    Ok(Member { name: name.to_owned(), size })
}

#[cfg(test)]
mod tests;
