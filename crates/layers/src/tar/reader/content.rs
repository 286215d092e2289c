//! The content of a file: its runs, and the holes between them.

use tar_core::Header;

use super::{State, TarReader, padding};
use crate::entry::{Entries, Kind};
use crate::path::Shown;
use crate::sink::{ContentSink, NO_CONTENT};
use crate::tar::pax::{Extension, MapPlace};
use crate::tar::sparse::{self, MapReader};
use crate::tar::{BLOCK, Problem, TarError, header};

/// How far the content of the current file has been read.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Whether it goes to the sink.
    pub(super) wanted: bool,
    /// Logical size of the file.
    pub(super) size: u64,
    /// Where in the file the run ends that is being read.
    pub(super) end: u64,
    /// What is left of this run.
    pub(super) left: u64,
    /// The number of the run after it.
    pub(super) next_run: usize,
    /// Bytes behind the data that fill its last block.
    pub(super) padding: u64,
}

impl TarReader {
    /// Starts a file, sparse or not.
    pub(super) fn start_file<S: ContentSink>(
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
            padding: padding(stored),
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
    pub(super) fn sparse_map(&self, reader: MapReader, left: u64) -> Result<State, TarError> {
        if left < BLOCK as u64 {
            return Err(self.current.error(Problem::BadSparseMap));
        }
        Ok(State::SparseMap(reader, left))
    }

    /// The map is complete: so many bytes of data follow.
    pub(super) fn start_sparse<S: ContentSink>(
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
    pub(super) fn next_run<S: ContentSink>(&mut self, sink: &mut S, entries: &mut Entries) -> Result<(), TarError> {
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
        self.skip(0, self.content.padding);
        Ok(())
    }

    pub(super) fn sink_error(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TarError {
        TarError::Sink { path: Shown::new(&self.current.path), source: error.into() }
    }
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
