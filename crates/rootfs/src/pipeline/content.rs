//! File contents of a layer on their way from the archive into the image.

use banger_ext4::write::{ContentWriter, Segment};
use banger_layers::ContentSink;

/// The image's writer, as the reader of archives wants it.
#[derive(Debug)]
pub(crate) struct LayerContent(ContentWriter);

impl LayerContent {
    /// Takes contents for one layer.
    pub(crate) fn new(writer: ContentWriter) -> Self {
        Self(writer)
    }

    /// Where they go is known: from here on straight there, and what has been collected moves.
    pub(crate) fn place(&mut self, base: u64) -> Result<(), banger_ext4::Error> {
        if self.0.is_placed() { Ok(()) } else { self.0.place(base) }
    }

    /// That was all.
    pub(crate) fn done(self) -> Result<Segment, banger_ext4::Error> {
        self.0.done()
    }
}

impl ContentSink for LayerContent {
    type Error = banger_ext4::Error;

    fn begin(&mut self) -> Result<(), Self::Error> {
        self.0.begin()
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Self::Error> {
        self.0.write(data)
    }

    fn skip(&mut self, length: u64) -> Result<(), Self::Error> {
        self.0.skip(length)
    }

    fn finish(&mut self) -> Result<u32, Self::Error> {
        self.0.finish()
    }
}
