//! How entries and contents get into a layer: everything is root's, and as old as the image.
//!
//! Directories have no entries. Those that the image has stay as they are, and those that are missing are made as
//! missing parents of a layer are: 0755, root's (docs/layers.md).

use std::io::Read;

use banger_layers::ContentSink;
use banger_layers::entry::{Entries, Entry, EntryError, Kind, Time};
use banger_layers::xattr::XattrId;

/// Bytes read from a file at a time.
const PIECE: usize = 256 << 10;

/// How the name of a whiteout begins (image specification, layer.md).
const WHITEOUT: &[u8] = b".wh.";

/// A layer that is being made.
#[derive(Debug)]
pub struct Contents<'a, S> {
    entries: Entries,
    sink: &'a mut S,
    time: Time,
}

/// Why a file did not get into the layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentsError<E: std::error::Error + 'static> {
    /// The sink did not take its content.
    #[error(transparent)]
    Sink(E),
    /// The list did not take the entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Its content could not be read.
    #[error(transparent)]
    Read(std::io::Error),
}

impl<'a, S: ContentSink<Error: std::error::Error>> Contents<'a, S> {
    /// A layer without entries, whose contents go to `sink`. `time` is that of all it gets.
    pub fn new(sink: &'a mut S, time: Time) -> Self {
        Self { entries: Entries::new(), sink, time }
    }

    /// A file with these bytes.
    ///
    /// # Errors
    /// [`ContentsError`]
    pub fn file(&mut self, path: &[u8], mode: u16, bytes: &[u8]) -> Result<(), ContentsError<S::Error>> {
        self.copy(path, mode, bytes).map(|_| ())
    }

    /// A file with what can be read; how much that was.
    ///
    /// # Errors
    /// [`ContentsError`]
    pub fn copy(&mut self, path: &[u8], mode: u16, mut from: impl Read) -> Result<u64, ContentsError<S::Error>> {
        let mut piece = vec![0; PIECE];
        let mut size = 0u64;
        self.sink.begin().map_err(ContentsError::Sink)?;
        loop {
            let count = match from.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                count => count.map_err(ContentsError::Read)?,
            };
            let Some(bytes @ [_, ..]) = piece.get(..count) else { break };
            self.sink.write(bytes).map_err(ContentsError::Sink)?;
            size = size.saturating_add(bytes.len() as u64);
        }
        let content = self.sink.finish().map_err(ContentsError::Sink)?;
        self.push(path, mode, Kind::File { content, size })?;
        Ok(size)
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// [`ContentsError::Entry`]
    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), ContentsError<S::Error>> {
        self.push(path, 0o777, Kind::Symlink { target })
    }

    /// The removal of what the layers below have at a path: a whiteout.
    ///
    /// # Errors
    /// [`ContentsError::Entry`]
    pub fn remove(&mut self, path: &[u8]) -> Result<(), ContentsError<S::Error>> {
        let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash.saturating_add(1));
        let (directory, name) = path.split_at(at);
        // The type of a whiteout means nothing. This one is that of overlayfs.
        self.push(&[directory, WHITEOUT, name].concat(), 0, Kind::CharDevice { major: 0, minor: 0 })
    }

    /// The list of all entries.
    pub fn into_entries(self) -> Entries {
        self.entries
    }

    fn push(&mut self, path: &[u8], mode: u16, kind: Kind<'_>) -> Result<(), ContentsError<S::Error>> {
        let entry = Entry { path, kind, mode, uid: 0, gid: 0, mtime: self.time, xattrs: XattrId::EMPTY };
        Ok(self.entries.push(entry)?)
    }
}
