//! The state machine: which bytes of the archive come next, and what is known of the entry that they belong to.

use std::fmt;

use tar_core::{EntryType, Header};

use super::pax::{Extension, MapPlace};
use super::sparse::{MapReader, Run};
use super::{BLOCK, Block, Problem, TarError, header, pax, sparse};
use crate::entry::{Entries, Entry, Kind, Time};
use crate::limits;
use crate::path::Shown;
use crate::sink::{ContentSink, NO_CONTENT};
use crate::xattr::XattrId;

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
    /// So many bytes that mean nothing.
    Skip(u64),
    /// Anything: the archive is over.
    End,
}

/// Kinds of extended headers.
#[derive(Debug, Clone, Copy)]
enum Extended {
    Pax,
    GlobalPax,
    LongName,
    LongLink,
}

/// The extended headers that stand before an entry. The buffers are kept from one to the next.
#[derive(Default)]
struct ExtendedHeaders {
    /// Where the first of them is, if there is one.
    offset: Option<u64>,
    pax: Vec<u8>,
    long_name: Vec<u8>,
    long_link: Vec<u8>,
    global: Vec<u8>,
}

impl ExtendedHeaders {
    fn buffer(&mut self, kind: Extended) -> &mut Vec<u8> {
        match kind {
            Extended::Pax => &mut self.pax,
            Extended::GlobalPax => &mut self.global,
            Extended::LongName => &mut self.long_name,
            Extended::LongLink => &mut self.long_link,
        }
    }

    /// Forgets them: their entry has been read.
    fn clear(&mut self) {
        self.offset = None;
        self.pax.clear();
        self.long_name.clear();
        self.long_link.clear();
    }
}

/// The entry that is being read.
#[derive(Default)]
struct Current {
    path: Vec<u8>,
    /// Where its header is.
    offset: u64,
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: Time,
    xattrs: XattrId,
}

impl Current {
    fn error(&self, problem: Problem) -> TarError {
        TarError::Entry { path: Shown::new(&self.path), offset: self.offset, problem }
    }

    fn push(&self, kind: Kind<'_>, entries: &mut Entries) -> Result<(), TarError> {
        let entry = Entry {
            path: &self.path,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            xattrs: self.xattrs,
        };
        entries.push(entry).map_err(|source| TarError::List { offset: self.offset, source })
    }
}

/// How far the content of the current file has been read.
#[derive(Debug, Default)]
struct Content {
    /// Whether it goes to the sink.
    wanted: bool,
    /// Logical size of the file.
    size: u64,
    /// Where in the file the run ends that is being read.
    end: u64,
    /// What is left of this run.
    left: u64,
    /// The number of the run after it.
    next_run: usize,
    /// Bytes behind the data that fill its last block.
    padding: u64,
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
                State::Skip(left) => {
                    let skipped = self.take(&mut chunk, left);
                    self.skip(left - skipped.len() as u64);
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

    /// The archive has no more bytes.
    ///
    /// # Errors
    /// [`Problem::Truncated`] when there should be, [`Problem::NoEntry`] when only an extended header precedes the end.
    pub fn finish(self) -> Result<(), TarError> {
        let truncated = Problem::Truncated { end: self.offset };
        let within_entry = match self.state {
            State::End => return Ok(()),
            State::Header | State::HeaderOrData(_) if self.partial_bytes == 0 => {
                return self.no_extended_header();
            }
            State::GnuSparse | State::SparseMap(..) | State::Content | State::HeaderOrData(_) => true,
            State::Skip(_) => self.extended.offset.is_none(),
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
                self.skip(padded(size) - BLOCK as u64);
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
                self.skip(padded(size));
                Ok(())
            }
            _ => self.entry(header, offset, sink, entries),
        }
    }

    fn extended_header(&mut self, kind: Extended, header: &Header) -> Result<(), TarError> {
        let offset = self.offset - BLOCK as u64;
        let size = header::size(header).and_then(|size| {
            if size > limits::EXTENDED_HEADER_BYTES {
                return Err(Problem::ExtendedHeaderTooLarge { size });
            }
            Ok(size)
        });
        let size = size.map_err(|problem| TarError::Archive { offset, problem })?;
        if !matches!(kind, Extended::GlobalPax) {
            self.extended.offset.get_or_insert(offset);
        }
        self.extended.buffer(kind).clear();
        self.content.padding = padded(size) - size;
        self.state = State::Extended(kind, size);
        if size == 0 {
            self.state = State::Header;
        }
        Ok(())
    }

    fn extended_complete(&mut self, kind: Extended) -> Result<(), TarError> {
        match kind {
            Extended::Pax => {}
            Extended::GlobalPax => {
                let start = self.offset - self.extended.global.len() as u64;
                pax::check(&self.extended.global).map_err(|problem| TarError::Archive { offset: start, problem })?;
            }
            Extended::LongName | Extended::LongLink => {
                let name = self.extended.buffer(kind);
                let length = name.iter().position(|&byte| byte == 0);
                name.truncate(length.unwrap_or(name.len()));
            }
        }
        self.skip(self.content.padding);
        Ok(())
    }

    /// Reads the header of an entry proper.
    fn entry<S: ContentSink>(
        &mut self,
        header: &Header,
        offset: u64,
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        let mut extended = std::mem::take(&mut self.extended);
        let mut extension = Extension::default();
        let parsed = pax::parse(&extended.pax, &mut extension, &mut self.runs);
        self.current.offset = offset;
        self.name(header, &extended.long_name, &extension);
        parsed
            .and_then(|()| self.describe(header, &extension, entries))
            .map_err(|problem| self.current.error(problem))?;
        self.start(header, &extension, &extended.long_link, sink, entries)?;
        extended.clear();
        self.extended = extended;
        Ok(())
    }

    fn name(&mut self, header: &Header, long_name: &[u8], extension: &Extension<'_>) {
        let sparse_name = extension.sparse.name.filter(|_| header.entry_type().is_file());
        let long_name = (!long_name.is_empty()).then_some(long_name);
        match sparse_name.or(extension.path).or(long_name) {
            Some(name) => {
                self.current.path.clear();
                self.current.path.extend(name);
            }
            None => header::path(header, &mut self.current.path),
        }
    }

    /// Fills in what all kinds of entries have.
    fn describe(&mut self, header: &Header, extension: &Extension<'_>, entries: &mut Entries) -> Result<(), Problem> {
        let current = &mut self.current;
        if current.path.is_empty() {
            return Err(Problem::EmptyPath);
        }
        current.mode = header::mode(header)?;
        current.uid = extension.uid.map_or_else(|| header::uid(header), Ok)?;
        current.gid = extension.gid.map_or_else(|| header::gid(header), Ok)?;
        current.mtime = extension.mtime.map_or_else(|| header::mtime(header), Ok)?;
        current.xattrs = XattrId::EMPTY;
        if !extension.xattrs.is_empty() {
            let attributes: Vec<(&[u8], &[u8])> =
                extension.xattrs.iter().map(|(name, value)| (&**name, &**value)).collect();
            current.xattrs = entries.intern_xattrs(&attributes).map_err(Problem::XattrsFull)?;
        }
        Ok(())
    }

    /// Goes from the header to what follows it: data, a map, or the next header.
    fn start<S: ContentSink>(
        &mut self,
        header: &Header,
        extension: &Extension<'_>,
        long_link: &[u8],
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        let size = extension.size.map_or_else(|| header::size(header), Ok);
        let size = size.map_err(|problem| self.current.error(problem))?;
        let target = extension.link_target.unwrap_or(match long_link {
            [] => header.link_name_bytes(),
            long_link => long_link,
        });
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                // The one type flag that V7 had: there, a slash made the directory.
                if header.as_ustar().typeflag == [0] && self.current.path.ends_with(b"/") {
                    self.current.push(Kind::Directory, entries)?;
                    self.skip(padded(size));
                    return Ok(());
                }
                return self.start_file(header, extension, size, sink, entries);
            }
            EntryType::GnuSparse => return self.start_file(header, extension, size, sink, entries),
            EntryType::Other(b'D') => {
                self.current.push(Kind::Directory, entries)?;
                self.skip(padded(size));
                return Ok(());
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Link | EntryType::Symlink if target.is_empty() => {
                return Err(self.current.error(Problem::EmptyTarget));
            }
            EntryType::Link => Kind::Hardlink { target },
            EntryType::Symlink => Kind::Symlink { target },
            kind @ (EntryType::Char | EntryType::Block) => {
                let (major, minor) = header::device(header).map_err(|problem| self.current.error(problem))?;
                if kind == EntryType::Char {
                    Kind::CharDevice { major, minor }
                } else {
                    Kind::BlockDevice { major, minor }
                }
            }
            EntryType::Fifo => Kind::Fifo,
            other => {
                return Err(self.current.error(Problem::UnknownType { flag: other.to_byte() }));
            }
        };
        self.current.push(kind, entries)?;
        self.state = match size {
            0 => State::Header,
            size => State::HeaderOrData(size),
        };
        Ok(())
    }

    fn start_file<S: ContentSink>(
        &mut self,
        header: &Header,
        extension: &Extension<'_>,
        stored: u64,
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        let error = |problem| self.current.error(problem);
        let place = extension.sparse.map_place().map_err(error)?;
        let gnu_size = if header.entry_type().is_gnu_sparse() {
            if place != MapPlace::None {
                return Err(error(Problem::BadSparseMap));
            }
            Some(header::gnu_real_size(header).map_err(error)?)
        } else {
            None
        };
        self.content = Content {
            wanted: !is_whiteout(&self.current.path),
            size: gnu_size.or(extension.sparse.size).unwrap_or(stored),
            padding: padded(stored) - stored,
            ..Content::default()
        };
        if self.content.wanted {
            sink.begin().map_err(|error| self.sink_error(error))?;
        }
        if gnu_size.is_some() {
            let more =
                sparse::gnu_header(header.as_gnu(), &mut self.runs).map_err(|problem| self.current.error(problem))?;
            if more {
                self.content.left = stored;
                self.state = State::GnuSparse;
                return Ok(());
            }
            return self.start_sparse(stored, sink, entries);
        }
        match place {
            MapPlace::None => {
                self.runs.clear();
                self.content.left = stored;
                self.content.end = stored;
                self.content.size = stored;
                self.next_run(sink, entries)
            }
            MapPlace::Header => self.start_sparse(stored, sink, entries),
            MapPlace::Data => {
                self.state = self.sparse_map(MapReader::default(), stored)?;
                Ok(())
            }
        }
    }

    /// The state before another block of a map in the data, of which so many bytes are left.
    fn sparse_map(&self, reader: MapReader, left: u64) -> Result<State, TarError> {
        if left < BLOCK as u64 {
            return Err(self.current.error(Problem::BadSparseMap));
        }
        Ok(State::SparseMap(reader, left))
    }

    /// The map is complete: so many bytes of data follow.
    fn start_sparse<S: ContentSink>(
        &mut self,
        stored: u64,
        sink: &mut S,
        entries: &mut Entries,
    ) -> Result<(), TarError> {
        sparse::check(&self.runs, self.content.size, stored).map_err(|problem| self.current.error(problem))?;
        self.content.left = 0;
        self.next_run(sink, entries)
    }

    /// When a run has been read: on to the next one, or to the end of the file.
    fn next_run<S: ContentSink>(&mut self, sink: &mut S, entries: &mut Entries) -> Result<(), TarError> {
        while self.content.left == 0 {
            let run = self.runs.get(self.content.next_run).copied();
            let hole = run.map_or(self.content.size, |run| run.offset) - self.content.end;
            if hole > 0 && self.content.wanted {
                sink.skip(hole).map_err(|error| self.sink_error(error))?;
            }
            let Some(run) = run else {
                return self.end_file(sink, entries);
            };
            self.content.left = run.length;
            self.content.end = run.offset + run.length;
            self.content.next_run += 1;
        }
        self.state = State::Content;
        Ok(())
    }

    fn end_file<S: ContentSink>(&mut self, sink: &mut S, entries: &mut Entries) -> Result<(), TarError> {
        let content =
            if self.content.wanted { sink.finish().map_err(|error| self.sink_error(error))? } else { NO_CONTENT };
        let size = self.content.size;
        self.current.push(Kind::File { content, size }, entries)?;
        self.skip(self.content.padding);
        Ok(())
    }

    fn skip(&mut self, bytes: u64) {
        self.state = match bytes {
            0 => State::Header,
            bytes => State::Skip(bytes),
        };
    }

    fn sink_error(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TarError {
        TarError::Sink { path: Shown::new(&self.current.path), source: error.into() }
    }
}

impl fmt::Debug for TarReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarReader").field("state", &self.state).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Bytes that data of this size takes in the archive. No size has 64 bits.
fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

/// Whether the entry says something about lower layers rather than being something.
fn is_whiteout(path: &[u8]) -> bool {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    path.get(..end)
        .and_then(|path| path.rsplit(|&byte| byte == b'/').next())
        .is_some_and(|name| name.starts_with(b".wh."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiteouts_are_known_by_their_last_component() {
        for (path, whiteout) in [
            (&b".wh.a"[..], true),
            (b"./dir/.wh.a/", true),
            (b"/.wh..wh..opq", true),
            (b".wh.", true),
            (b".wh.a/b", false),
            (b"a.wh.b", false),
            (b".wh", false),
            (b"///", false),
            (b"", false),
        ] {
            assert_eq!(is_whiteout(path), whiteout, "{}", path.escape_ascii());
        }
    }
}
