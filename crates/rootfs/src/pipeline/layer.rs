//! Reading one layer: two threads, one that decompresses and one that parses.
//!
//! The first reads the blob, hashes it and decompresses into buffers that go round between the two. The second hashes what
//! comes (the diff ID), reads the archive in it, and hands file contents on to the image. Both digests are checked
//! before the layer counts. When something else is wrong, what is left of the blob is hashed all the same: a blob that
//! is not the one promised explains every other error.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use banger_layers::decompress::Decompressor;
use banger_layers::entry::Entries;
use banger_layers::tar::TarReader;
use banger_oci::{Algorithm, BlobReader, Digest, Layer, Verifier};

use super::content::LayerContent;
use crate::error::LayerError;

/// Bytes of decompressed data that the threads of a layer hand over at a time.
const CHUNK: usize = 256 << 10;

/// Buffers that go round: one in the hands of each thread, one on the way in each direction.
const CHUNKS: usize = 4;

/// Who follows the reading of a layer.
pub(crate) trait Watch: Sync {
    /// So many more bytes of the blob have been read.
    fn advanced(&self, bytes: u64);
    /// Whether to give up: the error of another layer counts.
    fn is_stopped(&self) -> bool;
    /// Called now and then, so that content can go to its place as soon as that is known.
    fn place(&self, content: &mut LayerContent) -> Result<(), LayerError>;
}

/// Reads a layer to its end and checks it: entries and diff ID.
///
/// # Errors
/// The first thing that is wrong; when the blob is not the one promised, that.
pub(crate) fn read(
    layer: &Layer,
    content: &mut LayerContent,
    watch: &dyn Watch,
) -> Result<(Entries, Digest), LayerError> {
    let (full, chunks) = sync_channel(CHUNKS);
    let (give_back, spare) = channel();
    for _ in 0..CHUNKS {
        // Both ends are in this function.
        let _ = give_back.send(vec![0; CHUNK]);
    }
    std::thread::scope(|scope| {
        let decoder = scope.spawn(move || decode(layer, &full, &spare, watch));
        let mut parser = Parser::new(layer);
        let parsed: Result<(), LayerError> = chunks.iter().try_for_each(|chunk: Chunk| {
            watch.place(content)?;
            parser.take(chunk.bytes(), content)?;
            let _ = give_back.send(chunk.buffer);
            Ok(())
        });
        // The decoder must not wait for a parser that is gone.
        drop(chunks);
        match decoder.join() {
            Ok(decoded) => decoded?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        parsed?;
        parser.finish(layer)
    })
}

/// A buffer, and how much of it counts.
struct Chunk {
    buffer: Vec<u8>,
    length: usize,
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

/// Decompresses the blob into spare buffers until it ends or nobody wants more.
fn decode(
    layer: &Layer,
    full: &SyncSender<Chunk>,
    spare: &Receiver<Vec<u8>>,
    watch: &dyn Watch,
) -> Result<(), LayerError> {
    let verifier = Verifier::new(layer.digest().map_or(Algorithm::Sha256, Digest::algorithm));
    let blob = Blob { inner: layer.open()?, verifier, watch };
    let mut decompressor = Decompressor::new(blob).map_err(banger_layers::Error::from)?;
    if layer.diff_id().is_some() {
        // The diff ID says all that the CRC can say, and more.
        decompressor = decompressor.without_crc();
    }
    let mut failed = None;
    while let Ok(mut buffer) = spare.recv() {
        if watch.is_stopped() {
            return Ok(());
        }
        match decompressor.fill(&mut buffer) {
            Ok(length) => {
                let last = length < buffer.len();
                if full.send(Chunk { buffer, length }).is_err() || last {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let mut blob = decompressor.into_source();
    // What cannot be read any more shows in the digest.
    let rest = io::copy(&mut blob, &mut io::sink());
    if let Some(digest) = layer.digest() {
        blob.verifier.finish(digest, layer.size()).map_err(LayerError::Blob)?;
    }
    match failed {
        Some(error) => Err(banger_layers::Error::from(error).into()),
        None => rest.map(drop).map_err(LayerError::Read),
    }
}

/// The blob as it is read: hashed, counted, and at an end when somebody has stopped.
struct Blob<'a> {
    inner: BlobReader,
    verifier: Verifier,
    watch: &'a dyn Watch,
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.verifier.update(buffer.get(..count).unwrap_or_default());
        self.watch.advanced(count as u64);
        Ok(count)
    }
}

/// Takes the decompressed stream.
struct Parser {
    reader: TarReader,
    entries: Entries,
    diff_id: Verifier,
}

impl Parser {
    fn new(layer: &Layer) -> Self {
        Self {
            reader: TarReader::new(),
            entries: Entries::new(),
            diff_id: Verifier::new(layer.diff_id().map_or(Algorithm::Sha256, Digest::algorithm)),
        }
    }

    fn take(&mut self, chunk: &[u8], content: &mut LayerContent) -> Result<(), LayerError> {
        self.diff_id.update(chunk);
        self.reader.feed(chunk, content, &mut self.entries).map_err(banger_layers::Error::from)?;
        Ok(())
    }

    fn finish(self, layer: &Layer) -> Result<(Entries, Digest), LayerError> {
        let Self { reader, entries, diff_id } = self;
        reader.finish().map_err(banger_layers::Error::from)?;
        let (actual, _) = diff_id.clone().digest();
        if let Some(expected) = layer.diff_id() {
            diff_id.finish(expected, None).map_err(LayerError::DiffId)?;
        }
        Ok((entries, actual))
    }
}
