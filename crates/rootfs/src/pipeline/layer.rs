//! Reading one layer: three threads that keep two processors busy.
//!
//! The first reads the blob, hashes it and decompresses into buffers. The second hashes what comes out, for the diff ID.
//! The third reads the archive in it and hands file contents on to the image. All digests are checked before the layer
//! counts. When something else is wrong, what is left of the blob is hashed all the same: a blob that is not the one
//! promised explains every other error.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use banger_layers::decompress::Decompressor;
use banger_layers::entry::Entries;
use banger_layers::tar::TarReader;
use banger_oci::{Algorithm, BlobReader, Digest, Layer, Verifier};

use super::buffers::{Buffer, Buffers};
use super::content::LayerContent;
use crate::error::LayerError;

/// Chunks of decompressed data that may wait for each thread: what one thread is ahead of another evens out.
const AHEAD: usize = 16;

/// Who follows the reading of a layer.
pub(crate) trait Watch: Sync {
    /// So many more bytes of the blob have been read.
    fn advanced(&self, bytes: u64);
    /// Whether to give up: the error of another layer counts.
    fn is_stopped(&self) -> bool;
    /// Called now and then, so that content can go to its place as soon as that is known.
    fn place(&self, content: &mut LayerContent) -> Result<(), LayerError>;
}

/// Reads a layer to its end and checks it: entries and diff ID; `None` when it was told to give up.
///
/// # Errors
/// The first thing that is wrong; when the blob is not the one promised, that.
pub(crate) fn read(
    layer: &Layer,
    content: &mut LayerContent,
    watch: &dyn Watch,
) -> Result<Option<(Entries, Digest)>, LayerError> {
    let (to_hasher, hashed) = sync_channel::<Arc<Buffer>>(AHEAD);
    let (to_parser, parsed) = sync_channel::<Arc<Buffer>>(AHEAD);
    std::thread::scope(|scope| {
        let decoder = scope.spawn(move || decode(layer, &[to_hasher, to_parser], watch));
        let hasher = scope.spawn(move || {
            let mut diff_id = Verifier::new(layer.diff_id().map_or(Algorithm::Sha256, Digest::algorithm));
            hashed.iter().for_each(|chunk| diff_id.update(chunk.bytes()));
            diff_id
        });
        let entries = parse(parsed.iter(), content, watch);
        // The decoder must not wait for a parser that has given up.
        drop(parsed);
        let end = joined(decoder)?;
        let diff_id = joined(hasher);
        if end == End::GivenUp {
            return Ok(None);
        }
        let entries = entries?;
        let (actual, _) = diff_id.clone().digest();
        if let Some(expected) = layer.diff_id() {
            diff_id.finish(expected, None).map_err(LayerError::DiffId)?;
        }
        Ok(Some((entries, actual)))
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Reads the archive: entries into a list, contents into the image.
fn parse(
    chunks: impl Iterator<Item = Arc<Buffer>>,
    content: &mut LayerContent,
    watch: &dyn Watch,
) -> Result<Entries, LayerError> {
    let mut reader = TarReader::new();
    let mut entries = Entries::new();
    for chunk in chunks {
        watch.place(content)?;
        reader.feed(chunk.bytes(), content, &mut entries).map_err(banger_layers::Error::from)?;
    }
    reader.finish().map_err(banger_layers::Error::from)?;
    Ok(entries)
}

/// Why a decoder ended without an error.
#[derive(Debug, Eq, PartialEq)]
enum End {
    /// The blob has been read and is the one promised.
    Verified,
    /// Somebody else's error counts, and the blob may be anything.
    GivenUp,
}

/// Decompresses the blob and hands it to all `receivers`, until it ends or one of them wants no more.
fn decode(layer: &Layer, receivers: &[SyncSender<Arc<Buffer>>], watch: &dyn Watch) -> Result<End, LayerError> {
    let verifier = Verifier::new(layer.digest().map_or(Algorithm::Sha256, Digest::algorithm));
    let blob = Blob { inner: layer.open()?, verifier, watch };
    let mut decompressor = Decompressor::new(blob).map_err(banger_layers::Error::from)?;
    if layer.diff_id().is_some() {
        // The diff ID says all that the CRC can say, and more.
        decompressor = decompressor.without_crc();
    }
    let buffers = Buffers::new();
    let mut failed = None;
    while !watch.is_stopped() {
        let mut buffer = buffers.take();
        match buffer.fill(|room| decompressor.fill(room)) {
            Ok(last) => {
                let buffer = Arc::new(buffer);
                let wanted = receivers.iter().all(|receiver| receiver.send(Arc::clone(&buffer)).is_ok());
                if last || !wanted {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if watch.is_stopped() {
        return Ok(End::GivenUp);
    }
    let mut blob = decompressor.into_source();
    // What cannot be read any more shows in the digest.
    let rest = io::copy(&mut blob, &mut io::sink());
    if let Some(digest) = layer.digest() {
        blob.verifier.finish(digest, layer.size()).map_err(LayerError::Blob)?;
    }
    match failed {
        Some(error) => Err(banger_layers::Error::from(error).into()),
        None => rest.map(|_| End::Verified).map_err(LayerError::Read),
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
