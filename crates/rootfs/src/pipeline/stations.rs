//! The three stations of a layer: decompress, hash, parse. Each takes one step at a time, in order, on any thread.
//!
//! The decoder reads the blob, hashes it and decompresses into buffers. The hasher computes the diff ID of what comes
//! out. The parser reads the archive in it and hands file contents on to the image.

use std::io::{self, Read};
use std::sync::Arc;

use banger_ext4::write::{ContentWriter, Segment};
use banger_layers::decompress::Decompressor;
use banger_layers::entry::Entries;
use banger_layers::tar::TarReader;
use banger_oci::{Algorithm, BlobReader, Digest, Layer, Verifier};

use super::buffers::{Buffer, Buffers};
use super::content::LayerContent;
use crate::error::LayerError;

/// A piece of the decompressed stream.
pub(crate) type Chunk = Arc<Buffer>;

/// Decompresses a blob, and checks in the end that it was the one promised.
pub(crate) struct Decoder<'a> {
    layer: &'a Layer,
    decompressor: Decompressor<Blob>,
    buffers: Buffers,
    /// Compressed bytes that have been told of.
    reported: u64,
}

impl<'a> Decoder<'a> {
    /// Opens the blob.
    pub(crate) fn new(layer: &'a Layer) -> Result<Self, LayerError> {
        let verifier = Verifier::new(algorithm(layer.digest()));
        let blob = Blob { inner: layer.open()?, verifier };
        let mut decompressor = Decompressor::new(blob).map_err(banger_layers::Error::from)?;
        if layer.diff_id().is_some() {
            // The diff ID says all that gzip's CRC can say, and more.
            decompressor = decompressor.without_crc();
        }
        Ok(Self { layer, decompressor, buffers: Buffers::new(), reported: 0 })
    }

    /// Decompresses one chunk. The decoder comes back with it while there may be more; after the last one the blob has
    /// been checked.
    ///
    /// # Errors
    /// When the blob cannot be decompressed; or because of that and before that, that it is not the one promised.
    pub(crate) fn step(mut self: Box<Self>) -> Result<(Chunk, Option<Box<Self>>), LayerError> {
        let mut buffer = self.buffers.take();
        match buffer.fill(|room| self.decompressor.fill(room)) {
            Ok(false) => Ok((Arc::new(buffer), Some(self))),
            Ok(true) => {
                self.verify()?;
                Ok((Arc::new(buffer), None))
            }
            Err(error) => {
                self.verify()?;
                Err(banger_layers::Error::from(error).into())
            }
        }
    }

    /// Reads what is left of the blob, without decompressing it, and checks that it is the one promised: when something
    /// is wrong with the content, a blob that is not explains it.
    pub(crate) fn verify(self) -> Result<(), LayerError> {
        let mut blob = self.decompressor.into_source();
        let rest = io::copy(&mut blob, &mut io::sink());
        if let Some(digest) = self.layer.digest() {
            blob.verifier.finish(digest, self.layer.size()).map_err(LayerError::Blob)?;
        }
        rest.map(drop).map_err(LayerError::Read)
    }

    /// Compressed bytes since the last time that this was asked.
    pub(crate) fn advance(&mut self) -> u64 {
        let advanced = self.decompressor.consumed() - self.reported;
        self.reported += advanced;
        advanced
    }
}

/// The blob as it is read: hashed.
struct Blob {
    inner: BlobReader,
    verifier: Verifier,
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.verifier.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Computes the diff ID.
pub(crate) struct Hasher(Verifier);

impl Hasher {
    /// For what is decompressed from a layer.
    pub(crate) fn new(layer: &Layer) -> Self {
        Self(Verifier::new(algorithm(layer.diff_id())))
    }

    /// Takes the next chunk.
    pub(crate) fn step(&mut self, chunk: &Chunk) {
        self.0.update(chunk.bytes());
    }

    /// The diff ID, if it is the one promised.
    pub(crate) fn finish(self, layer: &Layer) -> Result<Digest, LayerError> {
        let (actual, _) = self.0.clone().digest();
        if let Some(expected) = layer.diff_id() {
            self.0.finish(expected, None).map_err(LayerError::DiffId)?;
        }
        Ok(actual)
    }
}

/// Reads the archive: entries into a list, contents into the image.
pub(crate) struct Parser {
    reader: TarReader,
    entries: Entries,
    content: LayerContent,
}

impl Parser {
    /// Has contents go to `writer`.
    pub(crate) fn new(writer: ContentWriter) -> Self {
        Self { reader: TarReader::new(), entries: Entries::new(), content: LayerContent::new(writer) }
    }

    /// Takes the next chunk. As soon as it is known where the contents belong, `base`, they go straight there.
    pub(crate) fn step(&mut self, chunk: &Chunk, base: Option<u64>) -> Result<(), LayerError> {
        if let Some(base) = base {
            self.content.place(base)?;
        }
        self.reader.feed(chunk.bytes(), &mut self.content, &mut self.entries).map_err(banger_layers::Error::from)?;
        Ok(())
    }

    /// That was the last one.
    pub(crate) fn finish(self) -> Result<(Entries, Segment), LayerError> {
        self.reader.finish().map_err(banger_layers::Error::from)?;
        Ok((self.entries, self.content.done()?))
    }
}

fn algorithm(digest: Option<&Digest>) -> Algorithm {
    digest.map_or(Algorithm::Sha256, Digest::algorithm)
}
