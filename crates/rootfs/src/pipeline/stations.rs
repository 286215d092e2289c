//! The stations of a layer: decompress, check, hash, parse. Each takes one step at a time, in order, on any thread.
//!
//! The decoder reads the blob and decompresses it into buffers. One hasher checks the digest of what it read, another the
//! diff ID of what came out. The parser reads the archive in that and hands file contents on to the image.

use std::io::{self, Read};
use std::sync::Arc;

use banger_ext4::write::{ContentWriter, Segment};
use banger_layers::decompress::{Decompressor, Limits, WindowBudget};
use banger_layers::entry::Entries;
use banger_layers::tar::TarReader;
use banger_oci::{Algorithm, BlobReader, Digest, Layer, Mismatch, Verifier};

use super::buffers::{Buffer, Buffers};
use super::content::LayerContent;
use crate::error::LayerError;

/// A piece of a blob, or of what it decompresses to.
pub(crate) type Chunk = Arc<Buffer>;

/// How much memory the decoders of all layers may take for windows of zstd.
#[derive(Debug)]
pub(crate) struct Windows {
    /// The largest window that a frame may have.
    largest: u64,
    /// What all that are larger than usual have together: no more than the largest alone.
    budget: Arc<WindowBudget>,
}

impl Windows {
    /// Windows of `largest` bytes, and as much together.
    pub(crate) fn new(largest: u64) -> Self {
        Self { largest, budget: Arc::new(WindowBudget::new(largest)) }
    }
}

/// Decompresses a blob.
pub(crate) struct Decoder {
    decompressor: Decompressor<Blob>,
    buffers: Buffers,
}

/// What a step of the decoder came to.
pub(crate) struct Decoded {
    /// The next piece of the stream.
    pub(crate) chunk: Chunk,
    /// What has been read of the blob for it.
    pub(crate) read: Vec<Chunk>,
    /// The decoder, while there may be more.
    pub(crate) decoder: Option<Box<Decoder>>,
}

impl Decoder {
    /// Decompresses a layer's blob. It takes large windows of zstd from `windows`.
    pub(crate) fn new(blob: BlobReader, layer: &Layer, windows: &Windows) -> Result<Self, LayerError> {
        let limits = Limits { window: windows.largest, ..Limits::default() };
        let decompressor = Decompressor::with_limits(Blob::new(blob), limits).map_err(banger_layers::Error::from)?;
        let mut decompressor = decompressor.sharing(Arc::clone(&windows.budget));
        if layer.diff_id().is_some() {
            // The diff ID says all that gzip's CRC can say, and more.
            decompressor = decompressor.without_crc();
        }
        Ok(Self { decompressor, buffers: Buffers::new() })
    }

    /// Whether enough of the blob is here for a step, and memory for its window.
    pub(crate) fn is_ready(&self) -> bool {
        self.decompressor.source().is_ready() && !self.decompressor.is_blocked()
    }

    /// Decompresses one chunk.
    ///
    /// # Errors
    /// What is wrong with the blob's content, and the blob, as far as it has not been read.
    pub(crate) fn step(mut self: Box<Self>) -> Result<Decoded, Box<(LayerError, Blob)>> {
        let mut buffer = self.buffers.take();
        match buffer.fill(|room| self.decompressor.fill(room)) {
            Ok(short) => {
                let read = self.decompressor.source_mut().take_read();
                let last = short && !self.decompressor.is_waiting();
                let decoder = if last { None } else { Some(self) };
                Ok(Decoded { chunk: Arc::new(buffer), read, decoder })
            }
            Err(error) => Err(Box::new((banger_layers::Error::from(error).into(), self.into_blob()))),
        }
    }

    /// The blob, as far as it has not been read.
    pub(crate) fn into_blob(self) -> Blob {
        self.decompressor.into_source()
    }
}

/// A blob, read in chunks that are also kept for whoever checks its digest.
pub(crate) struct Blob {
    inner: BlobReader,
    buffers: Buffers,
    current: Option<Chunk>,
    /// Bytes of the current chunk that have been handed out.
    position: usize,
    read: Vec<Chunk>,
}

impl Blob {
    fn new(inner: BlobReader) -> Self {
        Self { inner, buffers: Buffers::new(), current: None, position: 0, read: Vec::new() }
    }

    /// Whether there is something to read without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    /// Reads on without decompressing: what has been read since the last time, nothing at the end.
    pub(crate) fn step(&mut self) -> Result<Vec<Chunk>, LayerError> {
        self.advance().map_err(LayerError::Read)?;
        Ok(self.take_read())
    }

    fn take_read(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.read)
    }

    /// Makes the next chunk the current one; tells whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let mut buffer = self.buffers.take();
        buffer.fill(|room| self.inner.read(room))?;
        let any = !buffer.bytes().is_empty();
        if any {
            let chunk = Arc::new(buffer);
            self.read.push(Arc::clone(&chunk));
            (self.current, self.position) = (Some(chunk), 0);
        }
        Ok(any)
    }
}

impl Read for Blob {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = self.current.as_ref().and_then(|chunk| chunk.bytes().get(self.position..)).unwrap_or_default();
            let count = rest.len().min(out.len());
            if let (Some(out), Some(bytes)) = (out.get_mut(..count), rest.get(..count))
                && count > 0
            {
                out.copy_from_slice(bytes);
                self.position += count;
                return Ok(count);
            }
            if out.is_empty() || !self.advance()? {
                return Ok(0);
            }
        }
    }
}

/// Computes a digest, and compares it with the one promised.
pub(crate) struct Hasher {
    verifier: Option<Verifier>,
    expected: Option<(Digest, Option<u64>)>,
}

impl Hasher {
    /// For the bytes of a blob. Where no digest of it is promised, or its reader checks it, there is nothing to do.
    pub(crate) fn of_blob(blob: &BlobReader, layer: &Layer) -> Self {
        let expected = layer.digest().filter(|_| !blob.is_checked()).map(|digest| (*digest, layer.size()));
        Self { verifier: expected.map(|(digest, _)| Verifier::new(digest.algorithm())), expected }
    }

    /// For what is decompressed from it: the diff ID.
    pub(crate) fn of_stream(layer: &Layer) -> Self {
        let expected = layer.diff_id().map(|digest| (*digest, None));
        let algorithm = expected.map_or(Algorithm::Sha256, |(digest, _)| digest.algorithm());
        Self { verifier: Some(Verifier::new(algorithm)), expected }
    }

    /// Takes the next chunk.
    pub(crate) fn step(&mut self, chunk: &Chunk) {
        if let Some(verifier) = &mut self.verifier {
            verifier.update(chunk.bytes());
        }
    }

    /// The digest and the number of bytes, if they were computed and the digest is the one promised.
    pub(crate) fn finish(self) -> Result<Option<(Digest, u64)>, Mismatch> {
        let Some(verifier) = self.verifier else { return Ok(None) };
        let actual = verifier.clone().digest();
        if let Some((expected, size)) = self.expected {
            verifier.finish(&expected, size)?;
        }
        Ok(Some(actual))
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
