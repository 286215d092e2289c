//! A sink that keeps every content, and what a whole archive gives.

use std::convert::Infallible;

use banger_layers::entry::{Entries, Entry};
use banger_layers::sink::ContentSink;
use banger_layers::tar::{Problem, TarError, TarReader};

/// What one file's content was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Bytes in full, holes as zeros. Holes of more than a mebibyte are kept in `holes` alone.
    pub(crate) bytes: Vec<u8>,
    /// Offset and length of each hole.
    pub(crate) holes: Vec<(u64, u64)>,
    pub(crate) size: u64,
}

/// Keeps all contents; the handle of each is its place in the list.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    pub(crate) contents: Vec<Content>,
    open: Option<Content>,
}

impl ContentSink for Keep {
    type Error = Infallible;

    fn begin(&mut self) -> Result<(), Infallible> {
        assert!(self.open.replace(Content::default()).is_none(), "begin within a file");
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Infallible> {
        assert!(!data.is_empty(), "an empty write");
        let content = self.open.as_mut().expect("write outside of a file");
        content.bytes.extend(data);
        content.size += data.len() as u64;
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<(), Infallible> {
        assert!(length > 0, "an empty hole");
        let content = self.open.as_mut().expect("skip outside of a file");
        content.holes.push((content.size, length));
        if length <= 1 << 20 {
            content.bytes.resize(content.bytes.len() + length as usize, 0);
        }
        content.size += length;
        Ok(())
    }

    fn finish(&mut self) -> Result<u32, Infallible> {
        let content = self.open.take().expect("finish outside of a file");
        self.contents.push(content);
        Ok(self.contents.len() as u32 - 1)
    }
}

/// One layer, read.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) entries: Entries,
    pub(crate) contents: Vec<Content>,
}

impl Layer {
    /// The entry of this name, the last if there are several.
    pub(crate) fn entry(&self, path: impl AsRef<[u8]>) -> Entry<'_> {
        let path = path.as_ref();
        self.entries
            .iter()
            .filter(|entry| entry.path == path)
            .last()
            .unwrap_or_else(|| panic!("no entry {}", path.escape_ascii()))
    }

    /// The content of the file of this name.
    pub(crate) fn content(&self, path: impl AsRef<[u8]>) -> &Content {
        match self.entry(path).kind {
            banger_layers::entry::Kind::File { content, .. } => &self.contents[content as usize],
            other => panic!("no file but {other:?}"),
        }
    }

    /// The names, in order.
    pub(crate) fn paths(&self) -> Vec<&[u8]> {
        self.entries.iter().map(|entry| entry.path).collect()
    }

    /// The attributes of the entry of this name.
    pub(crate) fn xattrs(&self, path: impl AsRef<[u8]>) -> Vec<(&[u8], &[u8])> {
        self.entries.xattrs(self.entry(path).xattrs).collect()
    }
}

/// Reads an archive in one piece.
pub(crate) fn read(archive: &[u8]) -> Result<Layer, TarError> {
    read_in_pieces([archive])
}

/// Reads an archive that comes in pieces.
pub(crate) fn read_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Layer, TarError> {
    let mut reader = TarReader::new();
    let mut sink = Keep::default();
    let mut entries = Entries::new();
    for piece in pieces {
        reader.feed(piece, &mut sink, &mut entries)?;
    }
    reader.finish()?;
    assert!(sink.open.is_none(), "the last file is not finished");
    Ok(Layer { entries, contents: sink.contents })
}

/// What is wrong with an archive: the entry (none if the error names none), the offset, the problem.
pub(crate) fn problem(archive: &[u8]) -> (Option<String>, u64, Problem) {
    match read(archive) {
        Err(TarError::Entry { path, offset, problem }) => (Some(path.to_string()), offset, problem),
        Err(TarError::Archive { offset, problem }) => (None, offset, problem),
        Err(other) => panic!("another error: {other:?}"),
        Ok(layer) => panic!("no error: {layer:?}"),
    }
}
