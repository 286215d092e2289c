//! Where the contents of a layer's files go.
//!
//! The reader of an archive never keeps a file's bytes: it hands them on, in the order in which they stand in the
//! archive, straight from the buffer it was given. Whoever builds a file system implements [`ContentSink`].

use std::convert::Infallible;

/// Takes the contents of one layer's regular files, one after the other.
///
/// For each file there is one [`begin`](Self::begin), any number of [`write`](Self::write) and [`skip`](Self::skip)
/// that together cover its logical size, and one [`finish`](Self::finish). After an error nothing more is called.
pub trait ContentSink {
    /// What goes wrong: a full disk, most often. It comes out again as the source of
    /// [`TarError::Sink`](crate::tar::TarError::Sink) and can be downcast there.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// A file's content starts.
    ///
    /// # Errors
    /// The sink's own.
    fn begin(&mut self) -> Result<(), Self::Error>;

    /// The next bytes of the file. Never empty; as long as the buffer allowed, up to the whole file.
    ///
    /// # Errors
    /// The sink's own.
    fn write(&mut self, data: &[u8]) -> Result<(), Self::Error>;

    /// The next `length` bytes (never 0) of the file are zeros that do not stand in the archive: a hole.
    ///
    /// # Errors
    /// The sink's own.
    fn skip(&mut self, length: u64) -> Result<(), Self::Error>;

    /// The file is complete. Returns the handle under which its content is known.
    ///
    /// # Errors
    /// The sink's own.
    fn finish(&mut self) -> Result<u32, Self::Error>;
}

/// The handle of content that went to no sink, as that of a whiteout.
pub const NO_CONTENT: u32 = u32::MAX;

/// A sink that keeps nothing: for those who want a layer's entries alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl ContentSink for Discard {
    type Error = Infallible;

    fn begin(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn write(&mut self, _data: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn skip(&mut self, _length: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn finish(&mut self) -> Result<u32, Infallible> {
        Ok(NO_CONTENT)
    }
}
