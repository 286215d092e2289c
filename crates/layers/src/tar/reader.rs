//! The state machine: which bytes of the archive come next, and what is known of the entry that they belong to.

mod content;
mod entry;
mod extended;

use std::fmt;

use tar_core::{EntryType, Header};

use self::content::Content;
use self::entry::Current;
use self::extended::{Extended, ExtendedHeaders};
use super::sparse::{MapReader, Run};
use super::{BLOCK, Block, Problem, TarError, header, sparse};
use crate::entry::Entries;
use crate::sink::ContentSink;

/// Reads one layer's archive.
///
/// ```
/// # use banger_layers::{entry::Entries, sink::Discard, tar::TarReader};
/// # let archive = [0; 1024];
/// let (mut reader, mut entries) = (TarReader::new(), Entries::new());
/// for chunk in archive.chunks(100) {
///     reader.feed(chunk, &mut Discard, &mut entries)?;
/// }
/// reader.finish()?;
/// # Ok::<(), banger_layers::tar::TarError>(())
/// ```
pub struct TarReader {
    state: State,
    /// Bytes of the archive that have been read.
    offset: u64,
    /// The first bytes of a block that the last chunk did not complete.
    partial: Block,
    partial_bytes: usize,
    /// Where a zero block was found, if it was the last block.
    zero_block: Option<u64>,
    /// Where the archive is over.
    end: Option<u64>,
    extended: ExtendedHeaders,
    current: Current,
    content: Content,
    /// The map of the current file, if that is sparse.
    runs: Vec<Run>,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum State {
    /// A header, or the end.
    Header,
    /// A header, or data of an entry that should have none; so many bytes of it, if it has.
    HeaderOrData(u64),
    /// So many bytes of an extended header.
    Extended(Extended, u64),
    /// An extension block of an old GNU sparse header.
    GnuSparse,
    /// A block of the map of a sparse file in format 1.0, and so many bytes of map and data in all.
    SparseMap(MapReader, u64),
    /// Data of the current file: what is left of a run.
    Content,
    /// So many bytes that mean nothing, and then as many as in [`Padding`](Self::Padding).
    Skip(u64, u64),
    /// So many bytes that fill the last block of data. At the end of the archive they may be missing.
    Padding(u64),
    /// Anything: the archive is over.
    End,
}

impl Default for TarReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TarReader {
    /// A reader at the start of an archive.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            offset: 0,
            partial: [0; BLOCK],
            partial_bytes: 0,
            zero_block: None,
            end: None,
            extended: ExtendedHeaders::default(),
            current: Current::default(),
            content: Content::default(),
            runs: Vec::new(),
        }
    }

    /// Reads the next bytes of the archive: all that there are, after the end of the archive too, where they are
    /// ignored.
    ///
    /// The result does not depend on how the archive is cut into chunks; contents reach the sink in pieces of
    /// these, so large ones are better.
    ///
    /// # Errors
    /// Any [`TarError`]. The reader is of no use after that.
    pub fn feed<S: ContentSink>(
        &mut self,
        mut chunk: &[u8],
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        while !chunk.is_empty() {
            match self.state {
                State::Header | State::HeaderOrData(_) | State::GnuSparse | State::SparseMap(..) => {
                    if let Some(block) = self.take_block(&mut chunk) {
                        self.block(&block, sink, entries)?;
                    }
                }
                State::Extended(kind, left) => {
                    let data = self.take(&mut chunk, left);
                    self.extended.buffer(kind).extend(data);
                    let left = left - data.len() as u64;
                    self.state = State::Extended(kind, left);
                    if left == 0 {
                        self.extended_complete(kind)?;
                    }
                }
                State::Content => {
                    let data = self.take(&mut chunk, self.content.left);
                    self.content.left -= data.len() as u64;
                    if self.content.wanted {
                        sink.write(data).map_err(|error| self.sink_error(error))?;
                    }
                    self.next_run(sink, entries)?;
                }
                State::Skip(left, padding) => {
                    let skipped = self.take(&mut chunk, left);
                    self.skip(left - skipped.len() as u64, padding);
                }
                State::Padding(left) => {
                    let skipped = self.take(&mut chunk, left);
                    self.skip(0, left - skipped.len() as u64);
                }
                State::End => {
                    self.offset += chunk.len() as u64;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Bytes of the archive that have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the two blocks have been read that end the archive. What follows them is ignored.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Where the archive is over, once the two blocks that say so have been read. What follows is ignored.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// The archive has no more bytes.
    ///
    /// # Errors
    /// [`Problem::Truncated`] when there should be, [`Problem::NoEntry`] when only an extended header precedes the end.
    pub fn finish(self) -> Result<(), TarError> {
        let truncated = Problem::Truncated { end: self.offset };
        let within_entry = match self.state {
            State::End => return Ok(()),
            State::Header | State::HeaderOrData(_) if self.is_empty_rest() => return self.no_extended_header(),
            State::Padding(_) => return self.no_extended_header(),
            State::GnuSparse | State::SparseMap(..) | State::Content | State::HeaderOrData(_) => true,
            State::Skip(..) => self.extended.offset.is_none(),
            State::Header | State::Extended(..) => false,
        };
        if within_entry && !self.current.path.is_empty() {
            return Err(self.current.error(truncated));
        }
        Err(TarError::Archive {
            offset: self.extended.offset.unwrap_or(self.offset - self.partial_bytes as u64),
            problem: truncated,
        })
    }

    /// Whether the bytes of a last block that is not complete say nothing: there are none, or only zeros.
    fn is_empty_rest(&self) -> bool {
        self.partial.iter().take(self.partial_bytes).all(|&byte| byte == 0)
    }

    fn no_extended_header(&self) -> Result<(), TarError> {
        match self.extended.offset {
            Some(offset) => Err(TarError::Archive { offset, problem: Problem::NoEntry }),
            None => Ok(()),
        }
    }

    /// Takes up to `limit` bytes off the front of the chunk.
    fn take<'c>(&mut self, chunk: &mut &'c [u8], limit: u64) -> &'c [u8] {
        let count = usize::try_from(limit).map_or(chunk.len(), |limit| limit.min(chunk.len()));
        let (taken, rest) = chunk.split_at(count);
        *chunk = rest;
        self.offset += count as u64;
        taken
    }

    /// Takes a block, of which earlier chunks may have had the start.
    fn take_block(&mut self, chunk: &mut &[u8]) -> Option<Block> {
        let start = self.partial_bytes;
        let taken = self.take(chunk, (BLOCK - start) as u64);
        let end = start + taken.len();
        if let Some(room) = self.partial.get_mut(start..end) {
            room.copy_from_slice(taken);
        }
        self.partial_bytes = end % BLOCK;
        (end == BLOCK).then_some(self.partial)
    }

    fn block<S: ContentSink>(&mut self, block: &Block, sink: &mut S, entries: &mut Entries) -> Result<(), TarError> {
        match self.state {
            State::HeaderOrData(size) if !header::is_zero(block) && header::verify(block).is_err() => {
                // The first block has been read.
                match size.checked_sub(BLOCK as u64) {
                    Some(rest) => self.skip(rest, padding(rest)),
                    None => self.state = State::Header,
                }
                Ok(())
            }
            State::GnuSparse => {
                let more =
                    sparse::gnu_extension(block, &mut self.runs).map_err(|problem| self.current.error(problem))?;
                if more {
                    return Ok(());
                }
                let stored = self.content.left;
                self.start_sparse(stored, sink, entries)
            }
            State::SparseMap(mut reader, left) => {
                let complete = reader.block(block, &mut self.runs).map_err(|problem| self.current.error(problem))?;
                let left = left.saturating_sub(BLOCK as u64);
                if complete {
                    return self.start_sparse(left, sink, entries);
                }
                self.state = self.sparse_map(reader, left)?;
                Ok(())
            }
            _ => self.header(block, sink, entries),
        }
    }

    fn header<S: ContentSink>(&mut self, block: &Block, sink: &mut S, entries: &mut Entries) -> Result<(), TarError> {
        let offset = self.offset - BLOCK as u64;
        let archive = |offset| move |problem| TarError::Archive { offset, problem };
        self.state = State::Header;
        if header::is_zero(block) {
            if self.zero_block.is_some() {
                self.no_extended_header()?;
                self.state = State::End;
                self.end = Some(self.offset);
            }
            self.zero_block = Some(offset);
            return Ok(());
        }
        if let Some(zero_block) = self.zero_block {
            return Err(archive(zero_block)(Problem::LoneZeroBlock));
        }
        header::verify(block)
            .map_err(|problem| archive(offset)(if offset == 0 { Problem::NotTar } else { problem }))?;
        let header = Header::from_bytes(block);
        match header.entry_type() {
            EntryType::XHeader | EntryType::Other(b'X') => self.extended_header(Extended::Pax, header),
            EntryType::XGlobalHeader => {
                self.current.path.clear();
                self.extended_header(Extended::GlobalPax, header)
            }
            EntryType::GnuLongName => self.extended_header(Extended::LongName, header),
            EntryType::GnuLongLink => self.extended_header(Extended::LongLink, header),
            EntryType::Other(b'V') => {
                self.extended.clear();
                self.current.path.clear();
                let size = header::size(header).map_err(archive(offset))?;
                self.skip(size, padding(size));
                Ok(())
            }
            _ => self.entry(header, offset, sink, entries),
        }
    }

    /// What follows are so many bytes that mean nothing, `padding`, and a header.
    fn skip(&mut self, bytes: u64, padding: u64) {
        self.state = match (bytes, padding) {
            (0, 0) => State::Header,
            (0, padding) => State::Padding(padding),
            (bytes, padding) => State::Skip(bytes, padding),
        };
    }
}

impl fmt::Debug for TarReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarReader").field("state", &self.state).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Bytes behind data of this size that fill its last block. No size has 64 bits.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}
